/*
 * Byte buffers with an upper bound.
 *
 * Whatever grows with input grows in a `struct buf`, which never passes the limit it was given: an
 * append that would is refused and changes nothing. Bytes on their way through the pipeline go from
 * one stage to the next through a `bytes_sink`.
 */
#ifndef MACIEFS_BYTES_H
#define MACIEFS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *at;  /* heap; NULL while empty */
    size_t len;   /* bytes in use */
    size_t cap;   /* bytes allocated */
    size_t limit; /* bytes it may ever hold */
    bool secret;  /* what is given up is overwritten */
};

/*
 * Takes `len` bytes that are valid only during the call.
 * Returns 0, or a negative errno, which the stage above hands on unchanged.
 */
typedef int (*bytes_sink)(void *ctx, const uint8_t *at, size_t len);

/* An empty buffer in place; allocates nothing. */
void buf_init(struct buf *buf, size_t limit);

/* The same for a secret: what it gives up is overwritten, also as it grows. */
void buf_init_secret(struct buf *buf, size_t limit);

/* Returns 0, -ENOMEM, or -EMSGSIZE where the limit would be passed. */
int buf_append(struct buf *buf, const void *at, size_t len);

/* Appends a string without its NUL. Errors as buf_append. */
int buf_append_str(struct buf *buf, const char *text);

/* Appends formatted text without its NUL; no secret, of which printf leaves copies. Errors as
 * buf_append. */
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes sure a NUL follows the bytes (not counted in `len`); returns them as a string, or NULL. */
const char *buf_str(struct buf *buf);

/* Appends to the `struct buf` that ctx is: a bytes_sink. */
int buf_sink(void *ctx, const uint8_t *at, size_t len);

/* Forgets the bytes and keeps the memory. */
void buf_reset(struct buf *buf);

/* Frees the memory; the buffer is as buf_init left it. Accepts NULL. */
void buf_free(struct buf *buf);

/* The same, after overwriting it, whatever it was made for. */
void buf_free_secret(struct buf *buf);

#endif
