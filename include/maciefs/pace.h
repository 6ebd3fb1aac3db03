/*
 * New bytes for the log collector, no faster than it can take them.
 *
 * Wazuh's log collector queues 1,024 lines and drops what does not fit, so what it has not been
 * given before is given at a rate: its read is answered when its turn has come, with a tenth of a
 * second's lines at most. Whatever was given once is given at full speed from then on, since the
 * collector hashes all of it again when it starts; and other readers are never held up.
 *
 * How much of each hour was given is kept in memory that outlasts the server, and now and then in
 * a file, for when the mount begins anew.
 */
#ifndef MACIEFS_PACE_H
#define MACIEFS_PACE_H

#include <maciefs/hours.h>
#include <sys/types.h>

/* Hours that are remembered; the oldest give way. */
#define PACE_HOURS_MAX 1024

/* Memory that outlasts a server; zeroed at first. */
struct pace_shared {
    struct {
        hour_t hour;    /* 0: free */
        uint64_t given; /* bytes from the file's start */
    } at[PACE_HOURS_MAX];
};

struct pace;

/*
 * `rate`: lines a second; 0 for no limit. `folder`: where the file is; its text is read if `first`,
 * for the first server of a mount. Returns 0 or -ENOMEM.
 */
int pace_new(unsigned rate, int folder, struct pace_shared *shared, bool first, struct pace **ret);

/* Saves what was given, and frees. Accepts NULL. */
void pace_free(struct pace *pace);

/* Saves what was given, if that has changed. At worst a restart gives some bytes at the rate again.
 */
void pace_save(struct pace *pace);

/*
 * A reader (its thread's id; 0 where that is hidden) is about to be given `len` bytes, `at`, of an
 * hour's file at `offset`. Waits where it has to. Returns how many of the bytes may be given now,
 * at least 1 where there are any; or -EINTR where patience was lost.
 */
ssize_t pace_give(struct pace *pace, pid_t reader, hour_t hour, uint64_t offset, const uint8_t *at,
                  size_t len, struct patience *patience);

#endif
