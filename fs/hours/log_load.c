/* A log's way into memory: from its journal, and from what a crash may have left behind it. */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int take_entry(void *ctx, const struct journal_entry *entry) {
    struct log *log = ctx;
    log->committed = entry->offset + entry->length;
    if (entry->modified > log->modified)
        log->modified = entry->modified;
    return 0;
}

/* Cuts a file back to `len` bytes. Returns its length before, or -errno. */
static int64_t cut_file(int folder, const char *path, uint64_t len) {
    struct stat st;
    int fd = openat(folder, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int64_t result = fstat(fd, &st) < 0 ? -errno : st.st_size;
    if (result > (int64_t)len && (ftruncate(fd, (off_t)len) < 0 || fsync(fd) < 0))
        result = -errno;
    close(fd);
    return result;
}

static int load_journal(struct store *store, struct log *log) {
    char path[STORE_PATH_MAX];
    store_path(log->hour, STORE_JOURNAL, path);
    int err = journal_read(store->folder, path, log->hour, take_entry, log, &log->journal_len);
    if (err == -ENOENT)
        return 0;
    if (err)
        return err;
    log->known = log->journal_len > 0;
    int64_t len = cut_file(store->folder, path, log->journal_len);
    return len < 0 ? (int)len : 0;
}

static int load_data(struct store *store, struct log *log) {
    char path[STORE_PATH_MAX];
    store_path(log->hour, STORE_DATA, path);
    int64_t len = cut_file(store->folder, path, log->committed);
    if (len < 0 && len != -ENOENT)
        return (int)len;
    log->present = len >= (int64_t)log->committed || log->committed == 0;
    if (!log->present && len >= 0)
        (void)unlinkat(store->folder, path, 0); /* a torn file is worth nothing */
    return 0;
}

/* What an earlier server had announced of this log when it died while publishing more. */
static uint64_t announced_before(const struct store *store, const struct log *log) {
    const struct publishing *publishing = store->options.publishing;
    for (size_t i = 0; i < STORE_PUBLISHING_MAX; i++)
        if (publishing->at[i].hour == log->hour && publishing->at[i].announced < log->committed)
            return publishing->at[i].announced;
    return log->committed;
}

static int load(struct store *store, struct log *log) {
    log->committed = 0;
    log->modified = 0;
    int err = load_journal(store, log);
    if (!err)
        err = load_data(store, log);
    if (err)
        return err;
    log->announced = announced_before(store, log);
    log->loaded = true;
    return 0;
}

static struct log **place(struct store *store, hour_t hour) {
    struct log **at = &store->logs[(hour ^ hour >> 10) % LOG_BUCKETS];
    while (*at && (*at)->hour != hour)
        at = &(*at)->next;
    return at;
}

struct log *store_find(struct store *store, hour_t hour) {
    return *place(store, hour);
}

int store_log(struct store *store, hour_t hour, struct log **ret) {
    struct log **at = place(store, hour);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            return -ENOMEM;
        (*at)->hour = hour;
        (*at)->restoring = -1;
    }
    int err = (*at)->loaded ? 0 : load(store, *at);
    if (!err)
        *ret = *at;
    return err;
}
