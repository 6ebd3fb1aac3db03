#include "hours_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Objects of one batch that are fetched or wait for those before them: some, or many small ones. So
 * an hour of small objects is fetched before the next one's, whose fetching goes on while the disk
 * writes it; and an hour that is asked for later does not wait for very much.
 */
#define WINDOW_MIN 32
#define WINDOW_MAX 128
#define WINDOW_BYTES (8u << 20) /* stored */

/* Largest object that is kept as it is stored: many larger ones would take the memory of lines. */
#define KEPT_MAX (1u << 20)

/* Bytes, and objects, after which even a batch that nobody watches is committed. */
#define COMMIT_BYTES (64u << 20)
#define COMMIT_OBJECTS 4096

/* Objects of one batch that could not be fetched and are each told of; of more, how many they are.
 */
#define REFUSED_TOLD_MAX 8

enum item_state { ITEM_QUEUED, ITEM_FETCHED, ITEM_FAILED };

/* What waits of an object for its turn. */
struct spools {
    struct spool lines;
    struct spool stored; /* it, as it is stored; empty where it is not kept */
};

struct item {
    struct task task; /* the first member: a task is its item */
    struct batch *batch;
    struct object object; /* its key is the item's own */
    uint64_t offset, length;
    uint32_t crc32c;  /* what the journal says, for restoring */
    uint64_t kept_at; /* likewise, where it is in what is kept as it is stored */
    bool kept;        /* it came from there */
    enum item_state state;
    struct fetched fetched;
    struct spools *spools; /* from its fetching to its writing: an hour may have many objects */
};

struct batch {
    struct batch *next;
    struct hours *hours;
    struct batch_options options;
    struct item *items;
    size_t count, cap;
    size_t submitted;
    size_t written;  /* items that are done with */
    uint64_t window; /* stored bytes of the items between the two */
    size_t running;  /* tasks submitted and not ended */
    bool writing;    /* some thread is the writer */
    uint64_t bytes;  /* written and not committed */
    size_t objects;  /* likewise */
    bool used_disk;  /* bytes were written, so there was room */
    size_t refused;  /* objects that could not be fetched, and of which that is news */
    int err;         /* ends the batch */
    struct fault fault;
};

static bool is_busy(struct hours *hours, hour_t hour) {
    for (struct batch *batch = hours->batches; batch; batch = batch->next)
        if (batch->options.hour == hour)
            return true;
    return false;
}

int batch_new(struct hours *hours, const struct batch_options *options, struct batch **ret) {
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return -ENOMEM;
    batch->hours = hours;
    batch->options = *options;
    pthread_mutex_lock(&hours->lock);
    bool busy = is_busy(hours, options->hour);
    if (!busy) {
        batch->next = hours->batches;
        hours->batches = batch;
    }
    pthread_mutex_unlock(&hours->lock);
    if (busy) {
        free(batch);
        return -EBUSY;
    }
    *ret = batch;
    return 0;
}

int batch_wait(struct hours *hours, hour_t hour, struct patience *patience) {
    pthread_mutex_lock(&hours->lock);
    while (is_busy(hours, hour) && hours_wait(hours, patience))
        ;
    int err = is_busy(hours, hour) ? -EINTR : 0;
    pthread_mutex_unlock(&hours->lock);
    return err;
}

bool batch_is_busy(struct hours *hours, hour_t hour) {
    pthread_mutex_lock(&hours->lock);
    bool busy = is_busy(hours, hour);
    pthread_mutex_unlock(&hours->lock);
    return busy;
}

bool hours_are_busy(struct hours *hours, hour_t first) {
    bool busy = false;
    pthread_mutex_lock(&hours->lock);
    for (struct batch *batch = hours->batches; batch && !busy; batch = batch->next)
        busy = batch->options.hour >= first;
    pthread_mutex_unlock(&hours->lock);
    return busy;
}

size_t batch_count(const struct batch *batch) {
    return batch->count;
}

static int grow(struct batch *batch) {
    size_t cap = batch->cap ? batch->cap * 2 : 16;
    struct item *items = realloc(batch->items, cap * sizeof *items);
    if (!items)
        return -ENOMEM;
    batch->items = items;
    batch->cap = cap;
    return 0;
}

int batch_add(struct batch *batch, const struct object *object, const struct journal_entry *entry) {
    if (batch->count == batch->cap && grow(batch) < 0)
        return -ENOMEM;
    char *key = strdup(object->key);
    if (!key)
        return -ENOMEM;
    struct item *item = &batch->items[batch->count++];
    *item = (struct item){.object = *object};
    item->object.key = key;
    if (entry) {
        item->offset = entry->offset;
        item->length = entry->length;
        item->crc32c = entry->crc32c;
        item->kept_at = batch->count > 1 ? item[-1].kept_at + item[-1].object.size : 0;
    }
    return 0;
}

static void remove_from_hours(struct batch *batch) {
    struct batch **at = &batch->hours->batches;
    pthread_mutex_lock(&batch->hours->lock);
    while (*at != batch)
        at = &(*at)->next;
    *at = batch->next;
    pthread_cond_broadcast(&batch->hours->changed);
    pthread_mutex_unlock(&batch->hours->lock);
}

void batch_cancel(struct batch *batch) {
    remove_from_hours(batch);
    for (size_t i = 0; i < batch->count; i++)
        free((char *)batch->items[i].object.key);
    free(batch->items);
    free(batch);
}

/* An error that has to do with one object and not with the way to it. */
static bool is_of_object(int err) {
    return err == -EACCES || err == -ENOENT || err == -ESTALE || err == -EIO || err == -EINVAL ||
           err == -ENOSYS || err == -EPROTO;
}

static void fail(struct batch *batch, int err, const struct fault *fault) {
    pthread_mutex_lock(&batch->hours->lock);
    if (!batch->err) {
        batch->err = err;
        batch->fault = *fault;
    }
    pthread_mutex_unlock(&batch->hours->lock);
}

static void leave_for_later(struct batch *batch, struct item *item, int err,
                            const struct fault *fault) {
    struct hours *hours = batch->hours;
    bool gone = err == -ENOENT || err == -ESTALE;
    enum refused_news news = refused_add(hours, &item->object, gone);
    if (news == REFUSED_QUIETLY)
        return;
    atomic_fetch_add(&hours->options.counters->failures, 1);
    if (news != REFUSED_NEWS)
        return;
    pthread_mutex_lock(&hours->lock);
    bool few = ++batch->refused <= REFUSED_TOLD_MAX;
    pthread_mutex_unlock(&hours->lock);
    if (few)
        hours_tell_once(hours, REPORT_ERROR, fault->text);
}

static void tell_refused(const struct batch *batch) {
    char path[HOUR_PATH_LEN + 1];
    if (batch->refused <= REFUSED_TOLD_MAX)
        return;
    hour_path(batch->options.hour, HOUR_DEPTH, path);
    batch->hours->options.tell(REPORT_ERROR,
                               "%zu more objects of %s could not be fetched; as the others, they "
                               "are tried again from time to time",
                               batch->refused - REFUSED_TOLD_MAX, path);
}

/* Restores an object from what was kept of it. Returns whether it could. */
static bool fetch_kept_item(struct batch *batch, struct item *item) {
    struct fault fault;
    struct file_range kept;
    if (batch->options.kind != BATCH_RESTORE ||
        store_open_stored(batch->hours->options.store, batch->options.hour, item->kept_at,
                          item->object.size, &kept) < 0)
        return false;
    item->kept = fetch_kept(batch->hours, &item->object, &kept, &item->spools->lines,
                            &item->fetched, &fault) == 0;
    return item->kept;
}

static int new_spools(struct batch *batch, struct item *item, struct fault *fault) {
    int folder = store_folder(batch->hours->options.store);
    item->spools = malloc(sizeof *item->spools);
    if (!item->spools)
        return fault_set(fault, -ENOMEM, "there is not enough memory to fetch an object");
    spool_init(&item->spools->lines, folder, &batch->hours->stock);
    spool_init(&item->spools->stored, folder, &batch->hours->stock);
    return 0;
}

static void free_spools(struct item *item) {
    if (!item->spools)
        return;
    spool_free(&item->spools->lines);
    spool_free(&item->spools->stored);
    free(item->spools);
    item->spools = NULL;
}

static int fetch_into_spools(struct batch *batch, struct item *item, struct fault *fault) {
    bool keep = batch->options.keep && item->object.size <= KEPT_MAX;
    int err = new_spools(batch, item, fault);
    if (err || fetch_kept_item(batch, item))
        return err;
    return fetch_lines(batch->hours, &item->object, &item->spools->lines,
                       keep ? &item->spools->stored : NULL, &item->fetched, fault);
}

static enum item_state fetch_item(struct batch *batch, struct item *item) {
    struct fault fault;
    int err = fetch_into_spools(batch, item, &fault);
    if (!err)
        return ITEM_FETCHED;
    free_spools(item);
    if (is_away(err))
        hours_source_result(batch->hours, err, &fault);
    /* What was evicted has to come back whole, or not at all. */
    if (batch->options.kind == BATCH_RESTORE && err == -ENOENT)
        err = -ESTALE;
    if (batch->options.kind == BATCH_RESTORE || !is_of_object(err))
        fail(batch, err, &fault);
    else
        leave_for_later(batch, item, err, &fault);
    return ITEM_FAILED;
}

static int commit(struct batch *batch) {
    batch->bytes = 0;
    batch->objects = 0;
    return store_commit(batch->hours->options.store, batch->options.hour);
}

static int append_item(struct batch *batch, struct item *item) {
    const struct spools *spools = item->spools;
    int err =
        store_write(batch->hours->options.store, batch->options.hour, &item->object, &spools->lines,
                    batch->options.keep ? &spools->stored : NULL, item->fetched.damaged);
    if (err)
        return err;
    batch->bytes += spools->lines.len;
    batch->objects++;
    fetch_tell(batch->hours, &item->object, &item->fetched);
    return batch->bytes >= COMMIT_BYTES || batch->objects >= COMMIT_OBJECTS ? commit(batch) : 0;
}

static int put_back(struct batch *batch, const struct item *item) {
    struct journal_entry entry = {.offset = item->offset,
                                  .length = item->length,
                                  .crc32c = item->crc32c,
                                  .size = item->object.size};
    return store_restore_put(batch->hours->options.store, batch->options.hour, &entry,
                             &item->spools->lines, &item->spools->stored);
}

static int restore_item(struct batch *batch, struct item *item) {
    int err = put_back(batch, item);
    if (err != -ESTALE || !item->kept)
        return err;
    /* What was kept is torn; the source should have it whole. */
    store_drop_stored(batch->hours->options.store, batch->options.hour);
    free_spools(item);
    item->state = fetch_item(batch, item);
    return item->state == ITEM_FETCHED ? put_back(batch, item) : 0;
}

static void fail_writing(struct batch *batch, int err) {
    struct fault fault;
    char path[HOUR_PATH_LEN + 1];
    hour_path(batch->options.hour, HOUR_DEPTH, path);
    if (err == -ESTALE)
        fault_set(&fault, err,
                  "the events of %s%s cannot be fetched again as they were: objects changed in the "
                  "bucket since",
                  batch->hours->options.source->name, path);
    else
        fault_set(&fault, err, "the log of %s cannot be written to the cache folder %s: %s", path,
                  batch->hours->options.config->cache, strerror(-err));
    fail(batch, err, &fault);
}

/*
 * Takes its turn at an item: writes it, if it was fetched and nothing ended the batch, and commits
 * where the next will keep us waiting. Called by the writer alone, without the lock.
 */
static void write_item(struct batch *batch, struct item *item, bool ended, bool pause) {
    int err = 0;
    if (!ended && item->state == ITEM_FETCHED) {
        err = batch->options.kind == BATCH_APPEND ? append_item(batch, item)
                                                  : restore_item(batch, item);
        batch->used_disk =
            batch->used_disk || (!err && item->spools && item->spools->lines.len > 0);
    }
    if (!err && !ended && pause && batch->options.eager && batch->objects > 0)
        err = commit(batch);
    if (err)
        fail_writing(batch, err);
    free_spools(item);
}

/* Everything was written: makes it count. */
static int conclude(struct batch *batch) {
    struct store *store = batch->hours->options.store;
    hour_t hour = batch->options.hour;
    int err;
    if (batch->options.kind == BATCH_APPEND) {
        err = commit(batch); /* also what came before an error */
    } else {
        err = batch->err ? 0 : store_restore_finish(store, hour);
        if (batch->err || err)
            store_restore_abandon(store, hour);
    }
    return batch->err ? batch->err : err;
}

static void finish(struct batch *batch) {
    struct batch_options options = batch->options;
    struct hours *hours = batch->hours;
    struct fault fault = batch->fault;
    int err = conclude(batch);
    if (err && !batch->err) {
        fail_writing(batch, err);
        fault = batch->fault;
    }
    if (is_full(err) || (!err && batch->used_disk))
        hours_disk_result(hours, err);
    else if (err && !is_away(err) && err != -ECANCELED && err != -ENODATA)
        hours_tell_once(hours, REPORT_ERROR, fault.text);
    tell_refused(batch);
    batch_cancel(batch);
    if (hours->options.follower.grown)
        hours->options.follower.grown(hours->options.follower.ctx, options.hour);
    if (options.done)
        options.done(options.ctx, err);
}

static void submit(struct batch *batch);

/*
 * Writes what can be written, in order; the lock is held. One thread at a time does so: others have
 * only to note what they fetched.
 */
static void write_ready(struct batch *batch) {
    struct hours *hours = batch->hours;
    if (batch->writing)
        return;
    batch->writing = true;
    while (batch->written < batch->count && batch->items[batch->written].state != ITEM_QUEUED) {
        struct item *item = &batch->items[batch->written];
        bool ended = batch->err != 0;
        bool pause = batch->written + 1 < batch->count &&
                     batch->items[batch->written + 1].state == ITEM_QUEUED;
        pthread_mutex_unlock(&hours->lock);
        write_item(batch, item, ended, pause);
        pthread_mutex_lock(&hours->lock);
        batch->written++;
        batch->window -= item->object.size;
        submit(batch);
    }
    batch->writing = false;
}

static void run_item(struct task *task) {
    struct item *item = (struct item *)task;
    struct batch *batch = item->batch;
    struct hours *hours = batch->hours;
    pthread_mutex_lock(&hours->lock);
    bool skip = batch->err != 0;
    pthread_mutex_unlock(&hours->lock);
    enum item_state state = skip ? ITEM_FAILED : fetch_item(batch, item);
    pthread_mutex_lock(&hours->lock);
    item->state = state;
    batch->running--;
    write_ready(batch);
    bool over = batch->written == batch->count && batch->running == 0 && !batch->writing;
    pthread_mutex_unlock(&hours->lock);
    if (over)
        finish(batch);
}

static bool window_has_room(const struct batch *batch) {
    size_t objects = batch->submitted - batch->written;
    return objects < WINDOW_MIN || (objects < WINDOW_MAX && batch->window < WINDOW_BYTES);
}

/* Keeps the window full; the lock is held. */
static void submit(struct batch *batch) {
    while (batch->submitted < batch->count && window_has_room(batch)) {
        struct item *item = &batch->items[batch->submitted++];
        batch->window += item->object.size;
        item->task.run = run_item;
        item->batch = batch;
        batch->running++;
        pool_submit(batch->hours->pool, &item->task, batch->options.urgent);
    }
}

static int in_log_order(const void *a, const void *b) {
    return object_order(&((const struct item *)a)->object, &((const struct item *)b)->object);
}

void batch_start(struct batch *batch) {
    bool empty = batch->count == 0;
    if (batch->options.kind == BATCH_APPEND && !empty)
        qsort(batch->items, batch->count, sizeof *batch->items, in_log_order);
    pthread_mutex_lock(&batch->hours->lock);
    submit(batch);
    pthread_mutex_unlock(&batch->hours->lock);
    if (empty)
        finish(batch);
}
