#include "format.h"

#include <errno.h>
#include <string.h>

const uint8_t *span_take(struct span *in, size_t len) {
    const uint8_t *at = in->at;
    in->at += len;
    in->len -= len;
    return at;
}

int span_gather(struct span *in, struct buf *part, size_t need, const uint8_t **ret_at) {
    if (part->len == 0 && in->len >= need) {
        *ret_at = span_take(in, need);
        return 1;
    }
    size_t missing = need - part->len;
    size_t more = missing < in->len ? missing : in->len;
    int err = buf_append(part, in->at, more);
    if (err)
        return err;
    span_take(in, more);
    if (more < missing)
        return 0;
    buf_reset(part);
    *ret_at = part->at;
    return 1;
}

int output_write(void *ctx, const uint8_t *at, size_t len) {
    struct output *out = ctx;
    size_t fits = len < out->left ? len : (size_t)out->left;
    if (fits > 0) {
        int err = out->sink(out->ctx, at, fits);
        if (err)
            return err;
        out->left -= fits;
    }
    if (fits < len)
        return output_damage(out, "it is longer than max_object when decoded");
    return 0;
}

int output_damage(struct output *out, const char *reason) {
    out->reason = reason;
    return -EBADMSG;
}

enum match match_magic(const uint8_t *at, size_t len, const void *magic, size_t size) {
    if (memcmp(at, magic, len < size ? len : size) != 0)
        return MATCH_NO;
    return len < size ? MATCH_MAYBE : MATCH_YES;
}
