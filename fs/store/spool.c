#include <maciefs/crc32c.h>
#include <maciefs/spool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct spool_piece {
    struct spool_piece *next;
    uint8_t bytes[SPOOL_PIECE];
};

void spool_stock_init(struct spool_stock *stock, unsigned pieces) {
    *stock = (struct spool_stock){.left = pieces};
    pthread_mutex_init(&stock->lock, NULL);
}

void spool_stock_free(struct spool_stock *stock) {
    for (struct spool_piece *piece = stock->free, *next; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    pthread_mutex_destroy(&stock->lock);
}

/* A piece that nobody uses, or NULL. */
static struct spool_piece *take_piece(struct spool_stock *stock) {
    pthread_mutex_lock(&stock->lock);
    struct spool_piece *piece = stock->free;
    if (piece)
        stock->free = piece->next;
    bool make = !piece && stock->left > 0;
    stock->left -= make;
    pthread_mutex_unlock(&stock->lock);
    if (!make)
        return piece;
    piece = malloc(sizeof *piece);
    if (!piece) {
        pthread_mutex_lock(&stock->lock);
        stock->left++;
        pthread_mutex_unlock(&stock->lock);
    }
    return piece;
}

/* Keeps the first piece or none. */
static void give_back(struct spool *spool, unsigned count) {
    struct spool_stock *stock = spool->stock;
    struct spool_piece **from = count ? &spool->first->next : &spool->first;
    if (!*from)
        return;
    pthread_mutex_lock(&stock->lock);
    spool->last->next = stock->free;
    stock->free = *from;
    pthread_mutex_unlock(&stock->lock);
    *from = NULL;
    spool->last = spool->first;
    spool->count = count;
}

void spool_init(struct spool *spool, int dir, struct spool_stock *stock) {
    *spool = (struct spool){.dir = dir, .fd = -1, .stock = stock};
}

/* Takes another piece where there is one and the spool may have it: one beside a file, to gather
 * small writes in. */
static bool add_piece(struct spool *spool) {
    unsigned limit = spool->fd < 0 ? SPOOL_PIECES : 1;
    struct spool_piece *piece = spool->count < limit ? take_piece(spool->stock) : NULL;
    if (!piece)
        return false;
    piece->next = NULL;
    if (spool->last)
        spool->last->next = piece;
    else
        spool->first = piece;
    spool->last = piece;
    spool->count++;
    return true;
}

static int open_file(struct spool *spool) {
    if (spool->fd < 0)
        spool->fd = openat(spool->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return spool->fd < 0 ? -errno : 0;
}

/* Bytes at the end of the file. */
static int append_file(struct spool *spool, const uint8_t *at, size_t len) {
    int err = open_file(spool);
    if (!err)
        err = file_pwrite(spool->fd, at, len, spool->filed);
    if (err)
        return err;
    spool->filed += len;
    spool->crc32c = crc32c(spool->crc32c, at, len);
    return 0;
}

/* What is in memory, in so many pieces. */
static int pieces_of(const struct spool *spool, struct iovec ret[SPOOL_PIECES]) {
    uint64_t left = spool->len - spool->filed;
    int count = 0;
    for (struct spool_piece *piece = spool->first; left > 0; piece = piece->next) {
        size_t len = left < SPOOL_PIECE ? (size_t)left : SPOOL_PIECE;
        ret[count++] = (struct iovec){piece->bytes, len};
        left -= len;
    }
    return count;
}

static int save_pieces(const struct spool *spool, struct file_sink *sink) {
    struct iovec pieces[SPOOL_PIECES];
    return file_sink_write_pieces(sink, pieces, pieces_of(spool, pieces));
}

/* Sums up what is in memory, where it was just written and is still at the processor's hand. */
static void sum_pieces(struct spool *spool) {
    struct iovec pieces[SPOOL_PIECES];
    int count = pieces_of(spool, pieces);
    for (int i = 0; i < count; i++)
        spool->crc32c = crc32c(spool->crc32c, pieces[i].iov_base, pieces[i].iov_len);
}

/* Moves what is in memory to the file, and keeps a piece to gather in what follows. */
static int spill(struct spool *spool) {
    int err = open_file(spool);
    if (err)
        return err;
    struct file_sink sink = {.fd = spool->fd, .offset = spool->filed};
    err = save_pieces(spool, &sink);
    if (err)
        return err;
    sum_pieces(spool);
    spool->filed = sink.offset;
    give_back(spool, 1);
    return 0;
}

/* Bytes that the last piece can still take. */
static size_t room(const struct spool *spool) {
    return (size_t)(spool->count * SPOOL_PIECE - (spool->len - spool->filed));
}

static size_t fill_piece(struct spool *spool, const uint8_t *at, size_t len) {
    size_t fits = room(spool);
    size_t part = len < fits ? len : fits;
    memcpy(spool->last->bytes + (SPOOL_PIECE - fits), at, part);
    spool->len += part;
    return part;
}

/* Takes some of the bytes; *ret_part is how many. */
static int write_part(struct spool *spool, const uint8_t *at, size_t len, size_t *ret_part) {
    int err = 0;
    if (room(spool) == 0 && !add_piece(spool) && spool->count > 0)
        err = spill(spool);
    if (!err && spool->count > 0) {
        *ret_part = fill_piece(spool, at, len);
    } else if (!err) {
        err = append_file(spool, at, len);
        spool->len = spool->filed;
        *ret_part = len;
    }
    return err;
}

int spool_write(void *ctx, const uint8_t *at, size_t len) {
    int err = 0;
    for (size_t part = 0; len > 0 && !err; at += part, len -= part)
        err = write_part(ctx, at, len, &part);
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

/* Hands the file's bytes to a bytes_sink. */
static int visit_file(const struct spool *spool, bytes_sink sink, void *ctx) {
    uint8_t *piece = malloc(SPOOL_PIECE);
    if (!piece)
        return -ENOMEM;
    int err = 0;
    for (uint64_t at = 0; !err && at < spool->filed;) {
        uint64_t left = spool->filed - at;
        size_t want = left < SPOOL_PIECE ? (size_t)left : SPOOL_PIECE;
        ssize_t n = pread(spool->fd, piece, want, (off_t)at);
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

static int sum(void *ctx, const uint8_t *at, size_t len) {
    uint32_t *crc = ctx;
    *crc = crc32c(*crc, at, len);
    return 0;
}

/* Cuts the file, whose sum is then another. */
static int cut_file(struct spool *spool, uint64_t len) {
    if (ftruncate(spool->fd, (off_t)len) < 0)
        return -errno;
    spool->filed = len;
    spool->crc32c = 0;
    return visit_file(spool, sum, &spool->crc32c);
}

int spool_seal(struct spool *spool) {
    int err = spool->whole < spool->filed ? cut_file(spool, spool->whole) : 0;
    spool->len = spool->whole;
    if (!err)
        sum_pieces(spool);
    return err;
}

int spool_save(const struct spool *spool, struct file_sink *sink) {
    int err = spool->filed > 0 ? visit_file(spool, file_sink_write, sink) : 0;
    return err ? err : save_pieces(spool, sink);
}

void spool_free(struct spool *spool) {
    give_back(spool, 0);
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
}
