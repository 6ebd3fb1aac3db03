/* The work that jobs are: a log brought up to date, evicted data restored, an object decoded. */
#include "job.h"

#include <maciefs/blobs.h>
#include <maciefs/clock.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void end_job(void *ctx, int err) {
    job_end(ctx, err);
}

static void note_refreshed(void *ctx, int err) {
    struct job *job = ctx;
    struct hours *hours = job->hours;
    if (!err)
        store_refreshed(hours->options.store, job->hour, clock_ms());
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
        if (object->modified >= listing->now) {
            if (!held || object->modified < held)
                held = object->modified;
        } else if (batch_add(batch, object, NULL) < 0) {
            return -ENOMEM;
        }
    }
    return held ? held + 1 : 0;
}

static int list_hour(struct hours *hours, hour_t hour, unsigned max_age_ms,
                     struct hour_listing **ret) {
    struct fault fault;
    hour_t next = 0;
    bool listed;
    int err =
        catalog_objects(hours->options.catalog, hour, max_age_ms, ret, &listed, &next, &fault);
    hours_source_result(hours, err, &fault);
    if (!err && listed)
        read_ahead_note(hours, hour, next);
    return err;
}

static void refresh(struct job *job) {
    struct hours *hours = job->hours;
    const struct batch_options options = {BATCH_APPEND, job->hour,      false,
                                          false,        note_refreshed, job};
    struct hour_listing *listing;
    struct batch *batch;
    int err = list_hour(hours, job->hour, hours->options.config->dir_ttl_ms, &listing);
    if (err) {
        job_end(job, err);
        return;
    }
    read_ahead_objects(hours, job->hour);
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

static void restore(struct job *job) {
    struct hours *hours = job->hours;
    struct store *store = hours->options.store;
    const struct batch_options options = {BATCH_RESTORE, job->hour, false, false, end_job, job};
    struct batch *batch;
    int err = batch_new(hours, &options, &batch);
    if (!err) {
        err = store_restore_begin(store, job->hour);
        if (!err)
            err = store_restore_visit(store, job->hour, add_entry, batch);
        if (err)
            batch_cancel(batch);
    }
    if (err)
        job_end(job, err);
    else
        batch_start(batch);
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
            hours_tell_once(hours, fault.text);
        return err;
    }
    fetch_tell(hours, &job->object, &fetched);
    return blob_finish(hours->options.store, fd, job->hour, &job->object);
}

static int list_folder(struct job *job) {
    struct fault fault;
    int err = catalog_list_folder(job->hours->options.catalog, job->hour, job->depth, &fault);
    hours_source_result(job->hours, err, &fault);
    return err;
}

static int list_objects(struct job *job) {
    struct hour_listing *listing;
    int err = list_hour(job->hours, job->hour, job->hours->options.config->dir_ttl_ms, &listing);
    if (!err)
        catalog_release(job->hours->options.catalog, listing);
    return err;
}

void job_run(struct job *job) {
    switch (job->kind) {
    case JOB_FOLDER:
        job_end(job, list_folder(job));
        break;
    case JOB_OBJECTS:
        job_end(job, list_objects(job));
        break;
    case JOB_REFRESH:
        refresh(job);
        break;
    case JOB_RESTORE:
        restore(job);
        break;
    case JOB_BLOB:
        job_end(job, fetch_blob(job));
        break;
    }
}

int64_t hours_offer(struct hours *hours, struct hour_listing *listing) {
    struct log_state state;
    int err = store_state(hours->options.store, listing->hour, &state);
    if (err)
        return err;
    /* A log's first objects appear together: who looks at once sees an hour, not its beginning. */
    const struct batch_options options = {BATCH_APPEND, listing->hour, state.known,
                                          true,         NULL,          NULL};
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
