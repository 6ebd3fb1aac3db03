/*
 * Watching the hours that can grow.
 *
 * Every `poll` the previous, the current and the next hour are listed, and every minute (and
 * first of all) the last WATCHER_SPAN hours, within which Firehose delivers late objects; what is
 * new is appended in the background. Every ten minutes older hours are listed as well, as far back
 * as the follower of the logs (hours.h) wants: of those only the ones with news for it are brought
 * up to date. Progress is what the journals say, never a greatest key or time.
 *
 * A minute and ten are so at the default poll; they are 12 and 120 polls.
 */
#ifndef MACIEFS_WATCHER_H
#define MACIEFS_WATCHER_H

#include <maciefs/hours.h>

#define WATCHER_SPAN 25        /* hours: Firehose retries a delivery for 24 */
#define WATCHER_SWEEP_POLLS 12 /* how often all of them are listed */
#define WATCHER_DEEP_POLLS 120 /* how often older ones are */

struct watcher;

/* Starts the thread. Returns 0, or -ENOMEM or -EAGAIN. */
int watcher_start(const struct hours_options *options, struct hours *hours, struct watcher **ret);

/* Ends and frees it. Accepts NULL. */
void watcher_stop(struct watcher *watcher);

#endif
