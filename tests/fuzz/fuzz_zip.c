/* zip archives of any content; and whole ones around any content. */
#include "decode_kit.h"

#include <stdbool.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t zeros[42];

static void put(struct buf *buf, const void *at, size_t len) {
    require(buf_append(buf, at, len) == 0);
}

static void put_le(struct buf *buf, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        put(buf, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

/* A stored entry with its sizes behind it, by a descriptor of this length. */
static void put_entry(struct buf *object, const uint8_t *data, size_t size, size_t descriptor) {
    put(object, "PK\3\4\24\0\10\0", 8);
    put(object, zeros, 22);
    put(object, data, size);
    if (descriptor % 8 == 0)
        put(object, "PK\7\10", 4);
    put_le(object, crc32_z(0, data, size), 4);
    put_le(object, size, descriptor < 20 ? 4 : 8);
    put_le(object, size, descriptor < 20 ? 4 : 8);
}

static void put_directory(struct buf *object) {
    put(object, "PK\1\2", 4);
    put(object, zeros, 42);
    put(object, "PK\5\6", 4);
    put(object, zeros, 18);
}

static bool has_signature(const uint8_t *at, size_t len) {
    return memmem(at, len, "PK\1\2", 4) || memmem(at, len, "PK\3\4", 4);
}

/* The search for a stored entry's end finds no other. Where a signature stands before it, bytes may
 * be made to look like an end: no reader from front to back can tell. */
static void find_end_of_stored(const uint8_t *data, size_t size, size_t descriptor) {
    struct buf object;
    buf_init(&object, LIMIT);
    put_entry(&object, data, size, descriptor);
    if (!has_signature(object.at + 4, object.len - 4)) {
        put_directory(&object);
        const struct buf *plain;
        require(decode_both_ways(object.at, object.len, &plain) == 0);
        require(plain->len == size && (size == 0 || memcmp(plain->at, data, size) == 0));
    }
    buf_free(&object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode_with_magic("PK\3\4", 4, data, size);
    for (size_t descriptor = 12; descriptor <= 24; descriptor += 4)
        find_end_of_stored(data, size, descriptor);
    return 0;
}
