/* What the files of the store share: the log in memory, and where things lie on the disk. */
#ifndef MACIEFS_STORE_PRIVATE_H
#define MACIEFS_STORE_PRIVATE_H

#include <maciefs/file_sink.h>
#include <maciefs/key_set.h>
#include <maciefs/store.h>
#include <pthread.h>

#define LOG_BUCKETS 1024

/*
 * A log as far as it was needed. Made on first use and kept, some 200 bytes an hour. Guarded by
 * the store's lock, but for what only the one writer touches.
 */
struct log {
    struct log *next;
    hour_t hour;
    bool loaded;  /* the journal was read */
    bool known;   /* there is a journal */
    bool present; /* there is data, `committed` bytes of it */
    uint64_t committed;
    uint64_t announced;
    uint64_t journal_len;
    int64_t modified;
    int64_t refreshed;
    int64_t touched; /* when a read last noted its use on the disk; monotonic ms */
    bool keys_loaded;
    struct key_set keys;
    bool overwritten; /* the keys know of an object that was, and that it was told of */

    /* The writer's own. */
    struct uncommitted *uncommitted; /* between store_write and the commit */
    int restoring;                   /* evicted data on its way back: an unnamed file, or -1 */
};

struct store {
    pthread_mutex_t lock;
    int folder;
    struct store_options options;
    struct log *logs[LOG_BUCKETS];
    bool left[STORE_PUBLISHING_MAX]; /* what an earlier server could not announce */
};

enum store_file { STORE_DATA, STORE_JOURNAL };

#define STORE_PATH_MAX (HOUR_PATH_LEN + sizeof ".journal")

/* Adds up what is in a cache folder. Returns 0 or -errno. */
int store_folder_bytes(int folder, uint64_t *ret);

/* Where an hour's file lies, relative to the folder. */
void store_path(hour_t hour, enum store_file file, char ret[STORE_PATH_MAX]);

/* Makes the folders that a relative path stands in. Returns 0 or -errno. */
int store_make_parents(int folder, const char *path);

/* Makes the entries of the folders that a path stands in durable. Returns 0 or -errno. */
int store_sync_parents(int folder, const char *path);

/* The log, loaded; the lock is held. Returns 0 or -errno. */
int store_log(struct store *store, hour_t hour, struct log **ret);

/* The log if it was ever asked for, or NULL; the lock is held. */
struct log *store_find(struct store *store, hour_t hour);

/*
 * Notes that the data is not on the disk, if it is not: it was evicted, or taken away by someone.
 * Returns whether that is so.
 */
bool store_is_absent(struct store *store, struct log *log);

/* Counts bytes that came to, or went from, the disk. */
void store_account(struct store *store, int64_t bytes);

#endif
