/*
 * Bringing logs up to date: list → fetch → inflate → split → journal + append.
 *
 * Whoever needs an hour asks for it here and waits; work that is under way already is waited for,
 * never done twice. A pool of threads, one a connection, does it: it lists what the hour has,
 * fetches what its log lacks side by side, and writes that to the log in the order (LastModified,
 * key). An object whose second of LastModified is not over yet waits for the next look, as others
 * of that second may still come before it. The watcher (watcher.h) offers the hours that can grow;
 * nobody waits for those.
 *
 * Objects that cannot be fetched, one by one (no right to read it, damaged on the way), are left
 * for later and reported once; where the network is away, everything is.
 */
#ifndef MACIEFS_HOURS_H
#define MACIEFS_HOURS_H

#include <maciefs/catalog.h>
#include <maciefs/config.h>
#include <maciefs/report.h>
#include <maciefs/store.h>
#include <stdatomic.h>

/* A caller that may stop waiting: it sets `lost` and calls hours_wake. */
struct patience {
    atomic_bool lost;
    /* Called, with locks held, before it is made to wait; maybe more than once. NULL: no need. */
    void (*waits)(void);
};

/*
 * Who reads the hours' logs as they grow, to make something else of them. Told without locks, from
 * any thread.
 */
struct hours_follower {
    /* The first hour whose deliveries it still wants to know of; older than those watched. */
    hour_t (*oldest)(void *ctx);
    /* Whether it lacks an object of the listing, so that the hour's log is to be brought up. */
    bool (*wants)(void *ctx, const struct hour_listing *listing);
    /* All hours from `oldest` on were listed, and what it wants of them is under way or done. */
    void (*swept)(void *ctx);
    /* The log has grown, or could not. */
    void (*grown)(void *ctx, hour_t hour);
    void *ctx;
};

struct hours_options {
    const struct config *config;
    struct source *source;
    struct store *store;
    struct catalog *catalog;
    struct counters *counters;
    void (*tell)(enum report_level level, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
    struct hours_follower follower; /* all zero for none */
};

struct hours;

/* Starts the pool. Returns 0, -ENOMEM or -EAGAIN (no threads) with a fault. */
int hours_new(const struct hours_options *options, struct hours **ret, struct fault *fault);

/* Ends the work under way (source_stop) and frees. No caller may wait. Accepts NULL. */
void hours_free(struct hours *hours);

/* Wakes all who wait, so that those who lost patience go. */
void hours_wake(struct hours *hours);

/*
 * The hours that may still grow: they are watched, never evicted, and answered from what is known.
 * Set by the watcher; before its first look (first = 0) every hour is treated as an old one.
 */
void hours_watching(struct hours *hours, hour_t first);
bool hours_is_watched(struct hours *hours, hour_t hour);

/* Whether some log from `first` on is being brought up to date. */
bool hours_are_busy(struct hours *hours, hour_t first);

/*
 * Makes the hour's size known and exact: a watched hour with a journal is as it is; any other is
 * listed (not more often than dir_ttl) and what its log lacks is fetched first. Where the source
 * does not answer, a log that is known is taken as it is. With `data`, the log's bytes are on the
 * disk afterwards. Returns 0; -EINTR where patience was lost; -ENETDOWN and other errors of the
 * source where nothing is known; -ESTALE where evicted data cannot be had again; -ENOSPC.
 */
int hours_ready(struct hours *hours, hour_t hour, bool data, struct patience *patience);

/*
 * The children of a folder, and the objects of an hour, as the catalog has them, with patience. The
 * folder's are joined with what lies on the disk. Errors only where nothing is known.
 */
int hours_children(struct hours *hours, hour_t folder, unsigned depth, struct children *ret,
                   struct patience *patience);
int hours_objects(struct hours *hours, hour_t hour, struct hour_listing **ret,
                  struct patience *patience);

/* Makes the decoded bytes of one object lie on the disk (blobs.h). Errors as hours_ready. */
int hours_blob(struct hours *hours, hour_t hour, const struct object *object,
               struct patience *patience);

/*
 * For the watcher: appends what the log lacks of a listing, in the background. Returns when the
 * earliest object that was held back may be taken (seconds since 1970, by the source's clock), 0
 * for none, or the store's errors.
 */
int64_t hours_offer(struct hours *hours, struct hour_listing *listing);

/*
 * For the watcher: sees to it, in the background, that logs that were fetched a while ago are on
 * the disk, and restores one that a machine took with it when it stopped (store.h).
 */
void hours_settle(struct hours *hours);

/* Tells something, unless the same was told lately. Returns whether it did. */
bool hours_tell_once(struct hours *hours, enum report_level level, const char *text);

/* For the watcher: how a request to the source ended; tells when the source goes away and comes. */
void hours_source_result(struct hours *hours, int err, const struct fault *fault);

#endif
