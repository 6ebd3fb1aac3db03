/* What leaves the disk: by the cache's size what was used least recently; or what is told to. */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files looked at closely in one pass; further passes follow while the cache is too large. */
#define CANDIDATES 1024

/* Longest path below the cache folder: a blob's. */
#define FILE_PATH_MAX 96

struct candidate {
    int64_t used; /* seconds since 1970 */
    int64_t size; /* bytes */
    hour_t hour;  /* of a log; 0 for a single object */
    char path[FILE_PATH_MAX];
};

/* The CANDIDATES files that were used least recently, as a heap with the most recent on top. */
struct candidates {
    struct candidate *at;
    size_t count;
    int64_t total; /* bytes of all files seen */
};

static void swap(struct candidate *a, struct candidate *b) {
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

static void sift_down(struct candidate *at, size_t count, size_t i) {
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && at[child + 1].used > at[child].used)
            child++;
        if (at[i].used >= at[child].used)
            return;
        swap(&at[i], &at[child]);
    }
}

static void sift_up(struct candidate *at, size_t i) {
    for (; i > 0 && at[(i - 1) / 2].used < at[i].used; i = (i - 1) / 2)
        swap(&at[i], &at[(i - 1) / 2]);
}

static void keep_if_older(struct candidates *candidates, const struct candidate *candidate) {
    if (candidates->count < CANDIDATES) {
        candidates->at[candidates->count] = *candidate;
        sift_up(candidates->at, candidates->count++);
    } else if (candidate->used < candidates->at[0].used) {
        candidates->at[0] = *candidate;
        sift_down(candidates->at, candidates->count, 0);
    }
}

/* Whether a file of the folder is data that may be dropped, and whose. */
static bool classify(const char *path, hour_t before, hour_t *ret) {
    char key[STORE_PATH_MAX + 1];
    hour_t hour;
    *ret = 0;
    if (strncmp(path, "objects/", 8) == 0)
        return true;
    if (strlen(path) != HOUR_PATH_LEN + strlen(".ndjson") ||
        strcmp(path + HOUR_PATH_LEN, ".ndjson") != 0)
        return false;
    snprintf(key, sizeof key, "%.*s/", HOUR_PATH_LEN, path);
    if (!hour_of_key(key, &hour) || hour >= before)
        return false;
    *ret = hour;
    return true;
}

static void look_at(struct candidates *candidates, const FTSENT *file, const char *path,
                    hour_t before) {
    struct candidate candidate = {.used = file->fts_statp->st_atime,
                                  .size = file->fts_statp->st_size};
    candidates->total += candidate.size;
    if (strlen(path) >= sizeof candidate.path || !classify(path, before, &candidate.hour))
        return;
    memcpy(candidate.path, path, strlen(path) + 1);
    if (candidates->at)
        keep_if_older(candidates, &candidate);
}

/* Walks the folder. Without `at` it only adds up sizes. Returns 0 or -errno. */
static int walk(int folder, struct candidates *candidates, hour_t before) {
    char root[32];
    snprintf(root, sizeof root, "/proc/self/fd/%d/", folder);
    char *const roots[] = {root, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!tree)
        return -errno;
    for (FTSENT *file; (file = fts_read(tree));)
        if (file->fts_info == FTS_F) {
            const char *path = file->fts_path + strlen(root);
            look_at(candidates, file, path + strspn(path, "/"), before);
        }
    fts_close(tree);
    return 0;
}

/*
 * Walks the folder and sets the count of its bytes right, which a crash or somebody's `rm` may have
 * made wrong. Where others have changed the count meanwhile it is left alone: the walk cannot tell
 * what it saw of theirs. Returns 0, -EAGAIN where it was left alone, or -errno.
 */
static int measure(struct store *store, struct candidates *candidates, hour_t before) {
    atomic_uint_fast64_t *count = &store->options.counters->cache_bytes_now;
    uint64_t seen = atomic_load(count);
    int err = walk(store->folder, candidates, before);
    if (err)
        return err;
    return atomic_compare_exchange_strong(count, &seen, (uint64_t)candidates->total) ? 0 : -EAGAIN;
}

static int by_use(const void *a, const void *b) {
    int64_t x = ((const struct candidate *)a)->used, y = ((const struct candidate *)b)->used;
    return x < y ? -1 : x > y;
}

/* Returns whether it was dropped. */
static bool drop(struct store *store, const struct candidate *candidate) {
    struct log *log;
    pthread_mutex_lock(&store->lock);
    bool free_to_go =
        candidate->hour == 0 || (store_log(store, candidate->hour, &log) == 0 && !log->uncommitted);
    if (free_to_go && unlinkat(store->folder, candidate->path, 0) < 0)
        free_to_go = false;
    if (free_to_go && candidate->hour) {
        log->present = log->committed == 0;
        stored_drop(store, candidate->hour);
    }
    pthread_mutex_unlock(&store->lock);
    if (free_to_go)
        store_account(store, -candidate->size);
    return free_to_go;
}

/* One pass. *ret_hours grows by the hours dropped. Returns the number of files dropped. */
static size_t evict_some(struct store *store, hour_t before, unsigned *ret_hours) {
    struct candidates candidates = {.at = calloc(CANDIDATES, sizeof(struct candidate))};
    size_t dropped = 0;
    int err = candidates.at ? measure(store, &candidates, before) : -ENOMEM;
    if (err && err != -EAGAIN)
        goto out;
    qsort(candidates.at, candidates.count, sizeof *candidates.at, by_use);
    /* To nine tenths, so that the next append does not begin it all again. */
    int64_t goal = (int64_t)(store->options.size / 10 * 9);
    for (size_t i = 0; i < candidates.count && candidates.total > goal; i++)
        if (drop(store, &candidates.at[i])) {
            candidates.total -= candidates.at[i].size;
            *ret_hours += candidates.at[i].hour != 0;
            dropped++;
        }
out:
    free(candidates.at);
    return dropped;
}

unsigned store_evict(struct store *store, hour_t before) {
    unsigned hours = 0;
    while (atomic_load(&store->options.counters->cache_bytes_now) > store->options.size &&
           evict_some(store, before, &hours) > 0)
        ;
    atomic_fetch_add(&store->options.counters->evicted, hours);
    return hours;
}

int store_drop_data(struct store *store, hour_t hour) {
    char path[STORE_PATH_MAX];
    struct stat st;
    struct log *log = store_find(store, hour);
    store_path(hour, STORE_DATA, path);
    if (fstatat(store->folder, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (unlinkat(store->folder, path, 0) < 0)
        return -errno;
    if (log)
        log->present = log->committed == 0;
    store_account(store, -st.st_size);
    return 0;
}

/* The lock is held. */
static int discard(struct store *store, hour_t hour) {
    int err = store_drop_data(store, hour);
    if (!err)
        stored_drop(store, hour);
    return err;
}

int store_discard(struct store *store, hour_t hour) {
    struct log *log;
    pthread_mutex_lock(&store->lock);
    int err = store_log(store, hour, &log);
    if (!err)
        err = discard(store, hour);
    pthread_mutex_unlock(&store->lock);
    return err;
}

int store_remove(struct store *store, hour_t hour) {
    char path[STORE_PATH_MAX];
    struct log *log;
    store_path(hour, STORE_JOURNAL, path);
    pthread_mutex_lock(&store->lock);
    int err = store_log(store, hour, &log);
    if (!err)
        err = discard(store, hour);
    if (!err && unlinkat(store->folder, path, 0) < 0 && errno != ENOENT)
        err = -errno;
    if (!err) {
        key_set_free(&log->keys);
        *log = (struct log){.next = log->next, .hour = hour, .restoring = -1};
    }
    pthread_mutex_unlock(&store->lock);
    return err;
}

int store_folder_bytes(int folder, uint64_t *ret) {
    struct candidates candidates = {0};
    int err = walk(folder, &candidates, 0);
    *ret = (uint64_t)candidates.total;
    return err;
}

int store_measure(struct store *store) {
    struct candidates candidates = {0};
    return measure(store, &candidates, 0);
}
