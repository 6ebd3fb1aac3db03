/* gzip members of any content. */
#include "decode_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode_with_magic("\x1f\x8b", 2, data, size);
    return 0;
}
