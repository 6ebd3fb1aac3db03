/*
 * JSON strings as the characters they stand for.
 *
 * A string is the bytes between its quotes, whose escapes were checked when it was read. Half a
 * surrogate pair stands for no character: here it is U+FFFD, as no parser takes it otherwise.
 */
#ifndef MACIEFS_DECODE_JSON_TEXT_H
#define MACIEFS_DECODE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

struct json_text {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t left[4]; /* of an escape's UTF-8, what is still to come, from `next` on */
    uint8_t next;
    uint8_t count;
};

/*
 * The bytes of the first character at `at`: an escape, two that are a surrogate pair, or a byte
 * and the continuation bytes behind it. `*ret_broken`: it is half a surrogate pair.
 */
size_t json_character(const uint8_t *at, const uint8_t *end, bool *ret_broken);

/* The next byte of what the string stands for, as UTF-8 where it was escaped; -1 at its end. */
int json_text_next(struct json_text *text);

/* How two strings compare as what they stand for: <0, 0 or >0, by bytes. Escapes may differ. */
int json_text_compare(struct json_text one, struct json_text other);

/* Whether the string holds half a surrogate pair. */
bool json_text_broken(struct json_text text);

static inline bool json_is_plain(uint8_t byte) {
    return byte != '"' && byte != '\\' && byte >= 0x20;
}

/* The first byte that is a quote, a backslash or a control character, or `end`. */
static inline const uint8_t *json_skip_plain(const uint8_t *at, const uint8_t *end) {
#if defined(__x86_64__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1f);
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i found =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        /* The smaller of a byte and 0x1f is the byte itself in control characters alone. */
        found = _mm_or_si128(found, _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
        int bits = _mm_movemask_epi8(found);
        if (bits)
            return at + __builtin_ctz((unsigned)bits);
    }
#endif
    while (at < end && json_is_plain(*at))
        at++;
    return at;
}

/* What escapes a string has: only \uXXXX (UNICODE) can be half a surrogate pair. */
enum json_escapes { JSON_ESCAPES_NONE, JSON_ESCAPES_PLAIN, JSON_ESCAPES_UNICODE };

/* The same where an escape stands at `at`: behind that one and all others; NULL where one is none.
 */
const uint8_t *json_skip_escaped(const uint8_t *at, const uint8_t *end,
                                 enum json_escapes *ret_escapes);

/*
 * Where the quote stands that ends the string whose bytes begin at `at`; NULL where none does, a
 * control character comes before it, or an escape is none.
 */
static inline const uint8_t *json_text_end(const uint8_t *at, const uint8_t *end,
                                           enum json_escapes *ret_escapes) {
    at = json_skip_plain(at, end);
    *ret_escapes = JSON_ESCAPES_NONE;
    if (at < end && *at == '\\')
        at = json_skip_escaped(at, end, ret_escapes);
    return at && at < end && *at == '"' ? at : NULL;
}

static inline struct json_text json_text_of(const uint8_t *at, size_t len) {
    /* Nothing may be added to a null pointer, not even nothing. */
    return (struct json_text){.at = at, .end = len ? at + len : at};
}

#endif
