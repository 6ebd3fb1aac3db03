/*
 * Whether to try again, and when not to try at all.
 *
 * One for each source. Tries are spaced by exponential backoff with full jitter (a random time
 * between none and the doubled bound), so that many clients do not come back at the same moment.
 * When a server could not be reached at all, the source counts as away: requests are refused at
 * once, but for one probe a second, until an answer comes. So nobody who needs what is only there
 * waits longer than a probe's time limit.
 */
#ifndef MACIEFS_S3_RETRY_H
#define MACIEFS_S3_RETRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* How a try ended. */
enum try_end {
    TRY_DONE,   /* an answer that trying again would not change */
    TRY_BUSY,   /* an answer that asks for patience, or a body that does not add up */
    TRY_SILENT, /* an answer that stopped midway */
    TRY_AWAY,   /* no answer at all */
    TRY_NONE,   /* the server was not asked */
};

struct retry {
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopped;
    bool away;
    bool probing;        /* one request is out to see whether the server is back */
    int64_t probe_at_ms; /* of CLOCK_MONOTONIC */
};

void retry_init(struct retry *retry);
void retry_destroy(struct retry *retry);

/*
 * Asks whether to send. Returns 0, and the try's end must then be told to retry_go_on; -ENETDOWN
 * while the server is away; -ECANCELED after retry_stop.
 */
int retry_admit(struct retry *retry);

/* Takes how the try ended, the `tries`-th of its request. True where another is worth it. */
bool retry_go_on(struct retry *retry, enum try_end end, unsigned tries);

/*
 * Waits until the next try, `tries` having failed; at least as long as the server asks for
 * (seconds; 0 for nothing; no more than 20 are granted). Returns 0 or -ECANCELED.
 */
int retry_wait(struct retry *retry, unsigned tries, unsigned retry_after_s);

/* Ends all waits, now and to come. */
void retry_stop(struct retry *retry);

#endif
