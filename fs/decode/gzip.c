/* RFC 1952: members one after another, each with a checksum and a length of its own. */
#include "inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GZIP_MAGIC "\x1f\x8b"
#define GZIP_ONLY 16 /* added to zlib's window bits */

struct gzip {
    struct output *out;
    z_stream z;
    bool between; /* behind a member's end, where padding or the next member may follow */
};

static enum match gzip_match(const uint8_t *head, size_t len) {
    return match_magic(head, len, GZIP_MAGIC, 2);
}

static int gzip_open(struct output *out, void **ret_state) {
    struct gzip *gzip = calloc(1, sizeof *gzip);
    if (!gzip)
        return -ENOMEM;
    gzip->out = out;
    if (inflateInit2(&gzip->z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
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

static void gzip_close(void *state) {
    struct gzip *gzip = state;
    inflateEnd(&gzip->z);
    free(gzip);
}

const struct format gzip_format = {
    .name = "gzip",
    .match = gzip_match,
    .open = gzip_open,
    .restart = gzip_restart,
    .feed = gzip_feed,
    .finish = gzip_finish,
    .close = gzip_close,
};
