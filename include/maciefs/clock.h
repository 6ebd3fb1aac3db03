/*
 * The clock for intervals: it never jumps and is no date.
 */
#ifndef MACIEFS_CLOCK_H
#define MACIEFS_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds since some moment before the process began; never 0, which can mean
 * "never". */
int64_t clock_ms(void);

#endif
