#include "crc32c.h"

#include <pthread.h>

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

uint32_t crc32c(const uint8_t *at, size_t len) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
    uint32_t crc = ~0u;
    for (; len >= SLICES; at += SLICES, len -= SLICES)
        crc = step(crc, at);
    for (; len > 0; at++, len--)
        crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}
