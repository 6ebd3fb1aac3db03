/*
 * The source's clock, as far as its answers give it away.
 *
 * An answer names whole seconds: the source's clock was somewhere in that second at some moment
 * between question and answer. Each answer so bounds how far that clock is ahead of ours, and a few
 * of them at different moments bound it closely.
 */
#ifndef MACIEFS_SOURCE_CLOCK_H
#define MACIEFS_SOURCE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct source_clock {
    bool known;
    int64_t min, max; /* bounds of the source's milliseconds less clock_ms() */
};

/* An answer named `second` (since 1970); asked and answered are clock_ms(). */
void source_clock_note(struct source_clock *clock, int64_t second, int64_t asked, int64_t answered);

/*
 * When (clock_ms) the source's clock will show `second`: certainly, where that is known closely;
 * else the middle of when it may, where one more question halves the doubt.
 */
int64_t source_clock_reaches(const struct source_clock *clock, int64_t second);

#endif
