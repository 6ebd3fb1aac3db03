/*
 * The folders in a folder of the tree: a set of years, months, days or hours.
 */
#ifndef MACIEFS_CHILDREN_H
#define MACIEFS_CHILDREN_H

#include <maciefs/hour.h>

/* The folders in a folder: months, days and hours as bits of `mask`; years as a sorted array. */
struct children {
    uint32_t mask;
    uint16_t *years; /* heap */
    size_t year_count;
};

/* Adds a child of a folder at `depth`. Returns 0 or -ENOMEM. */
int children_add(struct children *children, hour_t child, unsigned depth);
bool children_has(const struct children *children, hour_t child, unsigned depth);
void children_free(struct children *children);

/*
 * The `n`th child of the folder, in order. Returns false past the last.
 */
bool children_at(const struct children *children, hour_t folder, unsigned depth, size_t n,
                 hour_t *ret);

#endif
