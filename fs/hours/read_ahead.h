/*
 * Listing ahead of a reader that walks forward, so that it seldom waits: the page of objects behind
 * the one it has begun, and the folders beside the one it is in.
 */
#ifndef MACIEFS_READ_AHEAD_H
#define MACIEFS_READ_AHEAD_H

#include "hours_private.h"

/* A reader has come to an hour's objects, or to a day's hours. */
void read_ahead_objects(struct hours *hours, hour_t hour);
void read_ahead_days(struct hours *hours, hour_t day);

/*
 * A year's or month's children are asked for (depth 1 or 2): who comes from the year, or from an
 * earlier month of it, will want the next month, too.
 */
void read_ahead_month(struct hours *hours, hour_t folder, unsigned depth);

/*
 * A month was listed. If that was ahead of the reader, the source can go on with the one behind it,
 * while the reader is still in the month before.
 */
void read_ahead_further(struct hours *hours, hour_t month);

/* Whether a folder was listed lately. */
bool is_listed(struct hours *hours, hour_t folder, unsigned depth);

#endif
