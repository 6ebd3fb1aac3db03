/* What the files behind wazuh.h share. */
#ifndef MACIEFS_WAZUH_PRIVATE_H
#define MACIEFS_WAZUH_PRIVATE_H

#include <maciefs/shape.h>
#include <maciefs/wazuh.h>
#include <pthread.h>

/* Hours whose logs have grown; of more than that, all are looked at. */
#define GROWN_MAX 256

struct wazuh {
    struct wazuh_options options;
    struct hours *hours;
    struct store *store;       /* the view's own files */
    struct counters uncounted; /* what that store counts is not the mount's */
    struct pace *pace;
    hour_t since;  /* delivered before: none of the view's business */
    hour_t resume; /* the last hour that had a file when it was opened; 0 for none */

    /* The thread's own. */
    struct shaper *shaper;
    struct spool_stock stock;
    hour_t rolled;       /* what the window began with when it was last rolled */
    int64_t waits_since; /* when the first of what is to be taken was noted; monotonic ms; 0 */
    int64_t not_before;  /* when it may be tried again; monotonic ms */

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t woken;
    bool stopping;
    unsigned calls;          /* on the thread, counted */
    bool swept;              /* all hours were listed at least once, */
    bool caught_up;          /* and what they had was taken */
    bool all;                /* look at all hours' logs, */
    hour_t grown[GROWN_MAX]; /* or at these */
    size_t grown_count;
    hour_t *kept; /* hours with a journal, in order; heap */
    size_t kept_count, kept_cap;
};

/* An object that a log has and the view lacks. */
struct pending {
    struct object object; /* its key is the heap's */
    hour_t hour;          /* whose log has it */
    uint64_t offset;      /* in that log */
    uint64_t length;
    bool damaged;
};

/* The first hour whose log may have objects that the view lacks. */
hour_t wazuh_oldest(struct wazuh *wazuh);

/* Whether the view has the object, in whichever hour. Returns 1, 0 or -errno. */
int wazuh_has(struct wazuh *wazuh, const struct object *object);

/* The hour whose file an object belongs to that is found now. */
hour_t wazuh_hour_of(const struct wazuh *wazuh, int64_t modified);

/* Notes that the hour has a journal. Returns 0 or -ENOMEM. */
int wazuh_keep(struct wazuh *wazuh, hour_t hour);

/* Drops what has left the window, and forgets what will not be met again. */
void wazuh_roll(struct wazuh *wazuh);

/*
 * Appends to the view what it lacks of the hours' logs, in the order (LastModified, key) within
 * each of its files. Returns 0 or the first error, with the rest taken as far as it could be.
 */
int wazuh_take(struct wazuh *wazuh, const hour_t *hours, size_t count);

/* Writes the object's lines, shaped, behind those of the hour; they are not committed yet. */
int wazuh_write(struct wazuh *wazuh, hour_t hour, const struct pending *pending);

#endif
