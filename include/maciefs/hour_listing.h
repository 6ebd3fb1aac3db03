/*
 * The objects of one hour: built as they come, page after page, then shared and never changed.
 *
 * A listing is one piece of memory, objects and keys together, counted by whoever keeps the
 * listings (the catalog).
 */
#ifndef MACIEFS_HOUR_LISTING_H
#define MACIEFS_HOUR_LISTING_H

#include <maciefs/hour.h>
#include <maciefs/source.h>

struct hour_listing {
    hour_t hour;
    int64_t listed;               /* as of when it is to be taken; monotonic milliseconds */
    int64_t now;                  /* the source's clock then, seconds since 1970 */
    const struct object *objects; /* sorted by key */
    size_t count;
};

/* A listing as it is counted: the listing first, so that one is the other. */
struct counted_listing {
    struct hour_listing listing;
    unsigned refs;
    size_t bytes;
    struct counted_listing *newer, *older; /* in the order of last use */
};

struct hour_builder {
    hour_t hour;
    struct buf objects; /* struct object, whose key is an offset into `keys` until it is built */
    struct buf keys;
};

void hour_builder_init(struct hour_builder *builder, hour_t hour);

/* Adds a copy. Returns 0, -ENOMEM, or -EMSGSIZE past what an hour may hold. */
int hour_builder_add(struct hour_builder *builder, const struct object *object);

/*
 * Makes a listing with one reference of what was added, and frees the builder's memory. `now`: the
 * source's clock. Returns 0 or -ENOMEM.
 */
int hour_builder_finish(struct hour_builder *builder, int64_t now, struct counted_listing **ret);

/* Frees what was added. Accepts a finished one. */
void hour_builder_free(struct hour_builder *builder);

#endif
