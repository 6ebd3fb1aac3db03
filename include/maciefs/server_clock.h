/*
 * The time of day as the servers have it, where this machine's clock is off.
 *
 * Requests are dated, and credentials' ends judged, by it: AWS refuses what is dated some minutes
 * wrong, and its credentials end by its own clock. Whoever gets an answer that tells the time sets
 * it; what one learns, all use.
 */
#ifndef MACIEFS_SERVER_CLOCK_H
#define MACIEFS_SERVER_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server_clock {
    int64_t (*now)(void);  /* this machine's, seconds since 1970; NULL for the system's */
    _Atomic int64_t ahead; /* of the servers' against it, in seconds */
};

/* Seconds since 1970. NULL is a clock that nobody corrects. */
int64_t server_clock_now(const struct server_clock *clock);
int64_t server_clock_ahead(const struct server_clock *clock);

/*
 * Sets the clock by an answer's `date` (0 for none), where the two are more than a minute apart,
 * which no answer's travel makes. `ahead`: what the clock was corrected by when the request was
 * dated. True where that was wrong, so that asking again may help; others may have set the clock
 * before.
 */
bool server_clock_follow(struct server_clock *clock, int64_t ahead, int64_t date);

#endif
