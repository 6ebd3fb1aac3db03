/*
 * Snappy's framing_format.txt: chunks of [kind 1][length 3, little-endian][data]; the data of a
 * chunk with plain bytes begins with their masked CRC-32C.
 */
#include "format.h"
#include "integers.h"
#include "snappy_block.h"

#include <maciefs/crc32c.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 4
#define CHECKSUM_SIZE 4
#define PLAIN_MAX 65536 /* bytes of one chunk once decoded */

enum {
    KIND_COMPRESSED = 0x00,
    KIND_UNCOMPRESSED = 0x01,
    KIND_FIRST_SKIPPABLE = 0x80, /* up to 0xfd; 0xfe is padding, skipped as well */
    KIND_IDENTIFIER = 0xff,
};

static const uint8_t identifier[] = {KIND_IDENTIFIER, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

struct snappy {
    struct output *out;
    int (*step)(struct snappy *snappy, struct span *in);
    struct buf part; /* of a chunk's bytes that come in pieces */
    uint8_t kind;    /* of the chunk under way */
    uint32_t len;    /* bytes of its data still to come */
};

static int step_header(struct snappy *snappy, struct span *in);

static enum match snappy_match(const uint8_t *head, size_t len) {
    return match_magic(head, len, identifier, sizeof identifier);
}

static void snappy_restart(void *state) {
    struct snappy *snappy = state;
    buf_reset(&snappy->part);
    snappy->step = step_header;
}

static int snappy_open(struct output *out, void **ret_state) {
    if (!snappy_block_supported())
        return -ENOSYS;
    struct snappy *snappy = calloc(1, sizeof *snappy);
    if (!snappy)
        return -ENOMEM;
    snappy->out = out;
    buf_init(&snappy->part, CHECKSUM_SIZE + snappy_block_max(PLAIN_MAX));
    snappy_restart(snappy);
    *ret_state = snappy;
    return 0;
}

static int check_and_write(struct snappy *snappy, uint32_t masked, const uint8_t *at, size_t len) {
    uint32_t crc = crc32c(0, at, len);
    if (masked != (crc >> 15 | crc << 17) + 0xa282ead8u)
        return output_damage(snappy->out, "its Snappy checksum is wrong");
    return output_write(snappy->out, at, len);
}

static int decode_chunk(struct snappy *snappy, uint32_t masked, const uint8_t *at, size_t len) {
    struct output *out = snappy->out;
    uint32_t length;
    if (snappy_block_length(at, len, &length) != 1 || length > PLAIN_MAX ||
        snappy_block_decode(at, len, out->window, length) != 0)
        return output_damage(out, "its Snappy data cannot be decoded");
    return check_and_write(snappy, masked, out->window, length);
}

static int step_data(struct snappy *snappy, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &snappy->part, snappy->len, &at);
    if (got <= 0)
        return got;
    snappy->step = step_header;
    uint32_t masked = le32(at);
    at += CHECKSUM_SIZE;
    size_t len = snappy->len - CHECKSUM_SIZE;
    if (snappy->kind == KIND_UNCOMPRESSED)
        return check_and_write(snappy, masked, at, len);
    return decode_chunk(snappy, masked, at, len);
}

static int step_identifier(struct snappy *snappy, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &snappy->part, snappy->len, &at);
    if (got <= 0)
        return got;
    snappy->step = step_header;
    if (memcmp(at, identifier + HEADER_SIZE, snappy->len) != 0)
        return output_damage(snappy->out, "its Snappy stream identifier is wrong");
    return 0;
}

static int step_skip(struct snappy *snappy, struct span *in) {
    uint32_t len = in->len < snappy->len ? (uint32_t)in->len : snappy->len;
    span_take(in, len);
    snappy->len -= len;
    if (snappy->len == 0)
        snappy->step = step_header;
    return 0;
}

static int begin_data(struct snappy *snappy) {
    size_t plain_max = snappy->kind == KIND_UNCOMPRESSED ? PLAIN_MAX : snappy_block_max(PLAIN_MAX);
    if (snappy->len < CHECKSUM_SIZE || snappy->len > CHECKSUM_SIZE + plain_max)
        return output_damage(snappy->out, "the length of its Snappy chunk is out of range");
    snappy->step = step_data;
    return 0;
}

static int begin_chunk(struct snappy *snappy) {
    if (snappy->kind == KIND_COMPRESSED || snappy->kind == KIND_UNCOMPRESSED)
        return begin_data(snappy);
    if (snappy->kind < KIND_FIRST_SKIPPABLE)
        return output_damage(snappy->out, "it has a Snappy chunk of a kind that is not known");
    if (snappy->kind != KIND_IDENTIFIER) {
        snappy->step = snappy->len > 0 ? step_skip : step_header;
        return 0;
    }
    if (snappy->len != sizeof identifier - HEADER_SIZE)
        return output_damage(snappy->out, "its Snappy stream identifier is wrong");
    snappy->step = step_identifier;
    return 0;
}

static int step_header(struct snappy *snappy, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &snappy->part, HEADER_SIZE, &at);
    if (got <= 0)
        return got;
    snappy->kind = at[0];
    snappy->len = le32(at) >> 8;
    return begin_chunk(snappy);
}

static int snappy_feed(void *state, struct span *in) {
    struct snappy *snappy = state;
    int err = 0;
    while (in->len > 0 && !err)
        err = snappy->step(snappy, in);
    return err;
}

static int snappy_finish(void *state) {
    struct snappy *snappy = state;
    if (snappy->step == step_header && snappy->part.len == 0)
        return 0;
    return output_damage(snappy->out, "it ends inside a Snappy chunk");
}

static void snappy_close(void *state) {
    struct snappy *snappy = state;
    buf_free(&snappy->part);
    free(snappy);
}

const struct format snappy_format = {
    .name = "snappy",
    .match = snappy_match,
    .open = snappy_open,
    .restart = snappy_restart,
    .feed = snappy_feed,
    .finish = snappy_finish,
    .close = snappy_close,
};
