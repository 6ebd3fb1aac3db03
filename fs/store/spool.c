#include <maciefs/spool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void spool_stock_init(struct spool_stock *stock, unsigned pieces) {
    *stock = (struct spool_stock){.left = pieces < SPOOL_STOCK ? pieces : SPOOL_STOCK};
    pthread_mutex_init(&stock->lock, NULL);
}

void spool_stock_free(struct spool_stock *stock) {
    while (stock->free > 0)
        free(stock->pieces[--stock->free]);
    pthread_mutex_destroy(&stock->lock);
}

/* A piece that nobody uses, or NULL. */
static uint8_t *take_piece(struct spool_stock *stock) {
    pthread_mutex_lock(&stock->lock);
    uint8_t *piece = stock->free ? stock->pieces[--stock->free] : NULL;
    bool make = !piece && stock->left > 0;
    stock->left -= make;
    pthread_mutex_unlock(&stock->lock);
    return make ? malloc(SPOOL_MEMORY) : piece;
}

static void give_back(struct spool_stock *stock, uint8_t *piece) {
    pthread_mutex_lock(&stock->lock);
    stock->pieces[stock->free++] = piece;
    pthread_mutex_unlock(&stock->lock);
}

void spool_init(struct spool *spool, int dir, struct spool_stock *stock) {
    *spool = (struct spool){.dir = dir, .fd = -1, .stock = stock};
}

static void drop_memory(struct spool *spool) {
    if (spool->memory)
        give_back(spool->stock, spool->memory);
    spool->memory = NULL;
}

/* Whether all bytes, with `more` of them, may wait in memory. */
static bool fits(struct spool *spool, size_t more) {
    if (spool->fd >= 0 || more > SPOOL_MEMORY - spool->len)
        return false;
    if (!spool->memory && spool->len == 0)
        spool->memory = take_piece(spool->stock);
    return spool->memory != NULL;
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
    int err = write_all(spool->fd, spool->memory, (size_t)spool->len);
    if (!err)
        drop_memory(spool);
    return err;
}

static int write_file(struct spool *spool, const uint8_t *at, size_t len) {
    int err = spill(spool);
    return err ? err : write_all(spool->fd, at, len);
}

int spool_write(void *ctx, const uint8_t *at, size_t len) {
    struct spool *spool = ctx;
    int err = 0;
    if (len > 0 && fits(spool, len))
        memcpy(spool->memory + spool->len, at, len);
    else if (len > 0)
        err = write_file(spool, at, len);
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
    spool_init(spool, spool->dir, spool->stock);
    return 0;
}

int spool_seal(struct spool *spool) {
    if (spool->fd >= 0 && ftruncate(spool->fd, (off_t)spool->whole) < 0)
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
    return spool->len ? sink(ctx, spool->memory, (size_t)spool->len) : 0;
}

void spool_free(struct spool *spool) {
    drop_memory(spool);
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
}
