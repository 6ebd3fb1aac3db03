/* Building the listing of an hour, and sharing it. */
#ifndef MACIEFS_HOUR_LISTING_H
#define MACIEFS_HOUR_LISTING_H

#include <maciefs/catalog.h>

/* Objects of one hour as they come, page after page. */
struct hour_builder {
    hour_t hour;
    struct buf objects; /* struct object, whose key is an offset into `keys` until it is built */
    struct buf keys;
};

/* What is shared: the listing first, so that one is the other. */
struct counted_listing {
    struct hour_listing listing;
    unsigned refs;
    size_t bytes;
    struct counted_listing *newer, *older; /* in the order of last use */
};

void hour_builder_init(struct hour_builder *builder, hour_t hour);
int hour_builder_add(struct hour_builder *builder, const struct object *object);

/*
 * Makes a listing with one reference of what was added, and frees the builder's memory. Returns 0
 * or -ENOMEM.
 */
int hour_builder_finish(struct hour_builder *builder, int64_t now, struct counted_listing **ret);
void hour_builder_free(struct hour_builder *builder);

/*
 * Keeps in the catalog what was learned elsewhere, and shares it. Frees the builder's memory.
 * Returns 0 or -ENOMEM.
 */
int catalog_learn(struct catalog *catalog, struct hour_builder *builder, struct hour_listing **ret);

#endif
