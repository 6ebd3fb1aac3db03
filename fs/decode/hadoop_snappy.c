/*
 * Hadoop's block format around raw Snappy: blocks of [decoded length 4, big-endian] and then, until
 * that many bytes came out, pieces of [stored length 4, big-endian][raw Snappy block].
 *
 * It has neither magic nor checksums, so it is told by lengths that fit each other.
 */
#include "format.h"
#include "integers.h"
#include "snappy_block.h"

#include <errno.h>
#include <stdlib.h>

/* A block may be as long as what one write gave: an object that Firehose buffers has at most these
 * 128 MiB. No text begins with a byte so small as the first of such a length. */
#define BLOCK_MAX ((uint32_t)128 << 20)

/* Hadoop compresses 256 KiB at a time, unless configured otherwise. */
#define PIECE_MAX ((uint32_t)4 << 20)
#define PIECE_PLAIN_MAX ((uint32_t)8 << 20)

#define LENGTH_SIZE 4

struct hadoop {
    struct output *out;
    int (*step)(struct hadoop *hadoop, struct span *in);
    struct buf part; /* of a piece's bytes that come one by one */
    uint8_t *plain;  /* the piece, decoded */
    uint32_t plain_cap;
    uint32_t block_left; /* bytes that the block has still to give */
    uint32_t piece;      /* stored length of the piece under way */
};

static int step_block(struct hadoop *hadoop, struct span *in);

/* Whether a piece of this length can stand where the block has `left` bytes to give. */
static bool piece_fits(uint32_t piece, uint32_t left) {
    return piece > 0 && piece <= PIECE_MAX && piece <= snappy_block_max(left);
}

static bool plain_fits(uint32_t plain, uint32_t left) {
    return plain > 0 && plain <= PIECE_PLAIN_MAX && plain <= left;
}

static enum match match_piece(const uint8_t *at, size_t len, uint32_t left) {
    if (len < LENGTH_SIZE)
        return MATCH_MAYBE;
    uint32_t piece = be32(at);
    if (!piece_fits(piece, left))
        return MATCH_NO;
    at += LENGTH_SIZE;
    len -= LENGTH_SIZE;
    uint32_t plain;
    int got = snappy_block_length(at, len < piece ? len : piece, &plain);
    if (got == 0)
        return len < piece ? MATCH_MAYBE : MATCH_NO;
    return got == 1 && plain_fits(plain, left) ? MATCH_YES : MATCH_NO;
}

static enum match hadoop_match(const uint8_t *head, size_t len) {
    if (len > 0 && head[0] > BLOCK_MAX >> 24)
        return MATCH_NO;
    if (len < LENGTH_SIZE)
        return MATCH_MAYBE;
    uint32_t block = be32(head);
    if (block == 0 || block > BLOCK_MAX)
        return MATCH_NO;
    return match_piece(head + LENGTH_SIZE, len - LENGTH_SIZE, block);
}

/* One object's large pieces shall not be memory for all objects to come. */
static void hadoop_restart(void *state) {
    struct hadoop *hadoop = state;
    buf_free(&hadoop->part);
    free(hadoop->plain);
    hadoop->plain = NULL;
    hadoop->plain_cap = 0;
    hadoop->step = step_block;
}

static int hadoop_open(struct output *out, void **ret_state) {
    if (!snappy_block_supported())
        return -ENOSYS;
    struct hadoop *hadoop = calloc(1, sizeof *hadoop);
    if (!hadoop)
        return -ENOMEM;
    hadoop->out = out;
    buf_init(&hadoop->part, PIECE_MAX);
    hadoop_restart(hadoop);
    *ret_state = hadoop;
    return 0;
}

static int reserve_plain(struct hadoop *hadoop, uint32_t len) {
    if (len <= hadoop->plain_cap)
        return 0;
    uint8_t *plain = malloc(len);
    if (!plain)
        return -ENOMEM;
    free(hadoop->plain);
    hadoop->plain = plain;
    hadoop->plain_cap = len;
    return 0;
}

static int write_piece(struct hadoop *hadoop, const uint8_t *at) {
    static const char reason[] = "its Snappy data cannot be decoded";
    uint32_t plain;
    if (snappy_block_length(at, hadoop->piece, &plain) != 1 ||
        !plain_fits(plain, hadoop->block_left))
        return output_damage(hadoop->out, reason);
    int err = reserve_plain(hadoop, plain);
    if (err)
        return err;
    if (snappy_block_decode(at, hadoop->piece, hadoop->plain, plain) != 0)
        return output_damage(hadoop->out, reason);
    hadoop->block_left -= plain;
    return output_write(hadoop->out, hadoop->plain, plain);
}

static int step_piece_length(struct hadoop *hadoop, struct span *in);

static int step_piece(struct hadoop *hadoop, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &hadoop->part, hadoop->piece, &at);
    if (got <= 0)
        return got;
    int err = write_piece(hadoop, at);
    hadoop->step = hadoop->block_left > 0 ? step_piece_length : step_block;
    return err;
}

static int step_piece_length(struct hadoop *hadoop, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &hadoop->part, LENGTH_SIZE, &at);
    if (got <= 0)
        return got;
    hadoop->piece = be32(at);
    if (!piece_fits(hadoop->piece, hadoop->block_left))
        return output_damage(hadoop->out, "the length of its Snappy data is out of range");
    hadoop->step = step_piece;
    return 0;
}

static int step_block(struct hadoop *hadoop, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &hadoop->part, LENGTH_SIZE, &at);
    if (got <= 0)
        return got;
    hadoop->block_left = be32(at);
    if (hadoop->block_left > BLOCK_MAX)
        return output_damage(hadoop->out, "the length of its Snappy block is out of range");
    if (hadoop->block_left > 0)
        hadoop->step = step_piece_length;
    return 0;
}

static int hadoop_feed(void *state, struct span *in) {
    struct hadoop *hadoop = state;
    int err = 0;
    while (in->len > 0 && !err)
        err = hadoop->step(hadoop, in);
    return err;
}

static int hadoop_finish(void *state) {
    struct hadoop *hadoop = state;
    if (hadoop->step == step_block && hadoop->part.len == 0)
        return 0;
    return output_damage(hadoop->out, "it ends inside a Snappy block");
}

static void hadoop_close(void *state) {
    struct hadoop *hadoop = state;
    hadoop_restart(hadoop);
    free(hadoop);
}

const struct format hadoop_snappy_format = {
    .name = "hadoop-snappy",
    .match = hadoop_match,
    .open = hadoop_open,
    .restart = hadoop_restart,
    .feed = hadoop_feed,
    .finish = hadoop_finish,
    .close = hadoop_close,
};
