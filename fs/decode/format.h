/*
 * What decode.c and the formats have between them.
 *
 * A format is a machine: it takes stored bytes from a span and writes plain bytes to an output. It
 * is fed pieces of any size, so whatever a cut may split it keeps in its own state. Lengths that
 * the object announces are never memory by themselves: what is kept grows with the bytes that came.
 */
#ifndef MACIEFS_FORMAT_H
#define MACIEFS_FORMAT_H

#include <maciefs/bytes.h>
#include <stdbool.h>

/* Large enough that what zlib does once a window is small beside what it does a byte. */
#define OUTPUT_WINDOW ((size_t)128 * 1024)

/* Bytes that tell every format from every other. */
#define HEAD_MAX ((size_t)16)

/* Stored bytes not yet taken; taking moves the start. */
struct span {
    const uint8_t *at;
    size_t len;
};

/* Where plain bytes go, and the limit on them. */
struct output {
    bytes_sink sink;
    void *ctx;
    uint64_t left;                 /* bytes it may still take */
    const char *reason;            /* of the damage, once there is some */
    uint8_t window[OUTPUT_WINDOW]; /* the format's own to use */
};

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

struct format {
    const char *name;
    /* Whether an object that begins with these bytes is one; MATCH_MAYBE: more are needed, which
     * never is the case with HEAD_MAX of them. */
    enum match (*match)(const uint8_t *head, size_t len);
    /* Makes a state, for bytes that go to `out`. Returns 0, -ENOMEM or -ENOSYS. */
    int (*open)(struct output *out, void **ret_state);
    /* Makes a used state ready for the next object. */
    void (*restart)(void *state);
    /* Takes all of `in`, or what it can up to an error. */
    int (*feed)(void *state, struct span *in);
    /* Returns 0 where an object may end here, or -EBADMSG. */
    int (*finish)(void *state);
    /* NULL, or what is quicker than to feed it, where all of an object is there. Returns 1 having
     * written all that it holds; 0 having written nothing, for it to be fed; or an error. */
    int (*whole)(void *state, const uint8_t *at, size_t len);
    void (*close)(void *state);
};

extern const struct format gzip_format;
extern const struct format zip_format;
extern const struct format snappy_format;
extern const struct format hadoop_snappy_format;
extern const struct format plain_format; /* matches anything */

/* Takes `len` bytes, which must be there; returns where they stand. */
const uint8_t *span_take(struct span *in, size_t len);

/*
 * Takes bytes that belong together and may come in pieces: where `in` alone does not hold them,
 * they are gathered in `part` (empty at first, and again when they are complete), whose limit must
 * admit them.
 * Returns 1 with `need` bytes at *ret_at, valid until either is used again; 0 where more must come
 * first; or -ENOMEM.
 */
int span_gather(struct span *in, struct buf *part, size_t need, const uint8_t **ret_at);

/* Writes to the `struct output` that ctx is: a bytes_sink. -EBADMSG where the limit ends it. */
int output_write(void *ctx, const uint8_t *at, size_t len);

/* Notes why the object is damaged. Returns -EBADMSG. */
int output_damage(struct output *out, const char *reason);

/* What `at` begins with against a magic of `size` bytes. */
enum match match_magic(const uint8_t *at, size_t len, const void *magic, size_t size);

#endif
