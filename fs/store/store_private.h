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
    struct stored *refetched;        /* its objects, where they are kept; or NULL */
};

/*
 * A log's objects as they are stored, one behind the other in the journal's order, in a file of
 * their own: while the log's bytes may not be on the disk, they can be made of these again. Guarded
 * by the store's lock, but for what only the log's writer touches. It is listed with its first
 * commit.
 */
struct stored {
    struct stored *next;
    hour_t hour;
    bool listed;
    int data;      /* the log's file, which tells when writing it failed; -1: its bytes are lost */
    uint64_t len;  /* bytes that are committed */
    int64_t since; /* when the last of them were; monotonic ms */

    /* The writer's own. */
    int fd; /* the file, while it grows; else -1 */
    uint64_t written;
};

/* An identifier of the time since the machine was started. */
#define BOOT_LEN 36

struct store {
    pthread_mutex_t lock;
    int folder;
    struct store_options options;
    struct log *logs[LOG_BUCKETS];
    bool left[STORE_PUBLISHING_MAX]; /* what an earlier server could not announce */
    struct stored *stored;
    unsigned stored_count;
    char boot[BOOT_LEN + 1]; /* empty where the kernel does not tell */
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

/* Drops a log's bytes, without a look at the journal; the lock is held. Returns 0 or -errno. */
int store_drop_data(struct store *store, hour_t hour);

/* -- stored.c -------------------------------------------------------------------------------------
 */

void stored_find_boot(char ret[BOOT_LEN + 1]);

/*
 * Takes up what earlier servers left, and drops the bytes of logs that may have been lost with the
 * machine. Before any log is loaded. Returns 0 or -errno.
 */
int stored_load(struct store *store);
void stored_free(struct store *store);

/* Those that are committed, or NULL; the lock is held. */
struct stored *stored_find(const struct store *store, hour_t hour);

/*
 * For the writer of a log: begins to add to them, where they are, or would be, all that the log
 * holds, as also where it is restored; else, and on an error, returns NULL. Ends with stored_commit
 * or stored_abandon.
 */
struct stored *stored_begin(struct store *store, const struct log *log);

/*
 * Adds an object of `size` bytes. Where it cannot be kept whole, or is NULL, those before it are of
 * no use: they are abandoned, and *stored becomes NULL. Accepts such a one.
 */
void stored_add(struct store *store, struct stored **stored, const struct spool *object,
                uint64_t size);

/* Makes them durable. Returns 0 or -errno. */
int stored_sync(struct store *store, struct stored *stored);

/*
 * They count, as the journal tells of them; the lock is held. Takes over the log's descriptor, and
 * leaves -1, where they were none before.
 */
void stored_commit(struct store *store, struct stored *stored, int *data);

/* Forgets what was not committed, and frees where nothing was. */
void stored_abandon(struct store *store, struct stored *stored);

/* They are not needed any more, if there are any; the lock is held. */
void stored_drop(struct store *store, hour_t hour);

#endif
