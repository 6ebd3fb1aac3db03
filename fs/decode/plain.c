#include "format.h"

/* The state is the output itself. */

static enum match plain_match(const uint8_t *head, size_t len) {
    (void)head;
    (void)len;
    return MATCH_YES;
}

static int plain_open(struct output *out, void **ret_state) {
    *ret_state = out;
    return 0;
}

static void plain_restart(void *state) {
    (void)state;
}

static int plain_feed(void *state, struct span *in) {
    size_t len = in->len;
    return output_write(state, span_take(in, len), len);
}

static int plain_finish(void *state) {
    (void)state;
    return 0;
}

static void plain_close(void *state) {
    (void)state;
}

const struct format plain_format = {
    .name = "plain",
    .match = plain_match,
    .open = plain_open,
    .restart = plain_restart,
    .feed = plain_feed,
    .finish = plain_finish,
    .close = plain_close,
};
