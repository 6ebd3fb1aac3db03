#include <maciefs/crc32c.h>

#include <pthread.h>
#include <string.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* bits reversed */
#define SLICES 8

/* tables[n][b]: what byte b does to the checksum when n more bytes follow it in the same step. */
static uint32_t tables[SLICES][256];

static void make_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = tables[slice - 1][byte];
            tables[slice][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
        }
}

static uint32_t step(uint32_t crc, const uint8_t *at) {
    return tables[7][at[0] ^ (crc & 0xff)] ^ tables[6][at[1] ^ (crc >> 8 & 0xff)] ^
           tables[5][at[2] ^ (crc >> 16 & 0xff)] ^ tables[4][at[3] ^ (crc >> 24)] ^
           tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^ tables[0][at[7]];
}

uint32_t crc32c_by_tables(uint32_t before, const uint8_t *at, size_t len) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
    uint32_t crc = ~before;
    for (; len >= SLICES; at += SLICES, len -= SLICES)
        crc = step(crc, at);
    for (; len > 0; at++, len--)
        crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#ifdef __x86_64__
/*
 * The instruction's result takes three cycles and the next one needs it, but every cycle one can
 * begin: three lanes of bytes that stand behind one another are summed side by side.
 */
#define LANE 2048

/* lane_after[n][b]: what byte n of a checksum, being b, becomes when a lane of zeros follows. */
static uint32_t lane_after[sizeof(uint32_t)][256];

/* What several bits do is what each does by itself, added up. */
static void make_lane_after(void) {
    static const uint8_t zeros[LANE];
    for (unsigned n = 0; n < sizeof(uint32_t); n++)
        for (uint32_t byte = 1; byte < 256; byte++) {
            uint32_t others = byte & (byte - 1);
            lane_after[n][byte] = others ? lane_after[n][others] ^ lane_after[n][byte ^ others]
                                         : ~crc32c_by_tables(~(byte << 8 * n), zeros, LANE);
        }
}

static uint32_t behind_lane(uint32_t crc) {
    return lane_after[0][crc & 0xff] ^ lane_after[1][crc >> 8 & 0xff] ^
           lane_after[2][crc >> 16 & 0xff] ^ lane_after[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t three_lanes(uint32_t before, const uint8_t *at) {
    uint64_t first = before, second = 0, third = 0, word;
    for (const uint8_t *end = at + LANE; at < end; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        first = _mm_crc32_u64(first, word);
        memcpy(&word, at + LANE, sizeof word);
        second = _mm_crc32_u64(second, word);
        memcpy(&word, at + 2 * LANE, sizeof word);
        third = _mm_crc32_u64(third, word);
    }
    return behind_lane(behind_lane((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t before, const uint8_t *at,
                                                                 size_t len) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_lane_after);
    uint64_t crc = ~before;
    for (; len >= 3 * LANE; at += 3 * LANE, len -= 3 * LANE)
        crc = three_lanes((uint32_t)crc, at);
    for (uint64_t word; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; len > 0; at++, len--)
        crc = _mm_crc32_u8((uint32_t)crc, *at);
    return ~(uint32_t)crc;
}

uint32_t crc32c(uint32_t before, const uint8_t *at, size_t len) {
    return __builtin_cpu_supports("sse4.2") ? by_instruction(before, at, len)
                                            : crc32c_by_tables(before, at, len);
}
#else
uint32_t crc32c(uint32_t before, const uint8_t *at, size_t len) {
    return crc32c_by_tables(before, at, len);
}
#endif
