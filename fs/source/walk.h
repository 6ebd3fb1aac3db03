/*
 * A folder's regular files in the byte order of their whole paths, page by page.
 *
 * One folder a level is open, with the least of its names that a page can need: memory is bounded
 * by the page and the depth, however many files there are.
 */
#ifndef MACIEFS_WALK_H
#define MACIEFS_WALK_H

#include <maciefs/source.h>
#include <stdatomic.h>
#include <sys/stat.h>

/*
 * Lists one page of what is under the folder `root`, an open descriptor, which stays the caller's.
 * `root_name` is for messages. Returns 0, -EACCES, -ENETDOWN (reading failed), -ENOMEM, or
 * -ECANCELED once `stop` is set.
 */
int walk_list(int root, const char *root_name, const struct list_query *query,
              const atomic_bool *stop, struct listing *page, struct fault *fault);

/* Writes the ETag of a file as it is. */
void walk_etag(const struct stat *st, char ret[OBJECT_ETAG_MAX + 1]);

/* Starts the sentence for a system error, and gives the error that source_list has for it. */
int walk_failed(const char *root_name, const char *key, int err, struct fault *fault);

#endif
