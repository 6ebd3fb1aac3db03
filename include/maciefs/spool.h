/*
 * An object's lines on their way to the log.
 *
 * Objects are fetched side by side and appended one after another; until its turn comes, an
 * object's lines wait here: in memory while they are few, in an unnamed file of the cache folder
 * when not. A line counts once it is whole: what came behind the last whole line is cut off by
 * spool_seal.
 */
#ifndef MACIEFS_SPOOL_H
#define MACIEFS_SPOOL_H

#include <maciefs/bytes.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SPOOL_MEMORY (1024 * 1024) /* bytes of one that wait in memory */

/* Bytes that all spools together may still take in memory; those that get none go to their files.
 */
struct spool_budget {
    atomic_size_t left;
};

struct spool {
    int dir; /* the cache folder, for the file */
    struct spool_budget *budget;
    size_t granted;   /* bytes of the budget that it has */
    int fd;           /* the file, or -1 */
    struct buf bytes; /* all of them, or those not yet in the file */
    uint64_t len;     /* bytes taken */
    uint64_t whole;   /* of those, bytes of whole lines */
    uint64_t lines;
    uint64_t events;
};

void spool_init(struct spool *spool, int dir, struct spool_budget *budget);

/* A bytes_sink. Returns 0, -ENOMEM, or -errno of writing (-ENOSPC). */
int spool_write(void *spool, const uint8_t *at, size_t len);

/* Everything so far is whole lines; the last of them is an event if `object`. Returns 0. */
int spool_end(void *spool, bool object);

/* Forgets everything taken. Returns 0 or -errno. */
int spool_restart(void *spool);

/* Cuts what is no whole line. Returns 0 or -errno. */
int spool_seal(struct spool *spool);

/* Hands the bytes to a sink, in pieces. Returns 0, -errno of reading, or the sink's error. */
int spool_send(const struct spool *spool, bytes_sink sink, void *ctx);

void spool_free(struct spool *spool);

#endif
