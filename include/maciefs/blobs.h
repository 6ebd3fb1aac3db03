/*
 * Single objects on the local disk, decoded: what .objects shows.
 *
 * Each is a file <cache>/objects/2026/11/24/05/<digest of key and ETag>, which is either whole or
 * not there. They count toward the cache's size and are dropped with the oldest unused data.
 */
#ifndef MACIEFS_BLOBS_H
#define MACIEFS_BLOBS_H

#include <maciefs/store.h>

/* Bytes of the decoded object. Returns 0; -ENODATA where it is not on the disk; or -errno. */
int blob_size(struct store *store, hour_t hour, const struct object *object, uint64_t *ret);

/* As store_open_range. */
int blob_open_range(struct store *store, hour_t hour, const struct object *object, uint64_t offset,
                    size_t len, struct file_range *ret);

/* A file for the decoded bytes, not yet visible. Returns a descriptor or -errno. */
int blob_begin(struct store *store);

/* Makes what was written to `fd` the object's blob, durably. Closes fd. Returns 0 or -errno. */
int blob_finish(struct store *store, int fd, hour_t hour, const struct object *object);

#endif
