/* gzip members of any content; then the same with the checksum and length of what came out of it,
 * so that more of them are whole. */
#include "decode_kit.h"

#include <zlib.h>

#define MAGIC "\x1f\x8b"
#define TRAILER ((size_t)8)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_le32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void mend_trailer(uint8_t *object, size_t size, const struct buf *plain) {
    put_le32(object + size - 8, (uint32_t)crc32_z(0, plain->at, plain->len));
    put_le32(object + size - 4, (uint32_t)plain->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 + TRAILER)
        return 0;
    uint8_t *object = malloc(size);
    require(object);
    memcpy(object, data, size);
    memcpy(object, MAGIC, 2);
    const struct buf *plain;
    decode_both_ways(object, size, &plain);
    mend_trailer(object, size, plain);
    decode_both_ways(object, size, &plain);
    free(object);
    return 0;
}
