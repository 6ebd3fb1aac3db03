/*
 * What the source has: which hours, and which objects in an hour.
 *
 * Listings are kept for `dir_ttl` and shared by all who ask. Both kinds of question are answered by
 * as few requests as can be: the children of a folder by one request with a delimiter, a month's
 * with their own children by one or two, where the source can do that; and the
 * objects of an hour by a page of bare keys, of which every hour that it holds whole is kept; so a
 * walk through all hours costs what a plain listing of the bucket does. Memory is bounded: the
 * listings of the hours that were asked for least recently are forgotten.
 *
 * Where the source does not answer, what is known is the answer. A listing that left something out
 * for a second (what is still being written; what others of its second may go before) holds for no
 * longer than that.
 */
#ifndef MACIEFS_CATALOG_H
#define MACIEFS_CATALOG_H

#include <limits.h>
#include <maciefs/children.h>
#include <maciefs/hour_listing.h>
#include <maciefs/report.h>
#include <maciefs/source.h>

/* For `max_age_ms`: however old. */
#define CATALOG_ANY_AGE UINT_MAX

struct catalog;

struct catalog *catalog_new(struct source *source, unsigned ttl_ms, struct counters *counters);
void catalog_free(struct catalog *catalog); /* accepts NULL */

/*
 * The children of a folder as they were last listed, added to *ret; *ret_fresh tells whether that
 * was no longer than dir_ttl ago. Asks nobody. Returns 0 or -ENOMEM.
 */
int catalog_children(struct catalog *catalog, hour_t folder, unsigned depth, struct children *ret,
                     bool *ret_fresh);

/* Lists the children of a folder anew; those of a month with theirs, if it can be. Returns 0 or
 * source_list's errors with a fault. */
int catalog_list_folder(struct catalog *catalog, hour_t folder, unsigned depth,
                        struct fault *fault);

/* Where the last page that was listed ended. */
struct page_end {
    bool listed; /* a page was listed at all */
    hour_t next; /* the first hour that it did not hold whole; 0: it ended the source */
};

/*
 * The objects of an hour, listed no longer than `max_age_ms` ago. May wait for the source. Returns
 * 0 and a listing to be given back by catalog_release; or source_list's errors with a fault.
 * `ret_end` may be NULL.
 */
int catalog_objects(struct catalog *catalog, hour_t hour, unsigned max_age_ms,
                    struct hour_listing **ret, struct page_end *ret_end, struct fault *fault);

/* What is known of an hour's objects, if it is no older than that; else NULL. Asks nobody. */
struct hour_listing *catalog_known(struct catalog *catalog, hour_t hour, unsigned max_age_ms);

/*
 * Lists all hours from `first` to `last` anew. Calls `visit` for each hour that has objects, in
 * order. Returns 0, source_list's errors with a fault, or the visitor's value.
 */
typedef int (*hour_visitor)(void *ctx, struct hour_listing *listing);
int catalog_sweep(struct catalog *catalog, hour_t first, hour_t last, hour_visitor visit, void *ctx,
                  struct fault *fault);

/*
 * Keeps what was learned elsewhere (from a journal), as older than any listing, and shares it.
 * Frees the builder's memory. Returns 0 or -ENOMEM.
 */
int catalog_learn(struct catalog *catalog, struct hour_builder *builder, struct hour_listing **ret);

void catalog_release(struct catalog *catalog, struct hour_listing *listing); /* accepts NULL */

#endif
