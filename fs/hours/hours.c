#include "read_ahead.h"
#include "refresh.h"

#include <maciefs/blobs.h>
#include <maciefs/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Hours that can leave the watch at once: it spans little more than a day. */
#define FORGET_MAX 32

int hours_new(const struct hours_options *options, struct hours **ret, struct fault *fault) {
    struct hours *hours = calloc(1, sizeof *hours);
    if (!hours)
        return fault_set(fault, -ENOMEM, "there is not enough memory to start");
    hours->options = *options;
    spool_stock_init(&hours->stock, SPOOL_STOCK);
    pthread_mutex_init(&hours->lock, NULL);
    pthread_cond_init(&hours->changed, NULL);
    int err = pool_new(options->config->connections, &hours->pool);
    if (err) {
        hours_free(hours);
        return fault_set(fault, err, "the threads for %u connections cannot be started",
                         options->config->connections);
    }
    *ret = hours;
    return 0;
}

void hours_free(struct hours *hours) {
    if (!hours)
        return;
    source_stop(hours->options.source);
    pthread_mutex_lock(&hours->lock);
    hours->ending = true;
    pthread_mutex_unlock(&hours->lock);
    pool_free(hours->pool);
    fetch_free(hours);
    spool_stock_free(&hours->stock);
    pthread_cond_destroy(&hours->changed);
    pthread_mutex_destroy(&hours->lock);
    free(hours);
}

bool hours_wait(struct hours *hours, struct patience *patience) {
    if (atomic_load(&patience->lost))
        return false;
    if (patience->waits)
        patience->waits();
    pthread_cond_wait(&hours->changed, &hours->lock);
    return true;
}

void hours_wake(struct hours *hours) {
    pthread_mutex_lock(&hours->lock);
    pthread_cond_broadcast(&hours->changed);
    pthread_mutex_unlock(&hours->lock);
}

void hours_watching(struct hours *hours, hour_t first) {
    pthread_mutex_lock(&hours->lock);
    hour_t before = hours->first_watched;
    hours->first_watched = first;
    pthread_mutex_unlock(&hours->lock);
    for (int i = 0; before && before < first && i < FORGET_MAX; i++, before = hour_add(before, 1))
        store_forget(hours->options.store, before);
}

bool hours_is_watched(struct hours *hours, hour_t hour) {
    pthread_mutex_lock(&hours->lock);
    bool watched = hours->first_watched && hour >= hours->first_watched;
    pthread_mutex_unlock(&hours->lock);
    return watched;
}

/* Lists the hour and fetches what its log lacks, after what is under way and what must go first. */
static int refresh(struct hours *hours, hour_t hour, struct patience *patience) {
    for (;;) {
        int err = job_wait(hours, refresh_hour, hour, 0, NULL, patience);
        if (err == -EBUSY)
            err = batch_wait(hours, hour, patience); /* the watcher's */
        else if (err == -ENODATA)
            err = job_wait(hours, restore_hour, hour, 0, NULL, patience); /* nothing joins a hole */
        else
            return err;
        if (err)
            return err;
    }
}

static int restore(struct hours *hours, hour_t hour, struct patience *patience) {
    int err;
    while ((err = job_wait(hours, restore_hour, hour, 0, NULL, patience)) == -EBUSY)
        if ((err = batch_wait(hours, hour, patience)) < 0)
            return err;
    return err;
}

/* Whether what is known of the log may be taken as it is, without asking the source. */
static bool is_known(struct hours *hours, hour_t hour, const struct log_state *state) {
    if (state->known && hours_is_away(hours))
        return true;
    if (!hours_is_watched(hours, hour))
        return state->refreshed &&
               clock_ms() - state->refreshed < (int64_t)hours->options.config->dir_ttl_ms;
    return state->known || !batch_is_busy(hours, hour);
}

int hours_ready(struct hours *hours, hour_t hour, bool data, struct patience *patience) {
    struct log_state state;
    int err = store_state(hours->options.store, hour, &state);
    if (err)
        return err;
    if (!is_known(hours, hour, &state)) {
        bool was_known = state.known;
        err = refresh(hours, hour, patience);
        read_ahead_objects(hours, hour);
        if (err == -EINTR)
            return err;
        bool may_be_empty = is_away(err) && hour >= hour_at(time(NULL));
        if (err && !was_known && !may_be_empty)
            return err;
        err = store_state(hours->options.store, hour, &state);
    }
    if (!err && data && !state.present)
        err = restore(hours, hour, patience);
    return err;
}

int hours_children(struct hours *hours, hour_t folder, unsigned depth, struct children *ret,
                   struct patience *patience) {
    bool fresh;
    if (depth == 1 || depth == 2)
        read_ahead_month(hours, folder, depth);
    int err = catalog_children(hours->options.catalog, folder, depth, ret, &fresh);
    int listed = 0;
    if (!err && !fresh) {
        listed = job_wait(hours, list_folder, folder, depth, NULL, patience);
        err = listed == -EINTR
                  ? -EINTR
                  : catalog_children(hours->options.catalog, folder, depth, ret, &fresh);
    }
    if (depth == HOUR_DEPTH - 1)
        read_ahead_days(hours, folder);
    if (!err)
        err = store_children(hours->options.store, folder, depth, ret);
    hour_t any;
    return !err && !children_at(ret, folder, depth, 0, &any) ? listed : err;
}

static int add_entry(void *ctx, const struct journal_entry *entry) {
    struct object object = {.key = entry->key, .size = entry->size, .modified = entry->modified};
    memcpy(object.etag, entry->etag, sizeof object.etag);
    return hour_builder_add(ctx, &object);
}

/* What the journal knows of the hour's objects, for when the source does not answer. */
static int objects_of_journal(struct hours *hours, hour_t hour, struct hour_listing **ret) {
    struct hour_builder builder;
    hour_builder_init(&builder, hour);
    int err = store_restore_visit(hours->options.store, hour, add_entry, &builder);
    if (!err)
        return catalog_learn(hours->options.catalog, &builder, ret);
    hour_builder_free(&builder);
    return err;
}

int hours_objects(struct hours *hours, hour_t hour, struct hour_listing **ret,
                  struct patience *patience) {
    struct catalog *catalog = hours->options.catalog;
    unsigned ttl_ms = hours->options.config->dir_ttl_ms;
    struct hour_listing *listing = ttl_ms ? catalog_known(catalog, hour, ttl_ms) : NULL;
    int err = listing ? 0 : job_wait(hours, list_objects, hour, 0, NULL, patience);
    if (!listing && err != -EINTR)
        listing = catalog_known(catalog, hour, CATALOG_ANY_AGE);
    if (!listing && err && err != -EINTR && objects_of_journal(hours, hour, &listing) < 0)
        return err;
    if (listing)
        *ret = listing;
    read_ahead_objects(hours, hour);
    return listing ? 0 : err ? err : -ENOMEM;
}

int hours_blob(struct hours *hours, hour_t hour, const struct object *object,
               struct patience *patience) {
    uint64_t size;
    int err = blob_size(hours->options.store, hour, object, &size);
    return err == -ENODATA ? job_wait(hours, fetch_object, hour, 0, object, patience) : err;
}
