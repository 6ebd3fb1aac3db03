/* For tests of the store and what stands on it: a cache folder, objects, and their lines. */
#ifndef MACIEFS_STORE_KIT_H
#define MACIEFS_STORE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <maciefs/blobs.h>
#include <maciefs/catalog.h>
#include <maciefs/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR hour_pack(2021, 11, 24, 5)
#define MODIFIED INT64_C(1637733600) /* 2021-11-24 06:00:00 UTC: the hour is over */

struct disk {
    char path[64];
    int folder;
    struct publishing publishing;
    struct counters counters;
    struct store_options options;
    struct store *store;
};

static inline void disk_open_store(struct disk *disk) {
    assert_int_equal(store_open(disk->folder, &disk->options, &disk->store, NULL), 0);
}

static inline void disk_begin(struct disk *disk) {
    *disk = (struct disk){.path = "/tmp/maciefs-test-XXXXXX"};
    assert_int_equal(hour_zone_set("UTC", NULL), 0);
    assert_non_null(mkdtemp(disk->path));
    disk->folder = store_lock(disk->path, "s3://bucket/macie/", NULL);
    assert_true(disk->folder >= 0);
    disk->options = (struct store_options){
        .size = 1 << 30, .publishing = &disk->publishing, .counters = &disk->counters};
    disk_open_store(disk);
}

/* A server ends and another begins. */
static inline void disk_again(struct disk *disk) {
    store_free(disk->store);
    disk_open_store(disk);
}

static inline int disk_remove(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void disk_end(struct disk *disk) {
    store_free(disk->store);
    close(disk->folder);
    assert_int_equal(nftw(disk->path, disk_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* An hour's file, "ndjson" or "journal". */
static inline const char *disk_file(hour_t hour, const char *ending) {
    static _Thread_local char file[HOUR_PATH_LEN + 16];
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    snprintf(file, sizeof file, "%s.%s", path, ending);
    return file;
}

static inline int64_t disk_file_size(struct disk *disk, hour_t hour, const char *ending) {
    struct stat st;
    return fstatat(disk->folder, disk_file(hour, ending), &st, 0) < 0 ? -errno : st.st_size;
}

/* Writes bytes into an hour's file; a negative offset counts from its end. */
static inline void disk_patch(struct disk *disk, hour_t hour, const char *ending, off_t offset,
                              const char *bytes) {
    int fd = openat(disk->folder, disk_file(hour, ending), O_WRONLY);
    assert_true(fd >= 0);
    off_t at = lseek(fd, offset, offset < 0 ? SEEK_END : SEEK_SET);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
    close(fd);
}

static inline void disk_cut(struct disk *disk, hour_t hour, const char *ending, off_t size) {
    int fd = openat(disk->folder, disk_file(hour, ending), O_WRONLY);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static inline struct object object_of(const char *key, int64_t modified, const char *etag) {
    struct object object = {.key = key, .size = 100, .modified = modified};
    snprintf(object.etag, sizeof object.etag, "%s", etag);
    return object;
}

/* A spool that holds text, whose lines are all events. */
static inline struct spool spool_of(struct disk *disk, const char *text) {
    struct spool spool;
    static struct spool_stock stock = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = 8};
    spool_init(&spool, disk->folder, &stock);
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        assert_int_equal(spool_write(&spool, (const uint8_t *)text, (size_t)(end + 1 - text)), 0);
        assert_int_equal(spool_end(&spool, true), 0);
    }
    assert_int_equal(spool_seal(&spool), 0);
    return spool;
}

static inline int disk_write(struct disk *disk, hour_t hour, const char *key, const char *text) {
    struct object object = object_of(key, MODIFIED, "e");
    struct spool spool = spool_of(disk, text);
    int err = store_write(disk->store, hour, &object, &spool, NULL, false);
    spool_free(&spool);
    return err;
}

static inline void disk_append(struct disk *disk, hour_t hour, const char *key, const char *text) {
    assert_int_equal(disk_write(disk, hour, key, text), 0);
    assert_int_equal(store_commit(disk->store, hour), 0);
}

static inline struct log_state disk_state(struct disk *disk, hour_t hour) {
    struct log_state state;
    assert_int_equal(store_state(disk->store, hour, &state), 0);
    return state;
}

static inline ssize_t disk_read_blob(struct disk *disk, hour_t hour, const struct object *object,
                                     uint64_t offset, void *at, size_t len) {
    struct file_range range;
    int err = blob_open_range(disk->store, hour, object, offset, len, &range);
    return err ? err : file_range_read(&range, at);
}

/* The log holds just this text. */
static inline void assert_log(struct disk *disk, hour_t hour, const char *text) {
    size_t len = strlen(text), room = len + 100;
    char *at = malloc(room + 1);
    assert_non_null(at);
    ssize_t n = store_read(disk->store, hour, 0, at, room);
    at[n > 0 ? n : 0] = '\0';
    assert_string_equal(at, text);
    assert_int_equal(n, len);
    assert_int_equal(disk_state(disk, hour).readable, len);
    free(at);
}

#endif
