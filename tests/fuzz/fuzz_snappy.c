/* Both Snappy formats with any content. */
#include "decode_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Hadoop's format has no magic: what does not fit it is plain, or of yet another format. */
    const struct buf *plain;
    decode_both_ways(data, size, &plain);
    decode_with_magic("\xff\6\0\0sNaPpY", 10, data, size);
    return 0;
}
