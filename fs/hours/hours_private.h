/* What the files behind hours.h share. */
#ifndef MACIEFS_HOURS_PRIVATE_H
#define MACIEFS_HOURS_PRIVATE_H

#include "pool.h"

#include <maciefs/hours.h>
#include <pthread.h>

/* Objects that could not be fetched: in sets by their digest, as a day of archived ones is
 * thousands, and each is looked up at every poll. In a set that is full, the one that is due first
 * gives way. */
#define REFUSED_SETS 4096
#define REFUSED_WAYS 8

/* How long the watcher leaves such an object alone: at first, and at most; it doubles each time. */
#define REFUSED_FIRST_MS 1000
#define REFUSED_MOST_MS 64000

/* Errors that were told of lately. */
#define TOLD_MAX 64
#define TOLD_MS 600000

struct job;
struct pipe;

struct hours {
    struct hours_options options;
    struct pool *pool;
    struct spool_stock stock;
    pthread_mutex_t lock;   /* guards all below, jobs and batches */
    pthread_cond_t changed; /* some job ended, or someone lost patience */
    struct pipe *pipes;     /* those that no fetch uses */
    unsigned pipe_count;    /* of them */
    struct job *jobs;       /* those that are under way */
    bool ending;            /* nothing that takes long is begun */
    struct batch *batches;  /* those that are under way */
    hour_t first_watched;
    struct {
        hour_t first; /* the hour for which the last page of objects was listed */
        hour_t next;  /* the first hour that it did not hold whole; 0: none */
        bool forward; /* it began where the page before it had ended */
    } page;
    hour_t last_day;   /* the day whose hours were last read */
    hour_t last_month; /* the year or month whose children were last read */
    bool away;         /* the source did not answer last time */
    int64_t away_when; /* monotonic ms */
    bool full;         /* the disk was, last time */
    struct refused {
        uint64_t digest; /* 0: none */
        int64_t until;   /* monotonic ms */
        int32_t pause;   /* ms */
        bool told;
    } refused[REFUSED_SETS][REFUSED_WAYS];
    struct {
        uint64_t digest;
        int64_t until;
    } told[TOLD_MAX];
    unsigned told_next;
};

/* Waits until something changes; the lock is held. Returns false, at once, where patience is lost.
 */
bool hours_wait(struct hours *hours, struct patience *patience);

/* -- fetch.c: one object, from the source to its lines or plain bytes -----------------------------
 */

struct fetched {
    bool damaged;
    uint64_t offset;    /* stored bytes before the damage */
    const char *reason; /* static */
};

/*
 * Fetches an object and splits it into the spool, which is sealed: whole lines alone. `stored` gets
 * its bytes as they are stored, as far as there is room for them; or is NULL.
 * Returns 0 (also where the object is damaged), or the error of source or spool with a fault.
 */
int fetch_lines(struct hours *hours, const struct object *object, struct spool *spool,
                struct spool *stored, struct fetched *ret, struct fault *fault);

/* The same for an object that was kept as it is stored, and is read from there. */
int fetch_kept(struct hours *hours, const struct object *object, struct file_range *kept,
               struct spool *spool, struct fetched *ret, struct fault *fault);

/* Fetches an object into a file, decoded. Returns as fetch_lines. */
int fetch_plain(struct hours *hours, const struct object *object, int fd, struct fetched *ret,
                struct fault *fault);

/* Frees what is kept from one fetch to the next. None may be under way. */
void fetch_free(struct hours *hours);

/* Tells of damage; once, also where the object is fetched for its log and for itself. */
void fetch_tell(struct hours *hours, const struct object *object, const struct fetched *fetched);

/* -- batch.c: many objects side by side, written in order -----------------------------------------
 */

enum batch_kind { BATCH_APPEND, BATCH_RESTORE };

struct batch_options {
    enum batch_kind kind;
    hour_t hour;
    bool eager; /* each object is published as soon as it can be; else all at the end */
    bool urgent;
    bool keep; /* objects are kept as they are stored, until the disk has the log */
    void (*done)(void *ctx, int err); /* may be NULL; called without locks */
    void *ctx;
};

struct batch;

/*
 * A batch without objects. Only one at a time may be of an hour: returns -EBUSY where there is one,
 * else 0 or -ENOMEM.
 */
int batch_new(struct hours *hours, const struct batch_options *options, struct batch **ret);

/* Adds an object, copied; `entry` for restoring, else NULL. Returns 0 or -ENOMEM. */
int batch_add(struct batch *batch, const struct object *object, const struct journal_entry *entry);

size_t batch_count(const struct batch *batch);

/* Waits while there is a batch of the hour. Returns 0 or -EINTR. */
int batch_wait(struct hours *hours, hour_t hour, struct patience *patience);
bool batch_is_busy(struct hours *hours, hour_t hour);

/* Sorts what is to be appended into the log's order and starts. The batch frees itself. */
void batch_start(struct batch *batch);

/* Frees a batch that was not started. */
void batch_cancel(struct batch *batch);

/* -- refused.c: objects to leave alone for a while
 * ------------------------------------------------- */

enum refused_news {
    REFUSED_QUIETLY, /* it may have been replaced since it was listed, for all that is known */
    REFUSED_NEWS,    /* to be told */
    REFUSED_AGAIN,   /* was told */
};

/*
 * Notes that it could not be fetched, as it is gone or other than it was listed, or for another
 * reason. One that is gone once is the next listing's affair; one that is listed again as it was,
 * and again not to be had, is not.
 */
enum refused_news refused_add(struct hours *hours, const struct object *object, bool gone);
bool refused_now(struct hours *hours, const struct object *object);

/* -- news.c: what the disk and the source do, told when it changes --------------------------------
 */

void hours_disk_result(struct hours *hours, int err);

/* Whether the source did not answer a moment ago, so that it is not worth asking again yet. */
bool hours_is_away(struct hours *hours);

/* Whether the error says that the network is away, rather than that something is wrong. */
bool is_away(int err);

/* Whether the error says that there is no room. */
bool is_full(int err);

#endif
