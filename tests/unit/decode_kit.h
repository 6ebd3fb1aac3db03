/* What the tests of the decoder share: objects made by hand, and the ways to decode one. */
#ifndef MACIEFS_DECODE_KIT_H
#define MACIEFS_DECODE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <maciefs/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define NO_LIMIT UINT64_MAX

/* ---- Making objects ---- */

/* All objects of the tests stay below this. */
static inline struct buf new_buf(void) {
    struct buf buf;
    buf_init(&buf, 64 << 20);
    return buf;
}

static inline void put(struct buf *buf, const void *at, size_t len) {
    assert_int_equal(buf_append(buf, at, len), 0);
}

static inline void put_buf(struct buf *buf, const struct buf *other) {
    put(buf, other->at, other->len);
}

static inline void put_zeros(struct buf *buf, size_t len) {
    while (len-- > 0)
        put(buf, "", 1);
}

static inline void put_le(struct buf *buf, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        put(buf, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static inline void put_be32(struct buf *buf, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        put(buf, &(uint8_t){(uint8_t)(value >> shift)}, 1);
}

/* Numbers that are the same in every run. */
static inline uint32_t next_number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Events as EventBridge sends them, at least `len` bytes of them. */
static inline struct buf make_events(size_t len) {
    struct buf plain = new_buf();
    uint32_t state = 1;
    while (plain.len < len) {
        uint32_t id = next_number(&state);
        assert_int_equal(buf_printf(&plain,
                                    "{\"source\":\"aws.macie\",\"id\":\"%06x\",\"detail\":"
                                    "{\"risk-score\":%u,\"x\":%u}}",
                                    id, id % 100, next_number(&state)),
                         0);
    }
    return plain;
}

/* zlib's window bits choose the wrapper: -15 none, 31 gzip. */
static inline void put_deflated(struct buf *buf, const struct buf *plain, int window_bits,
                                gz_header *header) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (header)
        assert_int_equal(deflateSetHeader(&z, header), Z_OK);
    uint8_t out[4096];
    z.next_in = plain->at;
    z.avail_in = (uInt)plain->len;
    int code;
    do {
        z.next_out = out;
        z.avail_out = sizeof out;
        code = deflate(&z, Z_FINISH);
        put(buf, out, sizeof out - z.avail_out);
    } while (code == Z_OK);
    assert_int_equal(code, Z_STREAM_END);
    deflateEnd(&z);
}

/* ---- Decoding them ---- */

/* How an object is cut into feeds: pieces of so many bytes, or of random lengths. */
enum cuts { CUT_NOWHERE = 0, CUT_BYTES = 1, CUT_SMALL = 7, CUT_RANDOM = -1 };

static const enum cuts all_cuts[] = {CUT_NOWHERE, CUT_BYTES, CUT_SMALL, CUT_RANDOM};
#define CUTS (sizeof all_cuts / sizeof *all_cuts)

static inline size_t next_cut(enum cuts cuts, size_t left, uint32_t *state) {
    size_t len = cuts == CUT_RANDOM ? next_number(state) % 400 : (size_t)cuts;
    return cuts == CUT_NOWHERE || len > left ? left : len;
}

/* Objects in even pieces are streamed, the others may be held whole. */
static inline size_t whole_max_of(enum cuts cuts) {
    return cuts == CUT_NOWHERE || cuts == CUT_RANDOM ? DECODER_WHOLE_MAX : 0;
}

/* Each piece stands in memory of its own, so that the sanitizer sees a read behind it. */
static inline int feed_copy(struct decoder *decoder, const uint8_t *at, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, at, len);
    int err = decoder_feed(decoder, copy, len);
    free(copy);
    return err;
}

/* Feeds a whole object and ends it. */
static inline int feed_object(struct decoder *decoder, const struct buf *object, enum cuts cuts) {
    uint32_t state = (uint32_t)object->len;
    int err = 0;
    for (size_t at = 0; at < object->len && !err;) {
        size_t len = next_cut(cuts, object->len - at, &state);
        err = feed_copy(decoder, object->at + at, len);
        at += len;
    }
    int end = decoder_finish(decoder);
    assert_true(!err || end == err);
    return end;
}

struct decoded {
    struct buf plain;
    int err;
    const char *reason;
    const char *format;
    uint64_t offset;
};

static inline struct decoded decode(const struct buf *object, enum cuts cuts, uint64_t limit) {
    struct decoded result = {.plain = new_buf()};
    struct decoder *decoder = decoder_new(limit, whole_max_of(cuts), buf_sink, &result.plain);
    assert_non_null(decoder);
    result.err = feed_object(decoder, object, cuts);
    result.reason = decoder_reason(decoder);
    result.format = decoder_format(decoder);
    result.offset = decoder_offset(decoder);
    assert_true((result.err == -EBADMSG) == (result.reason != NULL));
    assert_true(result.offset <= object->len);
    decoder_free(decoder);
    return result;
}

static inline int is_prefix(const struct buf *part, const struct buf *whole) {
    return part->len <= whole->len &&
           (part->len == 0 || memcmp(part->at, whole->at, part->len) == 0);
}

static inline int is_same(const struct buf *a, const struct buf *b) {
    return a->len == b->len && is_prefix(a, b);
}

/* However it is cut, the object decodes to these bytes. */
static inline void expect_plain(const struct buf *object, const struct buf *plain,
                                const char *format) {
    for (size_t i = 0; i < CUTS; i++) {
        struct decoded got = decode(object, all_cuts[i], NO_LIMIT);
        assert_int_equal(got.err, 0);
        assert_string_equal(got.format, format);
        assert_int_equal(got.offset, object->len);
        assert_true(is_same(&got.plain, plain));
        buf_free(&got.plain);
    }
}

/* However it is cut, it is damaged for this reason, behind this many right bytes. */
static inline void expect_damaged(const struct buf *object, const struct buf *plain, size_t right,
                                  const char *reason) {
    for (size_t i = 0; i < CUTS; i++) {
        struct decoded got = decode(object, all_cuts[i], NO_LIMIT);
        assert_int_equal(got.err, -EBADMSG);
        assert_string_equal(got.reason, reason);
        assert_int_equal(got.plain.len, right);
        assert_true(is_prefix(&got.plain, plain));
        buf_free(&got.plain);
    }
}

/* Cut off anywhere but at `whole` lengths (ascending, ended by 0), it is damaged, and what came out
 * before is right. */
static inline void expect_cuts_found(const struct buf *object, const struct buf *plain,
                                     const size_t *whole) {
    for (size_t len = 1; len < object->len; len++) {
        struct buf part = {.at = object->at, .len = len, .cap = len, .limit = len};
        for (size_t i = 0; i < 2; i++) {
            struct decoded got = decode(&part, all_cuts[i], NO_LIMIT);
            assert_int_equal(got.err, len == *whole ? 0 : -EBADMSG);
            assert_true(is_prefix(&got.plain, plain));
            buf_free(&got.plain);
        }
        whole += len == *whole;
    }
}

/* Returns whether a flipped bit is noticed, or harmless. */
static inline int flip_is_safe(const struct buf *object, size_t bit, const struct buf *plain) {
    struct buf flipped = new_buf();
    put_buf(&flipped, object);
    flipped.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    struct decoded got = decode(&flipped, CUT_NOWHERE, NO_LIMIT);
    int safe = got.err == -EBADMSG || (got.err == 0 && is_same(&got.plain, plain));
    /* Without its magic it is just another object, which is shown as it is. */
    if (got.err == 0 && strcmp(got.format, "plain") == 0)
        safe = is_same(&got.plain, &flipped);
    buf_free(&got.plain);
    buf_free(&flipped);
    return safe;
}

/* No flipped bit lets wrong bytes pass for right ones, except those of bytes that are not covered
 * by any checksum of the format (offsets, ascending, ended by 0). */
static inline void expect_flips_found(const struct buf *object, const struct buf *plain,
                                      const size_t *uncovered) {
    for (size_t at = 0; at < object->len; at++) {
        if (at > 0 && at == *uncovered) {
            uncovered++;
            continue;
        }
        for (size_t bit = 0; bit < 8; bit++)
            if (!flip_is_safe(object, at * 8 + bit, plain))
                fail_msg("bit %zu of byte %zu is flipped unnoticed", bit, at);
    }
}

static const size_t nowhere[] = {0};

#endif
