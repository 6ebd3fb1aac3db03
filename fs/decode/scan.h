/*
 * Where the bytes that shape an event stand, 64 bytes at a time.
 *
 * A block becomes a few masks, bit i for byte i, and arithmetic on those masks tells which quotes
 * are escaped and which bytes stand inside strings. Nothing branches on the bytes, so the speed
 * does not depend on them. What one block leaves to the next are two bits, `struct scan_carry`.
 */
#ifndef MACIEFS_DECODE_SCAN_H
#define MACIEFS_DECODE_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SCAN_BLOCK 64

/* Which of a block's bytes are what. */
struct scan_masks {
    uint64_t quotes;
    uint64_t backslashes;
    uint64_t opens;  /* '{' */
    uint64_t closes; /* '}' */
    uint64_t breaks; /* CR, LF */
};

/* What stands before a byte. */
struct scan_carry {
    bool in_string;
    bool escaped; /* an odd number of backslashes */
};

/* The masks, looked at as JSON. */
struct scan_marks {
    uint64_t strings; /* inside a string, its opening quote included, its closing quote not */
    uint64_t escaped; /* right behind an odd number of backslashes */
    uint64_t shape;   /* what an event's end, or its breaking off, can be told by */
    bool escapes;     /* the byte behind the block is escaped */
};

#define SCAN_EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))

/* The bits of those of the eight bytes of `word` that are `byte`. */
static inline uint64_t scan_equal_portable(uint64_t word, char byte) {
    const uint64_t low = SCAN_EACH(0x7f);
    uint64_t differs = word ^ SCAN_EACH(byte);
    /* A byte's top bit: set where the byte is 0. Nothing carries from one byte into the next. */
    uint64_t zero = ~(((differs & low) + low) | differs | low);
    /* The product brings bit 8 i to bit 56 + i. */
    return ((zero >> 7) * UINT64_C(0x0102040810204080)) >> 56;
}

static inline struct scan_masks scan_masks_portable(const uint8_t at[SCAN_BLOCK]) {
    struct scan_masks masks = {0};
    for (unsigned i = 0; i < SCAN_BLOCK; i += 8) {
        uint64_t word = 0;
        for (unsigned k = 0; k < 8; k++)
            word |= (uint64_t)at[i + k] << (8 * k);
        masks.quotes |= scan_equal_portable(word, '"') << i;
        masks.backslashes |= scan_equal_portable(word, '\\') << i;
        masks.opens |= scan_equal_portable(word, '{') << i;
        masks.closes |= scan_equal_portable(word, '}') << i;
        masks.breaks |= (scan_equal_portable(word, '\r') | scan_equal_portable(word, '\n')) << i;
    }
    return masks;
}

#if defined(__SSE2__)
static inline uint64_t scan_bits_sse2(__m128i found) {
    return (uint32_t)_mm_movemask_epi8(found);
}

static inline __m128i scan_equal_sse2(__m128i bytes, char byte) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte));
}

static inline struct scan_masks scan_masks_sse2(const uint8_t at[SCAN_BLOCK]) {
    struct scan_masks masks = {0};
    for (unsigned i = 0; i < SCAN_BLOCK; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        __m128i breaks = _mm_or_si128(scan_equal_sse2(bytes, '\r'), scan_equal_sse2(bytes, '\n'));
        masks.quotes |= scan_bits_sse2(scan_equal_sse2(bytes, '"')) << i;
        masks.backslashes |= scan_bits_sse2(scan_equal_sse2(bytes, '\\')) << i;
        masks.opens |= scan_bits_sse2(scan_equal_sse2(bytes, '{')) << i;
        masks.closes |= scan_bits_sse2(scan_equal_sse2(bytes, '}')) << i;
        masks.breaks |= scan_bits_sse2(breaks) << i;
    }
    return masks;
}
#endif

static inline struct scan_masks scan_masks(const uint8_t at[SCAN_BLOCK]) {
#if defined(__SSE2__)
    return scan_masks_sse2(at);
#else
    return scan_masks_portable(at);
#endif
}

/*
 * The bytes right behind an odd run of backslashes; `*escaped` says it of the block's first byte,
 * and then of the next block's.
 *
 * Adding a run's first bit to the run carries to the bit behind it. A run is odd where the parity
 * of that bit's place is not that of its first.
 */
static inline uint64_t scan_escaped(uint64_t backslashes, bool *escaped) {
    const uint64_t even = SCAN_EACH(0x55);
    uint64_t first = *escaped;
    backslashes &= ~first;
    uint64_t starts = backslashes & ~(backslashes << 1);
    uint64_t behind_even = backslashes + (starts & even);
    uint64_t behind_odd = backslashes + (starts & ~even);
    *escaped = behind_odd < backslashes;
    return first | (behind_even & ~backslashes & ~even) | (behind_odd & ~backslashes & even);
}

/* Each bit becomes the parity of itself and all below. */
static inline uint64_t scan_parity(uint64_t bits) {
    for (unsigned shift = 1; shift < 64; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

/* The marks of a block behind `carry`. */
static inline struct scan_marks scan_marks(const uint8_t at[SCAN_BLOCK], struct scan_carry carry) {
    struct scan_masks masks = scan_masks(at);
    struct scan_marks marks = {.escapes = carry.escaped};
    marks.escaped = scan_escaped(masks.backslashes, &marks.escapes);
    marks.strings = scan_parity(masks.quotes & ~marks.escaped) ^ (0 - (uint64_t)carry.in_string);
    /* In strings a brace may be where a new event cut off this one; quoted JSON's is not. */
    uint64_t torn = masks.opens & marks.strings & ~(masks.backslashes >> 1);
    marks.shape = ((masks.opens | masks.closes) & ~marks.strings) | torn | masks.breaks;
    return marks;
}

/* The same of the last `len` bytes of an input, fewer than a block. */
static inline struct scan_marks scan_marks_of_rest(const uint8_t *at, size_t len,
                                                   struct scan_carry carry) {
    uint8_t block[SCAN_BLOCK] = {0};
    memcpy(block, at, len);
    return scan_marks(block, carry);
}

/* What stands before byte `i` of the block, which is no quote, or before the byte behind it. */
static inline struct scan_carry scan_carry_at(const struct scan_marks *marks, size_t i) {
    if (i < SCAN_BLOCK)
        return (struct scan_carry){marks->strings >> i & 1, marks->escaped >> i & 1};
    return (struct scan_carry){marks->strings >> (SCAN_BLOCK - 1), marks->escapes};
}

#endif
