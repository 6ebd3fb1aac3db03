#include <maciefs/spool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void spool_init(struct spool *spool, int dir) {
    *spool = (struct spool){.dir = dir, .fd = -1};
    buf_init(&spool->bytes, SPOOL_MEMORY);
}

static int write_all(int fd, const uint8_t *at, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* Moves what waits in memory to the file. */
static int spill(struct spool *spool) {
    if (spool->fd < 0)
        spool->fd = openat(spool->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd < 0)
        return -errno;
    int err = write_all(spool->fd, spool->bytes.at, spool->bytes.len);
    if (!err)
        buf_reset(&spool->bytes);
    return err;
}

int spool_write(void *ctx, const uint8_t *at, size_t len) {
    struct spool *spool = ctx;
    int err = 0;
    if (len > SPOOL_MEMORY - spool->bytes.len)
        err = spill(spool);
    if (!err && len > SPOOL_MEMORY)
        err = write_all(spool->fd, at, len);
    else if (!err)
        err = buf_append(&spool->bytes, at, len);
    if (!err)
        spool->len += len;
    return err;
}

int spool_end(void *ctx, bool object) {
    struct spool *spool = ctx;
    spool->whole = spool->len;
    spool->lines++;
    spool->events += object;
    return 0;
}

int spool_restart(void *ctx) {
    struct spool *spool = ctx;
    int dir = spool->dir;
    spool_free(spool);
    spool_init(spool, dir);
    return 0;
}

int spool_seal(struct spool *spool) {
    if (spool->fd >= 0) {
        int err = spill(spool);
        if (err)
            return err;
        if (ftruncate(spool->fd, (off_t)spool->whole) < 0)
            return -errno;
    } else {
        spool->bytes.len = (size_t)spool->whole;
    }
    spool->len = spool->whole;
    return 0;
}

static int send_file(int fd, uint64_t len, bytes_sink sink, void *ctx) {
    enum { PIECE = 64 * 1024 };
    uint8_t *piece = malloc(PIECE);
    if (!piece)
        return -ENOMEM;
    int err = 0;
    for (uint64_t at = 0; !err && at < len;) {
        size_t want = len - at < PIECE ? (size_t)(len - at) : PIECE;
        ssize_t n = pread(fd, piece, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = n < 0 ? -errno : -EIO;
            break;
        }
        err = sink(ctx, piece, (size_t)n);
        at += (uint64_t)n;
    }
    free(piece);
    return err;
}

int spool_send(const struct spool *spool, bytes_sink sink, void *ctx) {
    if (spool->fd >= 0)
        return send_file(spool->fd, spool->len, sink, ctx);
    return spool->len ? sink(ctx, spool->bytes.at, (size_t)spool->len) : 0;
}

void spool_free(struct spool *spool) {
    buf_free(&spool->bytes);
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
}
