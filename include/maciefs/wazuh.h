/*
 * The wazuh/ view: what was delivered in an hour, in the shape that Wazuh's rules expect.
 *
 * It follows the hours' logs. Each object that is appended to one of them is appended here as well,
 * once, to the file of the hour it was delivered in (its LastModified); its lines are read back
 * from the local log and shaped (shape.h). Files lie in the cache folder as logs do, in a store of
 * their own (<cache>/wazuh/), so they are journaled, durable and byte-identical after a restart in
 * the same way.
 *
 * Shown are the hours from now − window to the next one. An object whose hour has left the window
 * when it is found goes into the current hour; one that was delivered before the view's first hour
 * ever is none of its business. When an hour leaves the window its data goes; its journal stays for
 * as long as its objects may be met again, so that none is taken twice.
 */
#ifndef MACIEFS_WAZUH_H
#define MACIEFS_WAZUH_H

#include <maciefs/hours.h>
#include <maciefs/pace.h>

/* Hours that a delivery may be late: Firehose retries for 24, and people re-drive what failed. */
#define WAZUH_LATE 72

struct wazuh_options {
    const struct config *config;
    struct source *source;
    struct store *logs;            /* of the hours */
    struct publishing *publishing; /* shared memory, for this view alone; the caller's */
    struct pace_shared *pace;      /* likewise */
    bool first;                    /* this is the first server of the mount */
    struct counters *counters;     /* the caller's */
};

struct wazuh;

/*
 * Opens the view's files in the cache folder. Returns 0, or a negative errno of the disk with a
 * fault.
 */
int wazuh_open(const struct wazuh_options *options, struct wazuh **ret, struct fault *fault);

/* How the view follows the hours: for hours_new, which comes between wazuh_open and wazuh_start. */
struct hours_follower wazuh_follower(struct wazuh *wazuh);

/* Starts the thread that takes what the logs have. Returns 0, -ENOMEM or -EAGAIN. */
int wazuh_start(struct wazuh *wazuh, struct hours *hours);

/* Ends the thread; to be called while the hours are there. Accepts NULL. */
void wazuh_stop(struct wazuh *wazuh);

/* Frees; to be called when the hours are gone, who may tell the view of growth until then. */
void wazuh_close(struct wazuh *wazuh); /* accepts NULL */

/* The first and the last hour that are shown now. */
void wazuh_window(const struct wazuh *wazuh, hour_t *ret_first, hour_t *ret_last);
bool wazuh_shows(const struct wazuh *wazuh, hour_t hour);

/* As store_state. */
int wazuh_state(struct wazuh *wazuh, hour_t hour, struct log_state *ret);

/*
 * Reads up to `len` announced bytes at `offset` for a reader (its thread's id), who waits where
 * pace.h says so. Returns their number; 0 at the end, and where the hour has left the window;
 * -EINTR where patience was lost; or -errno of the disk.
 */
ssize_t wazuh_read(struct wazuh *wazuh, hour_t hour, pid_t reader, uint64_t offset, void *at,
                   size_t len, struct patience *patience);

#endif
