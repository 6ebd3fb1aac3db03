/* Evicted data's way back: a file of its own, until every object of the journal is in it. */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int store_restore_visit(struct store *store, hour_t hour, journal_visitor visit, void *ctx) {
    char path[STORE_PATH_MAX];
    uint64_t taken;
    store_path(hour, STORE_JOURNAL, path);
    return journal_read(store->folder, path, hour, visit, ctx, &taken);
}

static int open_restore(struct store *store, hour_t hour, int flags) {
    char path[STORE_PATH_MAX];
    store_path(hour, STORE_RESTORE, path);
    int fd = openat(store->folder, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    return fd < 0 ? -errno : fd;
}

int store_restore_begin(struct store *store, hour_t hour) {
    int fd = open_restore(store, hour, O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int store_restore_put(struct store *store, hour_t hour, const struct journal_entry *entry,
                      const struct spool *spool) {
    if (spool->len != entry->length)
        return -ESTALE;
    int fd = open_restore(store, hour, 0);
    if (fd < 0)
        return fd;
    struct file_sink sink = {.fd = fd, .offset = entry->offset};
    int err = spool_send(spool, file_sink_write, &sink);
    close(fd);
    return err ? err : sink.crc32 == entry->crc32 ? 0 : -ESTALE;
}

static int move_in_place(struct store *store, hour_t hour) {
    char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
    store_path(hour, STORE_RESTORE, from);
    store_path(hour, STORE_DATA, to);
    int fd = open_restore(store, hour, 0);
    if (fd < 0)
        return fd;
    int err = fdatasync(fd) < 0 ? -errno : 0;
    close(fd);
    if (!err && renameat(store->folder, from, store->folder, to) < 0)
        err = -errno;
    return err ? err : store_sync_parents(store->folder, to);
}

int store_restore_finish(struct store *store, hour_t hour) {
    int err = move_in_place(store, hour);
    if (err)
        return err;
    struct log *log;
    pthread_mutex_lock(&store->lock);
    err = store_log(store, hour, &log);
    if (!err) {
        log->present = true;
        log->touched = 0;
        store_account(store, (int64_t)log->committed);
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

void store_restore_abandon(struct store *store, hour_t hour) {
    char path[STORE_PATH_MAX];
    store_path(hour, STORE_RESTORE, path);
    (void)unlinkat(store->folder, path, 0);
}
