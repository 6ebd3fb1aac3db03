/* The work that jobs are: a log brought up to date, evicted data restored, an object decoded. */
#include "refresh.h"
#include "read_ahead.h"

#include <maciefs/blobs.h>
#include <maciefs/clock.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* How long an object may wait for its second to be over: no clocks that are right differ by more.
 */
#define HOLD_SECONDS 86400

/*
 * How old a log's last bytes are when the disk is asked for them: Linux begins by itself to write
 * what is older than half of this.
 */
#define SETTLE_AGE_MS 60000

/* An evicted hour, as it is refused for a while when it could not be restored. */
static struct object object_of_hour(hour_t hour, char path[HOUR_PATH_LEN + 1]) {
    hour_path(hour, HOUR_DEPTH, path);
    return (struct object){.key = path};
}

static void end_restore(void *ctx, int err) {
    struct job *job = ctx;
    char path[HOUR_PATH_LEN + 1];
    struct object object = object_of_hour(job->hour, path);
    if (err)
        refused_add(job->hours, &object, false);
    job_end(job, err);
}

static void note_refreshed(void *ctx, int err) {
    struct job *job = ctx;
    struct hours *hours = job->hours;
    if (!err)
        store_refreshed(hours->options.store, job->hour, job->listed);
    if (!hours_is_watched(hours, job->hour))
        store_forget(hours->options.store, job->hour);
    job_end(job, err);
}

static void tell_overwritten(struct hours *hours, const struct object *object) {
    atomic_fetch_add(&hours->options.counters->overwritten, 1);
    hours->options.tell(REPORT_WARNING,
                        "%s%s was overwritten after its events were taken over; its hour's log "
                        "stays as it is",
                        hours->options.source->name, object->key);
}

/*
 * Others of its second may still come, and go before it. A time that lies further ahead is a wrong
 * one, and no reason to wait.
 */
static bool is_to_wait(const struct object *object, int64_t now) {
    return object->modified >= now && object->modified <= now + HOLD_SECONDS;
}

/* Adds to the batch what the log lacks. Returns what hours_offer does. */
static int64_t add_new(struct batch *batch, struct hours *hours, const struct hour_listing *listing,
                       bool patient) {
    int64_t held = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const struct object *object = &listing->objects[i];
        int has = store_has(hours->options.store, listing->hour, object);
        if (has < 0)
            return has;
        if (has == STORE_OVERWRITTEN)
            tell_overwritten(hours, object);
        if (has != STORE_NEW || (patient && refused_now(hours, object)))
            continue;
        if (is_to_wait(object, listing->now)) {
            if (!held || object->modified < held)
                held = object->modified;
        } else if (batch_add(batch, object, NULL) < 0) {
            return -ENOMEM;
        }
    }
    return held ? held + 1 : 0;
}

/* For reading ahead: where this page began and ended. */
static void note_page(struct hours *hours, hour_t first, hour_t next) {
    pthread_mutex_lock(&hours->lock);
    hours->page.forward = hours->page.next == first;
    hours->page.first = first;
    hours->page.next = next;
    pthread_mutex_unlock(&hours->lock);
}

static int list_hour(struct hours *hours, hour_t hour, unsigned max_age_ms,
                     struct hour_listing **ret) {
    struct page_end end = {0};
    struct fault fault;
    int err = catalog_objects(hours->options.catalog, hour, max_age_ms, ret, &end, &fault);
    hours_source_result(hours, err, &fault);
    if (!err && end.listed)
        note_page(hours, hour, end.next);
    return err;
}

void refresh_hour(struct job *job) {
    struct hours *hours = job->hours;
    const struct batch_options options = {.kind = BATCH_APPEND,
                                          .hour = job->hour,
                                          .keep = !hours_is_watched(hours, job->hour),
                                          .done = note_refreshed,
                                          .ctx = job};
    struct hour_listing *listing;
    struct batch *batch;
    int err = list_hour(hours, job->hour, hours->options.config->dir_ttl_ms, &listing);
    if (err) {
        job_end(job, err);
        return;
    }
    job->listed = listing->listed;
    err = batch_new(hours, &options, &batch);
    if (!err) {
        int64_t held = add_new(batch, hours, listing, false);
        err = held < 0 ? (int)held : 0;
        if (err)
            batch_cancel(batch);
    }
    catalog_release(hours->options.catalog, listing);
    if (err)
        job_end(job, err);
    else
        batch_start(batch);
}

static int add_entry(void *ctx, const struct journal_entry *entry) {
    struct object object = {.key = entry->key, .size = entry->size, .modified = entry->modified};
    memcpy(object.etag, entry->etag, sizeof object.etag);
    return batch_add(ctx, &object, entry);
}

/* Adds to the batch what the log is made of. */
static int add_journal(struct batch *batch, struct store *store, hour_t hour) {
    int err = store_restore_begin(store, hour, true);
    if (!err)
        err = store_restore_visit(store, hour, add_entry, batch);
    if (err)
        store_restore_abandon(store, hour);
    return err;
}

void restore_hour(struct job *job) {
    struct hours *hours = job->hours;
    struct store *store = hours->options.store;
    const struct batch_options options = {
        .kind = BATCH_RESTORE, .hour = job->hour, .keep = true, .done = end_restore, .ctx = job};
    struct log_state state;
    struct batch *batch;
    int err = batch_new(hours, &options, &batch);
    if (err) {
        job_end(job, err);
        return;
    }
    err = store_state(store, job->hour, &state);
    bool absent = !err && !state.present; /* else someone was faster */
    if (absent)
        err = add_journal(batch, store, job->hour);
    if (absent && !err) {
        batch_start(batch);
        return;
    }
    batch_cancel(batch);
    job_end(job, err);
}

static int fetch_blob(struct job *job) {
    struct hours *hours = job->hours;
    struct fetched fetched;
    struct fault fault;
    int fd = blob_begin(hours->options.store);
    if (fd < 0)
        return fd;
    int err = fetch_plain(hours, &job->object, fd, &fetched, &fault);
    if (err) {
        close(fd);
        if (is_away(err))
            hours_source_result(hours, err, &fault);
        else if (err != -ECANCELED && !is_full(err))
            hours_tell_once(hours, REPORT_ERROR, fault.text);
        return err;
    }
    fetch_tell(hours, &job->object, &fetched);
    return blob_finish(hours->options.store, fd, job->hour, &job->object);
}

void fetch_object(struct job *job) {
    job_end(job, fetch_blob(job));
}

void list_folder(struct job *job) {
    struct hours *hours = job->hours;
    struct fault fault;
    hour_t month = job->depth == 2 ? job->hour : 0;
    int err = 0;
    if (!is_listed(hours, job->hour, job->depth)) { /* else it was, since this was begun */
        err = catalog_list_folder(hours->options.catalog, job->hour, job->depth, &fault);
        hours_source_result(hours, err, &fault);
    }
    job_end(job, err);
    if (month && !err)
        read_ahead_further(hours, month);
}

void list_objects(struct job *job) {
    struct hour_listing *listing;
    int err = list_hour(job->hours, job->hour, job->hours->options.config->dir_ttl_ms, &listing);
    if (!err)
        catalog_release(job->hours->options.catalog, listing);
    job_end(job, err);
}

/* Data that someone took away comes back before anything is appended to it. */
static int offer_restore(struct hours *hours, hour_t hour) {
    char path[HOUR_PATH_LEN + 1];
    struct object object = object_of_hour(hour, path);
    return refused_now(hours, &object) ? 0 : job_begin(hours, restore_hour, hour, 0);
}

/* Whether work that takes long may go on. */
static bool is_ending(struct hours *hours) {
    pthread_mutex_lock(&hours->lock);
    bool ending = hours->ending;
    pthread_mutex_unlock(&hours->lock);
    return ending;
}

static void tell_lost(struct hours *hours, hour_t hour, int err) {
    struct fault fault;
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    fault_set(&fault, err,
              "the disk of the cache folder %s did not take the log of %s, which is written anew "
              "from its objects: %s",
              hours->options.config->cache, path, strerror(-err));
    hours_tell_once(hours, REPORT_ERROR, fault.text);
}

/* One log at a time, behind what else is to be done meanwhile. */
void settle_log(struct job *job) {
    struct hours *hours = job->hours;
    hour_t hour = 0;
    int err = is_ending(hours) ? 0 : store_settle(hours->options.store, SETTLE_AGE_MS, &hour);
    if (err)
        tell_lost(hours, hour, err);
    job_end(job, err);
    if (hour)
        (void)job_begin(hours, settle_log, 0, 0);
}

void hours_settle(struct hours *hours) {
    hour_t lost = store_lost(hours->options.store);
    if (lost)
        (void)offer_restore(hours, lost); /* else at the next call */
    (void)job_begin(hours, settle_log, 0, 0);
}

int64_t hours_offer(struct hours *hours, struct hour_listing *listing) {
    struct log_state state;
    int err = store_state(hours->options.store, listing->hour, &state);
    if (err)
        return err;
    if (!state.present)
        return offer_restore(hours, listing->hour);
    /* A log's first objects appear together: who looks at once sees an hour, not its beginning. */
    const struct batch_options options = {
        .kind = BATCH_APPEND, .hour = listing->hour, .eager = state.known, .urgent = true};
    struct batch *batch;
    err = batch_new(hours, &options, &batch);
    if (err)
        return err == -EBUSY ? 0 : err; /* the next poll finds what this one leaves */
    int64_t held = add_new(batch, hours, listing, true);
    if (held < 0 || batch_count(batch) == 0)
        batch_cancel(batch);
    else
        batch_start(batch);
    return held;
}
