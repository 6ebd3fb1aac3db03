/* zip archives of any content; and whole ones around any content. */
#include "decode_kit.h"

#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(struct buf *buf, const void *at, size_t len) {
    require(buf_append(buf, at, len) == 0);
}

static void put_le(struct buf *buf, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        put(buf, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

/* A stored entry with its sizes behind it, by a descriptor of this length. */
static void put_archive(struct buf *object, const uint8_t *data, size_t size, size_t descriptor) {
    static const uint8_t zeros[42];
    put(object, "PK\3\4\24\0\10\0", 8);
    put(object, zeros, 22);
    put(object, data, size);
    if (descriptor % 8 == 0)
        put(object, "PK\7\10", 4);
    put_le(object, crc32_z(0, data, size), 4);
    put_le(object, size, descriptor < 20 ? 4 : 8);
    put_le(object, size, descriptor < 20 ? 4 : 8);
    put(object, "PK\1\2", 4);
    put(object, zeros, 42);
    put(object, "PK\5\6", 4);
    put(object, zeros, 18);
}

/* The search for a stored entry's end finds no other. Bytes that hold a signature may be made to
 * look like an end before the end: no reader from front to back can tell. */
static void find_end_of_stored(const uint8_t *data, size_t size) {
    if (memmem(data, size, "PK\1\2", 4) || memmem(data, size, "PK\3\4", 4))
        return;
    for (size_t descriptor = 12; descriptor <= 24; descriptor += 4) {
        struct buf object;
        const struct buf *plain;
        buf_init(&object, LIMIT * 2);
        put_archive(&object, data, size, descriptor);
        require(decode_both_ways(object.at, object.len, &plain) == 0);
        require(plain->len == size && (size == 0 || memcmp(plain->at, data, size) == 0));
        buf_free(&object);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode_with_magic("PK\3\4", 4, data, size);
    find_end_of_stored(data, size);
    return 0;
}
