#include "store_private.h"

#include <maciefs/children.h>
#include <maciefs/clock.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How old the note of a file's last use may grow before a read renews it. */
#define TOUCH_MS 60000

int store_open(int folder, const struct store_options *options, struct store **ret,
               struct fault *fault) {
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return fault_set(fault, -ENOMEM, "there is not enough memory to start");
    pthread_mutex_init(&store->lock, NULL);
    store->folder = folder;
    store->options = *options;
    for (size_t i = 0; i < STORE_PUBLISHING_MAX; i++)
        store->left[i] = options->publishing->at[i].hour != 0;
    stored_find_boot(store->boot);
    int err = stored_load(store);
    if (err) {
        store_free(store);
        return fault_set(fault, err, "the cache folder cannot be read: %s", strerror(-err));
    }
    *ret = store;
    return 0;
}

void store_free(struct store *store) {
    if (!store)
        return;
    for (size_t i = 0; i < LOG_BUCKETS; i++)
        for (struct log *log = store->logs[i], *next; log; log = next) {
            next = log->next;
            store_rollback(store, log->hour);
            store_restore_abandon(store, log->hour);
            key_set_free(&log->keys);
            free(log);
        }
    stored_free(store);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

int store_folder(const struct store *store) {
    return store->folder;
}

void store_account(struct store *store, int64_t bytes) {
    atomic_fetch_add(&store->options.counters->cache_bytes_now, (uint64_t)bytes);
}

int store_state(struct store *store, hour_t hour, struct log_state *ret) {
    struct log *log;
    pthread_mutex_lock(&store->lock);
    int err = store_log(store, hour, &log);
    if (!err)
        *ret = (struct log_state){
            .known = log->known,
            .present = log->present,
            .size = log->announced,
            .readable = log->committed,
            .modified = log->modified,
            .refreshed = log->refreshed,
        };
    pthread_mutex_unlock(&store->lock);
    return err;
}

void store_refreshed(struct store *store, hour_t hour, int64_t when) {
    struct log *log;
    pthread_mutex_lock(&store->lock);
    if (store_log(store, hour, &log) == 0)
        log->refreshed = when;
    pthread_mutex_unlock(&store->lock);
}

void store_forget(struct store *store, hour_t hour) {
    pthread_mutex_lock(&store->lock);
    struct log *log = store_find(store, hour);
    if (log && !log->overwritten) {
        key_set_free(&log->keys);
        log->keys_loaded = false;
    }
    pthread_mutex_unlock(&store->lock);
}

/* "05.journal" names hour 05; above the hours a folder's name is the component itself. */
static bool child_of_name(hour_t folder, unsigned depth, const char *name, hour_t *ret) {
    char component[5] = {0};
    size_t len = depth == 0 ? 4 : 2;
    if (strlen(name) < len)
        return false;
    memcpy(component, name, len);
    if (strcmp(name + len, depth == HOUR_DEPTH - 1 ? ".journal" : "") != 0)
        return false;
    return hour_child(folder, depth, component, ret);
}

int store_children(struct store *store, hour_t folder, unsigned depth, struct children *ret) {
    char path[HOUR_PATH_LEN + 1];
    hour_path(folder, depth, path);
    int fd = openat(store->folder, depth ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    int err = 0;
    for (struct dirent *entry; !err && (entry = readdir(dir));) {
        hour_t child;
        if (child_of_name(folder, depth, entry->d_name, &child))
            err = children_add(ret, child, depth);
    }
    closedir(dir);
    return err;
}

/* Notes on the disk that the data is in use, which is what eviction goes by. */
static void touch(struct store *store, struct log *log, int fd) {
    int64_t now = clock_ms();
    pthread_mutex_lock(&store->lock);
    bool due = now - log->touched >= TOUCH_MS || log->touched == 0;
    if (due)
        log->touched = now;
    pthread_mutex_unlock(&store->lock);
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    if (due)
        (void)futimens(fd, times); /* at worst the hour is evicted sooner */
}

bool store_is_absent(struct store *store, struct log *log) {
    char path[STORE_PATH_MAX];
    struct stat st;
    store_path(log->hour, STORE_DATA, path);
    pthread_mutex_lock(&store->lock);
    bool gone = fstatat(store->folder, path, &st, AT_SYMLINK_NOFOLLOW) < 0
                    ? errno == ENOENT
                    : (uint64_t)st.st_size < log->committed;
    if (gone && log->committed > 0)
        log->present = false;
    bool absent = !log->present;
    pthread_mutex_unlock(&store->lock);
    return absent;
}

/* The range's length is that of what is committed: where the file has less, it was taken away. */
static int open_data(struct store *store, struct log *log, struct file_range *range) {
    char path[STORE_PATH_MAX];
    size_t len = range->len;
    store_path(log->hour, STORE_DATA, path);
    int err = file_range_open(store->folder, path, range->offset, len, range);
    if (!err && range->len == len) {
        touch(store, log, range->fd);
        return 0;
    }
    file_range_close(range);
    if (!err || err == -ENODATA)
        (void)store_is_absent(store, log);
    return err ? err : -ENODATA;
}

int store_open_range(struct store *store, hour_t hour, uint64_t offset, size_t len,
                     struct file_range *ret) {
    struct log *log;
    pthread_mutex_lock(&store->lock);
    int err = store_log(store, hour, &log);
    bool present = !err && log->present;
    uint64_t committed = err ? 0 : log->committed;
    pthread_mutex_unlock(&store->lock);
    uint64_t rest = offset < committed ? committed - offset : 0;
    *ret = (struct file_range){-1, offset, len < rest ? len : (size_t)rest};
    if (err || ret->len == 0)
        return err;
    return present ? open_data(store, log, ret) : -ENODATA;
}

ssize_t store_read(struct store *store, hour_t hour, uint64_t offset, void *at, size_t len) {
    struct file_range range;
    int err = store_open_range(store, hour, offset, len, &range);
    return err ? err : file_range_read(&range, at);
}

static int add_key(void *ctx, const struct journal_entry *entry) {
    return key_set_add(ctx, key_digest(entry->key, entry->etag));
}

static int load_keys(struct store *store, struct log *log) {
    char path[STORE_PATH_MAX];
    uint64_t taken;
    store_path(log->hour, STORE_JOURNAL, path);
    int err =
        log->known ? journal_read(store->folder, path, log->hour, add_key, &log->keys, &taken) : 0;
    if (err)
        key_set_free(&log->keys);
    log->keys_loaded = !err;
    return err;
}

int store_has(struct store *store, hour_t hour, const struct object *object) {
    struct key_digest digest = key_digest(object->key, object->etag);
    struct key_digest *found = NULL;
    struct log *log;
    pthread_mutex_lock(&store->lock);
    int result = store_log(store, hour, &log);
    if (!result && !log->keys_loaded)
        result = load_keys(store, log);
    if (!result)
        found = key_set_find(&log->keys, digest);
    if (found)
        result = found->etag == digest.etag ? STORE_SAME : STORE_OVERWRITTEN;
    if (result == STORE_OVERWRITTEN) {
        found->etag = digest.etag; /* told once */
        log->overwritten = true;
    }
    pthread_mutex_unlock(&store->lock);
    return result;
}
