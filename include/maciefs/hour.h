/*
 * An hour: one YYYY/MM/DD/HH directory of the bucket.
 *
 * An hour is what its directory is named, nothing more: it is a label that Firehose chose, in the
 * time zone of the stream. Its packed form keeps the label's fields side by side, so it orders as
 * the names do, costs four bytes, and an inode number made from it can be read by eye. Only when
 * labels meet the clock (which hours are current?) does the zone matter.
 */
#ifndef MACIEFS_HOUR_H
#define MACIEFS_HOUR_H

#include <maciefs/fault.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * year << 14 | month << 10 | day << 5 | hour; 27 bits, as years reach from 1 to 8191.
 * A folder above the hours is named the same way, with the fields it lacks left zero: 2026/11 has
 * no day and no hour. Its depth tells it from the hour that is midnight.
 */
typedef uint32_t hour_t;

#define HOUR_BITS 27
#define HOUR_PATH_LEN 13 /* "2026/11/24/05" */
#define HOUR_DEPTH 4     /* year, month, day, hour */

static inline hour_t hour_pack(unsigned year, unsigned month, unsigned day, unsigned hour) {
    return (hour_t)(year << 14 | month << 10 | day << 5 | hour);
}
static inline unsigned hour_year(hour_t h) {
    return h >> 14;
}
static inline unsigned hour_month(hour_t h) {
    return h >> 10 & 15;
}
static inline unsigned hour_day(hour_t h) {
    return h >> 5 & 31;
}
static inline unsigned hour_hour(hour_t h) {
    return h & 31;
}

/*
 * Reads the hour from the start of a key: exactly "YYYY/MM/DD/HH/" (digits, in their ranges, 29th
 * of February only in leap years), with anything after it. Returns false, leaving *ret, where the
 * key is of no hour.
 */
bool hour_of_key(const char *key, hour_t *ret);

/*
 * Reads one path component under a folder `depth` levels below the root (0: a year is expected …
 * 3: an hour), and adds it to the folder's label. Takes exactly 4 or 2 digits.
 * Returns false, leaving *ret, where the name is none.
 */
bool hour_child(hour_t folder, unsigned depth, const char *name, hour_t *ret);

/*
 * Writes the label's first `depth` components ("2026", … "2026/11/24/05"), NUL-terminated; depth 0
 * gives "".
 */
void hour_path(hour_t hour, unsigned depth, char ret[HOUR_PATH_LEN + 1]);

/*
 * Sets the stream's time zone for the whole process, before threads start. Takes "UTC", an IANA
 * name
 * ("Europe/Berlin") or an offset ("+02:00", "-0930", "+2"; east of Greenwich is positive, from
 * -12:00 to +14:00). Returns 0, or -EINVAL with a fault that says what it takes.
 */
int hour_zone_set(const char *zone, struct fault *fault);

/* The hour that begins at or before `when` in the stream's zone. */
hour_t hour_at(time_t when);

/* The second at which the hour begins. Of two such (clocks put back) the earlier. */
time_t hour_start(hour_t hour);

/* The same, but for an hour that lies ahead: then that of the current one. Nothing of it is older.
 */
time_t hour_start_past(hour_t hour);

/* The hour `n` hours after this one (before, if negative), as labels count. */
hour_t hour_add(hour_t hour, int n);

#endif
