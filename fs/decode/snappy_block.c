#include "snappy_block.h"

#include <errno.h>

size_t snappy_block_max(size_t len) {
    return 32 + len + len / 6;
}

int snappy_block_length(const uint8_t *at, size_t len, uint32_t *ret_length) {
    uint64_t length = 0;
    for (unsigned i = 0; i < len && i < 5; i++) {
        length |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if (length > UINT32_MAX)
            return -EBADMSG;
        if (at[i] < 0x80) {
            *ret_length = (uint32_t)length;
            return 1;
        }
    }
    return len < 5 ? 0 : -EBADMSG;
}

#ifdef HAVE_SNAPPY

#include <snappy-c.h>

bool snappy_block_supported(void) {
    return true;
}

int snappy_block_decode(const uint8_t *at, size_t len, uint8_t *plain, uint32_t length) {
    size_t decoded = length;
    snappy_status status = snappy_uncompress((const char *)at, len, (char *)plain, &decoded);
    return status == SNAPPY_OK && decoded == length ? 0 : -EBADMSG;
}

#else

bool snappy_block_supported(void) {
    return false;
}

int snappy_block_decode(const uint8_t *at, size_t len, uint8_t *plain, uint32_t length) {
    (void)at;
    (void)len;
    (void)plain;
    (void)length;
    return -EBADMSG;
}

#endif
