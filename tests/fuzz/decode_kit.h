/* What the fuzz targets of the decoder share. */
#ifndef MACIEFS_FUZZ_DECODE_KIT_H
#define MACIEFS_FUZZ_DECODE_KIT_H

#include <maciefs/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT ((size_t)1 << 20)

#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Feeds what is there in pieces that depend on the bytes alone: all at once where `step` is 0. */
static inline int feed_pieces(struct decoder *decoder, const uint8_t *data, size_t size,
                              uint32_t step) {
    int err = 0;
    for (size_t at = 0; at < size && !err;) {
        size_t len = step ? 1 + (step = step * 1664525u + data[at]) % 61 : size;
        if (len > size - at)
            len = size - at;
        err = decoder_feed(decoder, data + at, len);
        at += len;
    }
    return err ? err : decoder_finish(decoder);
}

/* Decodes an object at once and in pieces, which must make no difference. Returns how it ended;
 * `plain` has the bytes. */
static inline int decode_both_ways(const uint8_t *data, size_t size, struct buf *plain) {
    struct buf pieces;
    buf_init(plain, LIMIT);
    buf_init(&pieces, LIMIT);
    struct decoder *one = decoder_new(LIMIT, buf_sink, plain);
    struct decoder *two = decoder_new(LIMIT, buf_sink, &pieces);
    require(one && two);
    int err = feed_pieces(one, data, size, 0);
    require(err == feed_pieces(two, data, size, (uint32_t)size + 1));
    require(decoder_reason(one) == decoder_reason(two));
    require((err == 0) == (decoder_reason(one) == NULL));
    require(decoder_format(one) == decoder_format(two));
    require(decoder_offset(one) <= size && decoder_offset(two) <= size);
    require(plain->len == pieces.len);
    require(plain->len == 0 || memcmp(plain->at, pieces.at, plain->len) == 0);
    decoder_free(one);
    decoder_free(two);
    buf_free(&pieces);
    return err;
}

/* The same for whatever an object with this magic may hold behind it. */
static inline void decode_with_magic(const char *magic, size_t magic_len, const uint8_t *data,
                                     size_t size) {
    if (size < magic_len)
        return;
    uint8_t *object = malloc(size);
    require(object);
    memcpy(object, data, size);
    memcpy(object, magic, magic_len);
    struct buf plain;
    decode_both_ways(object, size, &plain);
    buf_free(&plain);
    free(object);
}

#endif
