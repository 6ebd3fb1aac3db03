#include <maciefs/spool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Spools grow by this much at least, so that they seldom ask. */
#define GRANT ((size_t)64 * 1024)

void spool_init(struct spool *spool, int dir, struct spool_budget *budget) {
    *spool = (struct spool){.dir = dir, .fd = -1, .budget = budget};
    buf_init(&spool->bytes, SPOOL_MEMORY);
}

/* Whether `need` bytes in all may wait in memory. */
static bool grant(struct spool *spool, size_t need) {
    if (need <= spool->granted)
        return true;
    if (need > SPOOL_MEMORY)
        return false;
    size_t more = (need - spool->granted + GRANT - 1) / GRANT * GRANT;
    size_t left = atomic_load(&spool->budget->left);
    do {
        if (left < more)
            return false;
    } while (!atomic_compare_exchange_weak(&spool->budget->left, &left, left - more));
    spool->granted += more;
    return true;
}

static void drop_memory(struct spool *spool) {
    buf_free(&spool->bytes);
    atomic_fetch_add(&spool->budget->left, spool->granted);
    spool->granted = 0;
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

/* Moves what waits in memory to the file, which takes all that follows. */
static int spill(struct spool *spool) {
    if (spool->fd >= 0)
        return 0;
    spool->fd = openat(spool->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd < 0)
        return -errno;
    int err = write_all(spool->fd, spool->bytes.at, spool->bytes.len);
    if (!err)
        drop_memory(spool);
    return err;
}

int spool_write(void *ctx, const uint8_t *at, size_t len) {
    struct spool *spool = ctx;
    bool fits = spool->fd < 0 && grant(spool, spool->bytes.len + len);
    int err = fits ? buf_append(&spool->bytes, at, len) : spill(spool);
    if (!err && !fits)
        err = write_all(spool->fd, at, len);
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
    spool_free(spool);
    spool_init(spool, spool->dir, spool->budget);
    return 0;
}

int spool_seal(struct spool *spool) {
    if (spool->fd < 0)
        spool->bytes.len = (size_t)spool->whole;
    else if (ftruncate(spool->fd, (off_t)spool->whole) < 0)
        return -errno;
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
    drop_memory(spool);
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
}
