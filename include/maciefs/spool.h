/*
 * An object's lines on their way to the log.
 *
 * Objects are fetched side by side and appended one after another; until its turn comes, an
 * object's lines wait here: in memory while they are few, in an unnamed file of the cache folder
 * when not. A line counts once it is whole: what came behind the last whole line is cut off by
 * spool_seal. The object's bytes as they are stored, which are kept beside the log (store.h), wait
 * in a spool of their own, which is not sealed.
 */
#ifndef MACIEFS_SPOOL_H
#define MACIEFS_SPOOL_H

#include <maciefs/bytes.h>
#include <maciefs/file_sink.h>
#include <pthread.h>
#include <stdbool.h>

#define SPOOL_PIECE ((size_t)64 * 1024)
#define SPOOL_PIECES 96                           /* that one spool may have */
#define SPOOL_MEMORY (SPOOL_PIECES * SPOOL_PIECE) /* bytes of one that wait in memory */
#define SPOOL_STOCK 320                           /* pieces of all spools */

struct spool_piece;

/*
 * The memory of all spools: so many pieces, made when they are first needed and used again and
 * again. A spool that finds none goes to its file.
 */
struct spool_stock {
    pthread_mutex_t lock;
    unsigned left;            /* pieces that may still be made */
    struct spool_piece *free; /* those that nobody uses */
};

/* A stock of that many pieces. */
void spool_stock_init(struct spool_stock *stock, unsigned pieces);

/* No spool may be in use. */
void spool_stock_free(struct spool_stock *stock);

struct spool {
    int dir; /* the cache folder, for the file */
    struct spool_stock *stock;
    int fd;         /* the file with the first bytes, or -1 */
    uint64_t filed; /* bytes in the file */
    unsigned count; /* pieces with the bytes behind those, all but the last of them full */
    struct spool_piece *first, *last;
    uint64_t len;   /* bytes taken */
    uint64_t whole; /* of those, bytes of whole lines */
    uint64_t lines;
    uint64_t events;
    uint32_t crc32c; /* of the bytes in the file; of all, once it is sealed */
};

void spool_init(struct spool *spool, int dir, struct spool_stock *stock);

/* A bytes_sink. Returns 0, -ENOMEM, or -errno of writing (-ENOSPC). */
int spool_write(void *spool, const uint8_t *at, size_t len);

/* Everything so far is whole lines; the last of them is an event if `object`. Returns 0. */
int spool_end(void *spool, bool object);

/* Forgets everything taken. Returns 0 or -errno. */
int spool_restart(void *spool);

/* Cuts what is no whole line, and sums up the rest. Returns 0 or -errno. */
int spool_seal(struct spool *spool);

/* Writes the bytes into a file. Returns 0, or -errno of reading or writing. */
int spool_save(const struct spool *spool, struct file_sink *sink);

void spool_free(struct spool *spool);

#endif
