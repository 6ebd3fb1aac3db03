#include "source_clock.h"

#include <maciefs/clock.h>
#include <maciefs/watcher.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Between looks for an object whose second should be over. */
#define HELD_PAUSE_MIN_MS 20

struct watcher {
    struct hours_options options;
    struct hours *hours;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    int64_t swept;      /* monotonic ms; 0 before the first sweep */
    int64_t deep_swept; /* likewise, of the older hours */
    int64_t held;       /* by the source's clock, when the earliest object held back is due; 0 */
    int64_t asked;      /* when the look under way began; monotonic ms; 0 once it is noted below */
    struct source_clock clock;
};

/* One hour's trouble with the disk is not the others'. */
static void tell_not_offered(struct watcher *watcher, hour_t hour, int err) {
    struct fault fault;
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    fault_set(&fault, err, "the log of %s cannot grow, as the cache folder %s fails: %s", path,
              watcher->options.config->cache, strerror(-err));
    hours_tell_once(watcher->hours, REPORT_ERROR, fault.text);
}

static int visit(void *ctx, struct hour_listing *listing) {
    struct watcher *watcher = ctx;
    struct counters *counters = watcher->options.counters;
    if (watcher->asked)
        source_clock_note(&watcher->clock, listing->now, watcher->asked, clock_ms());
    watcher->asked = 0; /* the time is that of the first page */
    for (size_t i = 0; i < listing->count; i++)
        if (listing->objects[i].modified > atomic_load(&counters->newest_object))
            atomic_store(&counters->newest_object, listing->objects[i].modified);
    int64_t held = hours_offer(watcher->hours, listing);
    if (held < 0)
        tell_not_offered(watcher, listing->hour, (int)held);
    if (held > 0 && (!watcher->held || held < watcher->held))
        watcher->held = held;
    return 0;
}

/* An older hour costs more than a listing only where the follower lacks something of it. */
static int visit_older(void *ctx, struct hour_listing *listing) {
    struct watcher *watcher = ctx;
    const struct hours_follower *follower = &watcher->options.follower;
    return follower->wants(follower->ctx, listing) ? visit(ctx, listing) : 0;
}

static bool is_due(const struct watcher *watcher, int64_t last, unsigned polls) {
    return !last || clock_ms() - last >= (int64_t)polls * watcher->options.config->poll_ms;
}

/* Lists the hours before `before` that the follower wants to know of. */
static void look_deep(struct watcher *watcher, hour_t before) {
    const struct hours_follower *follower = &watcher->options.follower;
    struct fault fault;
    if (!follower->oldest || !is_due(watcher, watcher->deep_swept, WATCHER_DEEP_POLLS))
        return;
    hour_t oldest = follower->oldest(follower->ctx);
    int err = oldest < before ? catalog_sweep(watcher->options.catalog, oldest,
                                              hour_add(before, -1), visit_older, watcher, &fault)
                              : 0;
    hours_source_result(watcher->hours, err, &fault);
    if (err)
        return;
    watcher->deep_swept = clock_ms();
    follower->swept(follower->ctx);
}

/* Lists the hours that can grow, now and then all that may get late objects. */
static void look(struct watcher *watcher) {
    struct fault fault;
    hour_t now = hour_at(time(NULL));
    hour_t oldest = hour_add(now, -WATCHER_SPAN);
    bool sweep = is_due(watcher, watcher->swept, WATCHER_SWEEP_POLLS);
    watcher->held = 0;
    watcher->asked = clock_ms();
    int err = catalog_sweep(watcher->options.catalog, sweep ? oldest : hour_add(now, -1),
                            hour_add(now, 1), visit, watcher, &fault);
    hours_source_result(watcher->hours, err, &fault);
    if (err)
        return;
    if (sweep)
        watcher->swept = clock_ms();
    hours_watching(watcher->hours, oldest);
    look_deep(watcher, oldest);
}

/* Until the next look: a poll, or less where an object waits for its second to be over. */
static int64_t pause_ms(const struct watcher *watcher, int64_t began) {
    int64_t now = clock_ms();
    int64_t pause = began + watcher->options.config->poll_ms - now;
    int64_t due =
        watcher->held ? source_clock_reaches(&watcher->clock, watcher->held) - now : pause;
    if (due < HELD_PAUSE_MIN_MS)
        due = HELD_PAUSE_MIN_MS;
    if (due < pause)
        pause = due;
    return pause > 0 ? pause : 0;
}

/* Returns whether to go on. */
static bool pause_for(struct watcher *watcher, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&watcher->lock);
    int err = 0;
    while (!watcher->stopping && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&watcher->stop, &watcher->lock, &until);
    bool stopping = watcher->stopping;
    pthread_mutex_unlock(&watcher->lock);
    return !stopping;
}

static void *watch(void *ctx) {
    struct watcher *watcher = ctx;
    int64_t began;
    store_publish_rest(watcher->options.store);
    do {
        began = clock_ms();
        look(watcher);
        store_evict(watcher->options.store, hour_add(hour_at(time(NULL)), -WATCHER_SPAN));
        hours_settle(watcher->hours);
    } while (pause_for(watcher, pause_ms(watcher, began)));
    return NULL;
}

int watcher_start(const struct hours_options *options, struct hours *hours, struct watcher **ret) {
    pthread_condattr_t attributes;
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return -ENOMEM;
    watcher->options = *options;
    watcher->hours = hours;
    pthread_mutex_init(&watcher->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watcher->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    int err = -pthread_create(&watcher->thread, NULL, watch, watcher);
    if (err) {
        free(watcher);
        return err;
    }
    *ret = watcher;
    return 0;
}

void watcher_stop(struct watcher *watcher) {
    if (!watcher)
        return;
    pthread_mutex_lock(&watcher->lock);
    watcher->stopping = true;
    pthread_cond_broadcast(&watcher->stop);
    pthread_mutex_unlock(&watcher->lock);
    source_stop(watcher->options.source);
    pthread_join(watcher->thread, NULL);
    pthread_cond_destroy(&watcher->stop);
    pthread_mutex_destroy(&watcher->lock);
    free(watcher);
}
