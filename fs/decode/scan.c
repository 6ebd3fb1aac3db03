#include "scan.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))

/* Must become part of each way's own loop, compiled for that way's instructions. */
#define IN_LOOP static inline __attribute__((always_inline))

/* Which of a block's bytes are what. */
struct masks {
    uint64_t quotes;
    uint64_t backslashes;
    uint64_t opens;  /* '{' */
    uint64_t closes; /* '}' */
    uint64_t breaks; /* CR, LF */
    uint64_t leads;  /* ':', ',', '[': what a '{' inside an event can follow */
};

/* --- Arithmetic on masks ---------------------------------------------------------------------- */

/*
 * The bytes right behind an odd run of backslashes; `*escaped` says it of the block's first byte,
 * and then of the next block's.
 *
 * Adding a run's first bit to the run carries to the bit behind it. A run is odd where the parity
 * of that bit's place is not that of its first. Most blocks have no run.
 */
IN_LOOP uint64_t behind_odd_runs(uint64_t backslashes, bool *escaped) {
    const uint64_t even = EACH(0x55);
    if (!backslashes && !*escaped)
        return 0;
    uint64_t first = *escaped;
    backslashes &= ~first;
    uint64_t starts = backslashes & ~(backslashes << 1);
    uint64_t from_even = backslashes + (starts & even);
    uint64_t from_odd = backslashes + (starts & ~even);
    *escaped = from_odd < backslashes;
    return first | (from_even & ~backslashes & ~even) | (from_odd & ~backslashes & even);
}

/* Each bit becomes the parity of itself and all below. */
typedef uint64_t (*parities_fn)(uint64_t bits);

IN_LOOP uint64_t parities_portable(uint64_t bits) {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    return bits ^ bits << 32;
}

/* How many bits are set. Compilers make one instruction of it where there is one. */
IN_LOOP uint64_t count(uint64_t bits) {
    bits -= bits >> 1 & EACH(0x55);
    bits = (bits & EACH(0x33)) + (bits >> 2 & EACH(0x33));
    bits = (bits + (bits >> 4)) & EACH(0x0f);
    return bits * EACH(1) >> 56;
}

IN_LOOP struct scan_marks look(struct masks masks, parities_fn parities,
                               const struct scan_state *state) {
    struct scan_marks marks = {.escapes = state->escaped};
    marks.escaped = behind_odd_runs(masks.backslashes, &marks.escapes);
    marks.strings = parities(masks.quotes & ~marks.escaped) ^ (0 - (uint64_t)state->in_string);
    marks.opens = masks.opens & ~marks.strings;
    marks.closes = masks.closes & ~marks.strings;
    uint64_t stray = marks.opens & ~(masks.leads << 1);
    /* In strings a brace may be where a new event cut off this one; quoted JSON's is not. */
    uint64_t torn = masks.opens & marks.strings & ~(masks.backslashes >> 1);
    marks.odd = stray | torn | masks.breaks;
    return marks;
}

/* Brings the state behind the block if that is plain. */
IN_LOOP bool pass(struct scan_state *state, const struct scan_marks *marks) {
    uint64_t closed = count(marks->closes);
    if (marks->odd != 0 || closed >= state->depth)
        return false;
    state->depth += count(marks->opens) - closed;
    state->in_string = marks->strings >> (SCAN_BLOCK - 1);
    state->escaped = marks->escapes;
    return true;
}

/* --- Masks, in plain C ------------------------------------------------------------------------ */

/* The bits of those of the eight bytes of `word` that are `byte`. */
IN_LOOP uint64_t find_in_word(uint64_t word, char byte) {
    const uint64_t low = EACH(0x7f);
    uint64_t differs = word ^ EACH(byte);
    /* A byte's top bit: set where the byte is 0. Nothing carries from one byte into the next. */
    uint64_t zero = ~(((differs & low) + low) | differs | low);
    /* The product brings bit 8 i to bit 56 + i. */
    return (zero >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

IN_LOOP uint64_t load_word(const uint8_t *at) {
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

IN_LOOP struct masks masks_portable(const uint8_t *at) {
    struct masks masks = {0};
    for (unsigned i = 0; i < SCAN_BLOCK; i += 8) {
        uint64_t word = load_word(at + i);
        uint64_t breaks = find_in_word(word, '\r') | find_in_word(word, '\n');
        uint64_t points = find_in_word(word, ':') | find_in_word(word, ',');
        masks.quotes |= find_in_word(word, '"') << i;
        masks.backslashes |= find_in_word(word, '\\') << i;
        masks.opens |= find_in_word(word, '{') << i;
        masks.closes |= find_in_word(word, '}') << i;
        masks.breaks |= breaks << i;
        masks.leads |= (points | find_in_word(word, '[')) << i;
    }
    return masks;
}

static size_t scan_portable(const uint8_t *at, size_t len, struct scan_state *state,
                            struct scan_marks *marks) {
    struct scan_state here = *state;
    size_t pos = 0;
    for (; len - pos >= SCAN_BLOCK; pos += SCAN_BLOCK) {
        struct scan_marks found = look(masks_portable(at + pos), parities_portable, &here);
        if (pass(&here, &found))
            continue;
        *marks = found;
        break;
    }
    *state = here;
    return pos;
}

static bool always(void) {
    return true;
}

/* --- Masks, by vectors ------------------------------------------------------------------------ */

#if defined(__x86_64__)
IN_LOOP __m128i find_in_16(__m128i bytes, char byte) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte));
}

IN_LOOP uint64_t bits_of_16(__m128i found) {
    return (uint32_t)_mm_movemask_epi8(found);
}

/* Adds the masks of the sixteen bytes from byte `i` on. */
IN_LOOP void add_16(struct masks *masks, const uint8_t *at, unsigned i) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
    __m128i breaks = _mm_or_si128(find_in_16(bytes, '\r'), find_in_16(bytes, '\n'));
    __m128i points = _mm_or_si128(find_in_16(bytes, ':'), find_in_16(bytes, ','));
    masks->quotes |= bits_of_16(find_in_16(bytes, '"')) << i;
    masks->backslashes |= bits_of_16(find_in_16(bytes, '\\')) << i;
    masks->opens |= bits_of_16(find_in_16(bytes, '{')) << i;
    masks->closes |= bits_of_16(find_in_16(bytes, '}')) << i;
    masks->breaks |= bits_of_16(breaks) << i;
    masks->leads |= bits_of_16(_mm_or_si128(points, find_in_16(bytes, '['))) << i;
}

IN_LOOP struct masks masks_sse2(const uint8_t *at) {
    struct masks masks = {0};
    add_16(&masks, at, 0);
    add_16(&masks, at, 16);
    add_16(&masks, at, 32);
    add_16(&masks, at, 48);
    return masks;
}

static size_t scan_sse2(const uint8_t *at, size_t len, struct scan_state *state,
                        struct scan_marks *marks) {
    struct scan_state here = *state;
    size_t pos = 0;
    for (; len - pos >= SCAN_BLOCK; pos += SCAN_BLOCK) {
        struct scan_marks found = look(masks_sse2(at + pos), parities_portable, &here);
        if (pass(&here, &found))
            continue;
        *marks = found;
        break;
    }
    *state = here;
    return pos;
}

#define AVX2 __attribute__((target("avx2,bmi,popcnt,pclmul")))

/* A product without carries adds the bits to themselves at every distance. */
AVX2 IN_LOOP uint64_t parities_avx2(uint64_t bits) {
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)bits), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

AVX2 IN_LOOP __m256i find_in_32(__m256i bytes, char byte) {
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte));
}

AVX2 IN_LOOP uint64_t bits_of_32(__m256i found) {
    return (uint32_t)_mm256_movemask_epi8(found);
}

/* Adds the masks of the 32 bytes from byte `i` on. */
AVX2 IN_LOOP void add_32(struct masks *masks, const uint8_t *at, unsigned i) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(at + i));
    __m256i breaks = _mm256_or_si256(find_in_32(bytes, '\r'), find_in_32(bytes, '\n'));
    __m256i points = _mm256_or_si256(find_in_32(bytes, ':'), find_in_32(bytes, ','));
    masks->quotes |= bits_of_32(find_in_32(bytes, '"')) << i;
    masks->backslashes |= bits_of_32(find_in_32(bytes, '\\')) << i;
    masks->opens |= bits_of_32(find_in_32(bytes, '{')) << i;
    masks->closes |= bits_of_32(find_in_32(bytes, '}')) << i;
    masks->breaks |= bits_of_32(breaks) << i;
    masks->leads |= bits_of_32(_mm256_or_si256(points, find_in_32(bytes, '['))) << i;
}

AVX2 IN_LOOP struct masks masks_avx2(const uint8_t *at) {
    struct masks masks = {0};
    add_32(&masks, at, 0);
    add_32(&masks, at, 32);
    return masks;
}

AVX2 static size_t scan_avx2(const uint8_t *at, size_t len, struct scan_state *state,
                             struct scan_marks *marks) {
    struct scan_state here = *state;
    size_t pos = 0;
    for (; len - pos >= SCAN_BLOCK; pos += SCAN_BLOCK) {
        struct scan_marks found = look(masks_avx2(at + pos), parities_avx2, &here);
        if (pass(&here, &found))
            continue;
        *marks = found;
        break;
    }
    *state = here;
    return pos;
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
}
#endif

/* --- Ways ------------------------------------------------------------------------------------- */

const struct scan_way scan_ways[] = {
#if defined(__x86_64__)
    {"avx2", has_avx2, scan_avx2},
    {"sse2", always, scan_sse2},
#endif
    {"portable", always, scan_portable},
    {NULL, NULL, NULL},
};

static const struct scan_way *best_way(void) {
    const struct scan_way *way = scan_ways;
    while (!way->usable())
        way++;
    return way;
}

size_t scan(const uint8_t *at, size_t len, struct scan_state *state, struct scan_marks *marks) {
    const struct scan_way *way = best_way();
    size_t passed = way->scan(at, len, state, marks);
    size_t left = len - passed;
    if (left > 0 && left < SCAN_BLOCK) {
        uint8_t rest[SCAN_BLOCK] = {0};
        memcpy(rest, at + passed, left);
        /* At depth 0 no block is plain. */
        struct scan_state here = {.in_string = state->in_string, .escaped = state->escaped};
        way->scan(rest, SCAN_BLOCK, &here, marks);
    }
    return passed;
}

void scan_move(struct scan_state *state, const struct scan_marks *marks, size_t i) {
    bool behind = i == SCAN_BLOCK;
    state->in_string = marks->strings >> (behind ? i - 1 : i) & 1;
    state->escaped = behind ? marks->escapes : marks->escaped >> i & 1;
}
