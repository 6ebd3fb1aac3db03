/*
 * The logs on the local disk.
 *
 * An hour's log is a file, with its journal beside it: <cache>/2026/11/24/05.ndjson and .journal.
 * Data flows one way: lines are written behind the committed ones (store_write), then made durable
 * and journaled (store_commit), from when they can fill the kernel's pages; then the mount is told,
 * which makes the kernel forget a last page that it may hold half-filled; then the new size is
 * announced, from when readers see them. What a crash left behind the last journaled byte is cut
 * off when the log is next used. Files and journals say all there is to know, so a server that
 * starts has nothing to rebuild.
 *
 * To wait for a log's bytes takes as long as the disk takes to write them, and an old hour that is
 * fetched as a whole has many. Its objects are far smaller as they are stored. So where the writer
 * hands those over too, they are what a commit makes durable, in stored/2026-11-24-05, and the disk
 * is given time to write the log before it is asked whether it has (store_settle). Should the
 * machine stop before that, the log is made of them again.
 *
 * Data of hours that are over can be dropped (evicted) to stay under the cache's size; journals
 * stay, so sizes are still known, and the data comes back by fetching the journal's objects again.
 *
 * The store knows nothing of where objects come from or who reads. All functions may be called from
 * any thread; at most one thread at a time writes to one log.
 */
#ifndef MACIEFS_STORE_H
#define MACIEFS_STORE_H

#include <maciefs/fault.h>
#include <maciefs/file_range.h>
#include <maciefs/hour.h>
#include <maciefs/journal.h>
#include <maciefs/report.h>
#include <maciefs/spool.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Growth that is durable and not yet announced, in memory that outlasts the process: a new server
 * announces no more than the old one until the kernel's pages are dropped.
 */
#define STORE_PUBLISHING_MAX 128
struct publishing {
    struct {
        hour_t hour; /* 0: free */
        uint64_t announced;
    } at[STORE_PUBLISHING_MAX];
};

struct store_options {
    uint64_t size;                 /* bytes that logs and objects may take on disk */
    struct publishing *publishing; /* shared memory; the caller's */
    struct counters *counters;     /* the caller's */
    /*
     * Makes the kernel drop pages of the log from `offset` on; called without locks, before the new
     * size is announced. NULL: nothing to do.
     */
    void (*drop_pages)(void *ctx, hour_t hour, uint64_t offset);
    void *ctx;
};

struct store;

/*
 * Makes the cache folder if need be, and takes its lock, which the process and its children hold
 * until the last of them ends. Returns a descriptor of the folder for store_open; or -EBUSY where
 * another maciefs holds it, -EEXIST where it belongs to another source, -EACCES, -EROFS, -ENOSPC …,
 * with a fault.
 */
int store_lock(const char *folder, const char *source, struct fault *fault);

/* The place of a cache folder, as it is found. */
struct store_place {
    bool made;     /* the folder is there; else it is made in `folder` */
    char *folder;  /* the cache folder, or the nearest one above it that is there; heap */
    uid_t owner;   /* of that, as the next two */
    mode_t mode;   /* permission bits */
    uint64_t free; /* bytes that this user may still write */
    uint64_t used; /* bytes of the logs that are in it */
    bool locked;   /* another maciefs holds it */
};

/*
 * Looks whether store_lock would take the folder, and leaves everything as it is. `source`: NULL
 * for any. A lock is tried for a moment. Returns 0 and a place to be freed by store_place_free; or
 * store_lock's errors, but for -EBUSY, with its faults.
 */
int store_look(const char *folder, const char *source, struct store_place *ret,
               struct fault *fault);
void store_place_free(struct store_place *place); /* accepts a zeroed one */

/* Opens the store in a locked folder. Returns 0 or a negative errno with a fault. */
int store_open(int folder, const struct store_options *options, struct store **ret,
               struct fault *fault);
void store_free(struct store *store); /* accepts NULL */

/* The folder, for spools. */
int store_folder(const struct store *store);

struct log_state {
    bool known;        /* it has a journal: at least one object was appended */
    bool present;      /* its data is on the disk */
    uint64_t size;     /* bytes announced */
    uint64_t readable; /* bytes committed, at least `size` */
    int64_t modified;  /* newest LastModified of its objects; 0 without any; never goes back */
    int64_t refreshed; /* when it was last brought up to date; monotonic ms; 0 for never */
};

/* What is known of a log, read from its journal where need be. Returns 0 or -errno of the disk. */
int store_state(struct store *store, hour_t hour, struct log_state *ret);

/* Notes that the log is as the source was listed at `when` (monotonic milliseconds). */
void store_refreshed(struct store *store, hour_t hour, int64_t when);

/* The children that hours on the disk give a folder of `depth`: see catalog.h's `struct children`.
 */
struct children;
int store_children(struct store *store, hour_t folder, unsigned depth, struct children *ret);

/*
 * Opens the log for up to `len` bytes at `offset`, never past the committed ones: none at the end.
 * Returns 0; -ENODATA where the data is not on the disk; or -errno.
 */
int store_open_range(struct store *store, hour_t hour, uint64_t offset, size_t len,
                     struct file_range *ret);

/* Reads them. Returns their number, or store_open_range's errors. */
ssize_t store_read(struct store *store, hour_t hour, uint64_t offset, void *at, size_t len);

enum store_has { STORE_NEW, STORE_SAME, STORE_OVERWRITTEN };

/*
 * Whether the log has the object; by its key: an ETag that differs only tells that it was
 * overwritten, which is told once. Returns an enum store_has or -errno.
 */
int store_has(struct store *store, hour_t hour, const struct object *object);

/* Frees what store_has keeps in memory of an hour; for hours that are not watched. */
void store_forget(struct store *store, hour_t hour);

/*
 * Writes an object's lines behind those written before, neither durable nor visible yet. `stored`:
 * its bytes as they are stored, so that the commit need not wait for the log (see above); or NULL.
 * Returns 0; or -ENOSPC and others, with nothing taken.
 */
int store_write(struct store *store, hour_t hour, const struct object *object,
                const struct spool *spool, const struct spool *stored, bool damaged);

/*
 * Commits and publishes what was written since the last commit. On an error all of that is undone:
 * nothing is lost that was readable. Returns 0 or -errno.
 */
int store_commit(struct store *store, hour_t hour);

/* Undoes what was written since the last commit. */
void store_rollback(struct store *store, hour_t hour);

/*
 * Waits for the disk to have the bytes of a log that objects as they are stored stand in for, and
 * drops those; of the one that has waited longest, and at least `age_ms`. *ret_hour is which, 0 for
 * none. Returns 0; or -errno of writing: the log's bytes are then lost.
 */
int store_settle(struct store *store, int64_t age_ms, hour_t *ret_hour);

/* A log whose bytes are lost and that can be restored from its objects as they are stored; or 0. */
hour_t store_lost(struct store *store);

/*
 * Opens what is kept of a log's objects, `len` bytes at `offset`: each begins where the one before
 * it in the journal ends. Returns 0; -ENODATA where that is not kept; or -errno.
 */
int store_open_stored(struct store *store, hour_t hour, uint64_t offset, size_t len,
                      struct file_range *ret);

/* Drops what is kept, if anything is: it is not needed, or of no use. */
void store_drop_stored(struct store *store, hour_t hour);

/*
 * Restoring evicted data: begin; put each object of the journal; finish. The data appears when all
 * are there, and what of it a crash left is gone by itself. store_restore_put checks length and CRC
 * against the journal and returns -ESTALE where they differ. With `keep`, objects are put in the
 * journal's order, each with its bytes as they are stored (store_write); else in any.
 * store_restore_visit walks the journal's entries.
 */
int store_restore_visit(struct store *store, hour_t hour, journal_visitor visit, void *ctx);
int store_restore_begin(struct store *store, hour_t hour, bool keep);
int store_restore_put(struct store *store, hour_t hour, const struct journal_entry *entry,
                      const struct spool *spool, const struct spool *stored);
int store_restore_finish(struct store *store, hour_t hour);
void store_restore_abandon(struct store *store, hour_t hour);

/*
 * Drops the data of the least recently used hours below `before`, and of single objects, until the
 * cache is within its size. Returns how many hours were dropped.
 */
unsigned store_evict(struct store *store, hour_t before);

/*
 * Drops a log's data for good; its journal still tells what it was made of. store_remove takes the
 * journal as well: the log is as if it had never been. Neither may have a writer. Return 0 or
 * -errno.
 */
int store_discard(struct store *store, hour_t hour);
int store_remove(struct store *store, hour_t hour);

/*
 * Adds up what lies in the folder: once for a mount, before anything is written. A server that
 * follows on another finds the count in memory that outlasted it. Returns 0 or -errno.
 */
int store_measure(struct store *store);

/* Announces what an earlier server committed and could not announce. To be called once serving. */
void store_publish_rest(struct store *store);

#endif
