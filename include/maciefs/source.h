/*
 * Where objects come from.
 *
 * A source is a flat set of objects under names (keys) in byte order, which can be listed from any
 * place and whose bytes can be fetched: an S3 bucket's prefix, or a local folder laid out like it.
 * Nothing to the right of this interface knows which. Keys are always relative to the mount's
 * prefix ("2026/11/24/05/name"). Every function may be called from many threads at once.
 */
#ifndef MACIEFS_SOURCE_H
#define MACIEFS_SOURCE_H

#include <maciefs/bytes.h>
#include <maciefs/config.h>
#include <maciefs/fault.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define OBJECT_KEY_MAX 1024   /* bytes; S3's limit for a whole key */
#define OBJECT_ETAG_MAX 127   /* bytes, without the quotes */
#define LISTING_PAGE_MAX 1000 /* entries; S3's limit for one answer */

struct object {
    const char *key;                /* relative to the mount's prefix; of the listing's memory */
    uint64_t size;                  /* bytes as stored, compressed */
    int64_t modified;               /* LastModified, seconds since 1970 */
    char etag[OBJECT_ETAG_MAX + 1]; /* opaque; without quotes */
};

/* Less than 0, 0 or more, as with strcmp: by LastModified, then key; the order of logs. */
int object_order(const struct object *a, const struct object *b);

/* What to list. All strings may be NULL, which means "". */
struct list_query {
    const char *prefix; /* only keys that begin so */
    const char *after;  /* only keys greater than this */
    const char *token;  /* the `next` of the page before, for the page that follows it */
    char fold;          /* keys with it behind the prefix are folded at it; '/': into folders; 0 */
    unsigned limit;     /* entries a page, 1 … LISTING_PAGE_MAX; 0 is LISTING_PAGE_MAX */
};

/* One page of an answer, in key order. */
struct listing {
    struct object *objects;
    size_t object_count;
    char **folders; /* what keys were folded into: relative, and ending in the query's `fold` */
    size_t folder_count;
    char *next;     /* token for the next page; NULL at the end */
    int64_t now;    /* the source's own clock when it answered, seconds since 1970 */
    size_t skipped; /* entries that no key can be made of: over-long, or not what was asked for */
    bool unsettled; /* what is still being written was left out, and may be there in a second */
    struct arena *arena;
};

/* Takes an object's bytes. `restart` is called before bytes are sent again from the first. */
struct object_sink {
    bytes_sink write;
    int (*restart)(void *ctx);
    void *ctx;
};

struct source;
struct source_ops {
    int (*list)(struct source *, const struct list_query *, struct listing *, struct fault *);
    int (*get)(struct source *, const struct object *, const struct object_sink *, struct fault *);
    void (*stop)(struct source *);
    void (*free)(struct source *);
};

/* Each source's own struct begins with this one. */
struct source {
    const struct source_ops *ops;
    const char *name;   /* as users know it, with the prefix in full: "s3://bucket/macie/" */
    const char *bucket; /* "bucket", or the folder's path; for messages and log_info */
    const char *prefix; /* what stands before every relative key in the bucket; "" or text */
    bool folds_any;     /* keys can be folded at any character, not at '/' alone */
};

/*
 * Opens the source that the configuration names and looks whether it can serve: it is reachable,
 * may be listed, and has something under the prefix. A prefix works with and without its final '/':
 * whichever form has hours is taken (the folder, where both have), and the folder where none has
 * and anything is in it. A whole bucket and a local folder may be empty.
 * Returns 0 and a source to be freed by source_free; or a negative errno and a fault that names
 * cause and cure: -EACCES credentials or rights, -ENOENT no such bucket, folder or prefix,
 * -EHOSTUNREACH or -ETIMEDOUT the network, -EINVAL wrong region or endpoint.
 */
int source_open(const struct config *config, struct source **ret, struct fault *fault);

/* How a source is made under exactly this prefix (NULL: as configured), asking nobody. */
typedef int (*source_maker)(const struct config *config, const char *prefix, struct source **ret,
                            struct fault *fault);

/* source_open's search for the form of the prefix, over any kind of source. */
int source_resolve(const struct config *config, source_maker make, struct source **ret,
                   struct fault *fault);

/*
 * As source_open, but takes `prefix` (of an earlier source_open) as it is and asks nobody: for a
 * server that must come back while the network is away.
 */
int source_reopen(const struct config *config, const char *prefix, struct source **ret,
                  struct fault *fault);

/*
 * Lists one page. Retries what is worth it. Returns 0 and a page to be freed by listing_free, also
 * where it is empty; or -EACCES, -ENOENT, -ENETDOWN (away: the caller may go on with what it
 * knows), -EPROTO (an answer that is none), -ENOMEM, -ECANCELED after source_stop.
 */
int source_list(struct source *source, const struct list_query *query, struct listing *ret,
                struct fault *fault);

/*
 * Sends the object's stored bytes, in order and complete, to the sink; retries what is worth it,
 * telling the sink to restart. Returns 0 when as many bytes as the object has were sent, and
 * its ETag, where it is an MD5 of them, is right. Errors: as source_list; -ENOENT where the object
 * is gone; -ESTALE where it is no longer the one that was listed; -EIO where bytes do not add up
 * after all retries; or the sink's own error, at once.
 */
int source_get(struct source *source, const struct object *object, const struct object_sink *sink,
               struct fault *fault);

/* Makes all calls under way and to come return -ECANCELED soon. */
void source_stop(struct source *source);

/* Frees it. No call may be under way. Accepts NULL. */
void source_free(struct source *source);

/* Frees a page. Accepts a zeroed one. */
void listing_free(struct listing *listing);

/*
 * For sources that build a page, which starts zeroed: each copies its text into the page's memory.
 * A key or ETag that is over-long or holds a NUL is counted in `skipped` instead. Return 0,
 * -ENOMEM, or -EMSGSIZE past LISTING_PAGE_MAX entries (objects and folders) or for a token that no
 * server would send.
 */
int listing_add_object(struct listing *listing, const char *key, size_t key_len, uint64_t size,
                       int64_t modified, const char *etag);
int listing_add_folder(struct listing *listing, const char *key, size_t key_len);
int listing_set_next(struct listing *listing, const char *token);

#endif
