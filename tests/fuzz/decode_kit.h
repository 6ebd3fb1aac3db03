/* What the fuzz targets of the decoder share. */
#ifndef MACIEFS_FUZZ_DECODE_KIT_H
#define MACIEFS_FUZZ_DECODE_KIT_H

#include <maciefs/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT ((size_t)256 << 10) /* more than the largest window */

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

/* A decoder and what it gave. Kept from run to run: resets must leave nothing behind, and making
 * one is most of a run's time. */
struct way {
    struct decoder *decoder;
    struct buf plain;
};

/* At once: held whole where the format can; in pieces: streamed. */
static inline int decode_one_way(struct way *way, const uint8_t *data, size_t size, uint32_t step) {
    if (!way->decoder) {
        buf_init(&way->plain, LIMIT);
        way->decoder = decoder_new(LIMIT, step ? 0 : LIMIT, buf_sink, &way->plain);
    }
    require(way->decoder);
    decoder_reset(way->decoder);
    buf_reset(&way->plain);
    int err = feed_pieces(way->decoder, data, size, step);
    require((err == 0) == (decoder_reason(way->decoder) == NULL));
    require(decoder_offset(way->decoder) <= size);
    return err;
}

/* Decodes an object at once and in pieces, which must make no difference but one: libdeflate goes
 * by the checksum where zlib already refuses the stream. Returns how it ended at once; the bytes
 * are at *ret_plain until the next call. */
static inline int decode_both_ways(const uint8_t *data, size_t size, const struct buf **ret_plain) {
    static struct way one, two;
    int err = decode_one_way(&one, data, size, 0);
    int err_two = decode_one_way(&two, data, size, (uint32_t)size + 1);
    require(decoder_format(one.decoder) == decoder_format(two.decoder));
    require(two.plain.len <= one.plain.len);
    require(two.plain.len == 0 || memcmp(one.plain.at, two.plain.at, two.plain.len) == 0);
    if (err || !err_two) {
        require(err == err_two);
        require(decoder_reason(one.decoder) == decoder_reason(two.decoder));
        require(one.plain.len == two.plain.len);
    }
    *ret_plain = &one.plain;
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
    const struct buf *plain;
    decode_both_ways(object, size, &plain);
    free(object);
}

#endif
