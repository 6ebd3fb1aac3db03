/*
 * RFC 1952: members one after another, each with a checksum and a length of its own.
 *
 * Streams go through zlib. Objects of one member that are small, as nearly all are, go through
 * libdeflate, which needs all of its input and its output in memory and takes half of the time;
 * whatever it does not find perfect is zlib's to judge.
 */
#include "inflate.h"
#include "integers.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#define GZIP_MAGIC "\x1f\x8b"
#define GZIP_ONLY 16 /* added to zlib's window bits */

/* A member's smallest size, where its flags stand, and how much deflate can make of a byte. */
#define MEMBER_MIN ((size_t)18)
#define FLAGS_AT 3
#define FLAG_HEADER_CRC 2
#define DEFLATE_RATIO_MAX 1032

/* Decoded size up to which an object is decoded at once. */
#define WHOLE_PLAIN_MAX ((size_t)2 << 20)

struct gzip {
    struct output *out;
    z_stream z;
    bool between; /* behind a member's end, where padding or the next member may follow */
    struct libdeflate_decompressor *at_once;
    uint8_t *plain; /* what it makes, on the heap */
    size_t plain_cap;
};

static enum match gzip_match(const uint8_t *head, size_t len) {
    return match_magic(head, len, GZIP_MAGIC, 2);
}

static int gzip_open(struct output *out, void **ret_state) {
    struct gzip *gzip = calloc(1, sizeof *gzip);
    if (!gzip)
        return -ENOMEM;
    gzip->out = out;
    gzip->at_once = libdeflate_alloc_decompressor();
    if (!gzip->at_once || inflateInit2(&gzip->z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        libdeflate_free_decompressor(gzip->at_once);
        free(gzip);
        return -ENOMEM;
    }
    *ret_state = gzip;
    return 0;
}

static void gzip_restart(void *state) {
    struct gzip *gzip = state;
    inflateReset(&gzip->z);
    gzip->between = false;
}

static const char behind_last[] = "it has bytes behind its last gzip member that are none";

/* zlib tells its findings apart by their texts alone. */
static const char *reason_of(const char *msg) {
    if (msg && strcmp(msg, "incorrect data check") == 0)
        return "its gzip checksum is wrong";
    if (msg && strcmp(msg, "incorrect length check") == 0)
        return "its gzip length is wrong";
    if (msg && strcmp(msg, "incorrect header check") == 0)
        return behind_last; /* the first member has the magic: it was detected by it */
    return "its gzip data cannot be inflated";
}

static int feed_member(struct gzip *gzip, struct span *in) {
    int code;
    int err = inflate_span(&gzip->z, in, gzip->out->window, output_write, gzip->out, &code);
    if (err)
        return err;
    if (code == Z_STREAM_END) {
        inflateReset(&gzip->z);
        gzip->between = true;
    } else if (code != Z_OK) {
        return output_damage(gzip->out, reason_of(gzip->z.msg));
    }
    return 0;
}

static int feed_padding(struct gzip *gzip, struct span *in) {
    while (in->len > 0 && *in->at == 0)
        span_take(in, 1);
    if (in->len == 0)
        return 0;
    if (*in->at != (uint8_t)GZIP_MAGIC[0])
        return output_damage(gzip->out, behind_last);
    gzip->between = false;
    return 0;
}

static int gzip_feed(void *state, struct span *in) {
    struct gzip *gzip = state;
    int err = 0;
    while (in->len > 0 && !err)
        err = gzip->between ? feed_padding(gzip, in) : feed_member(gzip, in);
    return err;
}

static int gzip_finish(void *state) {
    struct gzip *gzip = state;
    return gzip->between ? 0 : output_damage(gzip->out, "it ends inside a gzip member");
}

/* The size that the member at the object's end gives itself. */
static size_t announced_size(const uint8_t *at, size_t len) {
    return le32(at + len - 4);
}

/* Whether the object may be one member that libdeflate checks as strictly as zlib, and is small. */
static bool may_go_at_once(const struct gzip *gzip, const uint8_t *at, size_t len) {
    if (len < MEMBER_MIN || at[FLAGS_AT] & FLAG_HEADER_CRC)
        return false;
    size_t size = announced_size(at, len);
    return size <= WHOLE_PLAIN_MAX && size <= gzip->out->left && size / DEFLATE_RATIO_MAX <= len;
}

static int make_room(struct gzip *gzip, size_t size) {
    if (gzip->plain && size <= gzip->plain_cap)
        return 0;
    free(gzip->plain);
    gzip->plain_cap = size < OUTPUT_WINDOW ? OUTPUT_WINDOW : size;
    gzip->plain = malloc(gzip->plain_cap);
    return gzip->plain ? 0 : -ENOMEM;
}

static int gzip_whole(void *state, const uint8_t *at, size_t len) {
    struct gzip *gzip = state;
    if (!may_go_at_once(gzip, at, len))
        return 0;
    size_t size = announced_size(at, len);
    int err = make_room(gzip, size);
    if (err)
        return err;
    size_t taken;
    enum libdeflate_result result =
        libdeflate_gzip_decompress_ex(gzip->at_once, at, len, gzip->plain, size, &taken, NULL);
    if (result != LIBDEFLATE_SUCCESS || taken < len)
        return 0;
    err = output_write(gzip->out, gzip->plain, size);
    return err ? err : 1;
}

static void gzip_close(void *state) {
    struct gzip *gzip = state;
    inflateEnd(&gzip->z);
    libdeflate_free_decompressor(gzip->at_once);
    free(gzip->plain);
    free(gzip);
}

const struct format gzip_format = {
    .name = "gzip",
    .match = gzip_match,
    .open = gzip_open,
    .restart = gzip_restart,
    .feed = gzip_feed,
    .finish = gzip_finish,
    .whole = gzip_whole,
    .close = gzip_close,
};
