/*
 * Points in time as AWS's services write them.
 */
#ifndef MACIEFS_ISO8601_H
#define MACIEFS_ISO8601_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * "2026-11-24T05:06:07Z", with or without a fraction of a second, which is dropped, in seconds
 * since 1970. False where it is no such text, or no such day.
 */
bool iso8601_parse(const char *at, size_t len, int64_t *ret);

/* The same with an offset ("+01:00") in the place of the Z too, as programs write it, or "UTC", as
 * the AWS CLI once did. */
bool iso8601_parse_offset(const char *at, size_t len, int64_t *ret);

#endif
