/*
 * Evicted data's way back: an unnamed file, which gets its name when every object is in it and the
 * disk has it, or has the objects.
 */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int store_restore_visit(struct store *store, hour_t hour, journal_visitor visit, void *ctx) {
    char path[STORE_PATH_MAX];
    uint64_t taken;
    store_path(hour, STORE_JOURNAL, path);
    return journal_read(store->folder, path, hour, visit, ctx, &taken);
}

/* The log, for the one who restores it. */
static struct log *restored_log(struct store *store, hour_t hour) {
    pthread_mutex_lock(&store->lock);
    struct log *log = store_find(store, hour);
    pthread_mutex_unlock(&store->lock);
    return log;
}

int store_restore_begin(struct store *store, hour_t hour, bool keep) {
    struct log *log;
    pthread_mutex_lock(&store->lock);
    int err = store_log(store, hour, &log);
    pthread_mutex_unlock(&store->lock);
    if (err)
        return err;
    store_restore_abandon(store, hour);
    log->restoring = openat(store->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (log->restoring < 0)
        return -errno;
    if (keep)
        log->refetched = stored_begin(store, log);
    return 0;
}

int store_restore_put(struct store *store, hour_t hour, const struct journal_entry *entry,
                      const struct spool *spool, const struct spool *stored) {
    struct log *log = restored_log(store, hour);
    if (!log || log->restoring < 0)
        return -EBADF;
    if (spool->len != entry->length || spool->crc32c != entry->crc32c)
        return -ESTALE;
    struct file_sink sink = {.fd = log->restoring, .offset = entry->offset};
    int err = spool_save(spool, &sink);
    if (!err)
        stored_add(store, &log->refetched, stored, entry->size);
    return err;
}

/* Gives the file the log's name, where at most a torn file has been; the lock is held. */
static int name_data(struct store *store, const struct log *log) {
    char from[32], to[STORE_PATH_MAX];
    snprintf(from, sizeof from, "/proc/self/fd/%d", log->restoring);
    store_path(log->hour, STORE_DATA, to);
    if (unlinkat(store->folder, to, 0) < 0 && errno != ENOENT)
        return -errno;
    return linkat(AT_FDCWD, from, store->folder, to, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int make_durable(struct store *store, struct log *log) {
    if (log->refetched)
        return stored_sync(store, log->refetched);
    return fdatasync(log->restoring) < 0 ? -errno : 0;
}

/* What the disk has of the log is its objects, or its bytes; the lock is held. */
static void settle_on(struct store *store, struct log *log) {
    if (log->refetched)
        stored_commit(store, log->refetched, &log->restoring);
    else
        stored_drop(store, log->hour);
    log->refetched = NULL;
}

int store_restore_finish(struct store *store, hour_t hour) {
    struct log *log = restored_log(store, hour);
    if (!log || log->restoring < 0)
        return -EBADF;
    int err = make_durable(store, log);
    if (err)
        return err;
    pthread_mutex_lock(&store->lock);
    err = name_data(store, log);
    if (!err && !log->present)
        store_account(store, (int64_t)log->committed);
    if (!err) {
        log->present = true;
        log->touched = 0;
        settle_on(store, log);
    }
    pthread_mutex_unlock(&store->lock);
    if (!err)
        store_restore_abandon(store, hour);
    return err;
}

void store_restore_abandon(struct store *store, hour_t hour) {
    struct log *log = restored_log(store, hour);
    if (!log)
        return;
    if (log->refetched)
        stored_abandon(store, log->refetched);
    if (log->restoring >= 0)
        close(log->restoring);
    log->refetched = NULL;
    log->restoring = -1;
}
