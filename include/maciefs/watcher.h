/*
 * Watching the hours that can grow.
 *
 * Every `poll` the previous, the current and the next hour are listed, and every minute (and
 * first of all) the last WATCHER_SPAN hours, within which Firehose delivers late objects; what is
 * new is appended in the background. Progress is what the journals say, never a greatest key or
 * time.
 */
#ifndef MACIEFS_WATCHER_H
#define MACIEFS_WATCHER_H

#include <maciefs/hours.h>

#define WATCHER_SPAN 25        /* hours: Firehose retries a delivery for 24 */
#define WATCHER_SWEEP_MS 60000 /* how often all of them are listed */

struct watcher;

/* Starts the thread. Returns 0, or -ENOMEM or -EAGAIN. */
int watcher_start(const struct hours_options *options, struct hours *hours, struct watcher **ret);

/* Ends and frees it. Accepts NULL. */
void watcher_stop(struct watcher *watcher);

#endif
