/*
 * The splitter: the same lines however the input is cut, and those of the model; every line ends in
 * its only LF and is not empty; nothing but those LFs is added.
 */
#include "../unit/split_lines.h"
#include "../unit/split_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* Feeds chunks of 1 to 128 bytes, as `seed` has it; 0 is the whole at once. */
static void feed(struct splitter *splitter, const uint8_t *at, size_t len, uint32_t seed) {
    while (len > 0) {
        seed = seed * 1664525 + (seed ? 1013904223 : 0);
        size_t most = seed >> 31 ? 128 : 4;
        size_t take = seed ? 1 + (seed >> 16) % most : len;
        take = take < len ? take : len;
        require(splitter_feed(splitter, at, take) == 0);
        at += take;
        len -= take;
    }
}

static void require_equal(const struct buf *one, const struct buf *other) {
    require(one->len == other->len);
    require(one->len == 0 || memcmp(one->at, other->at, one->len) == 0);
}

/* Lines as noted: a kind before each, and none of them broken or empty. */
static void require_lines(const struct buf *noted, size_t input_len) {
    size_t lines = 0;
    for (size_t at = 0; at < noted->len; lines++) {
        uint8_t kind = noted->at[at++];
        const uint8_t *lf = memchr(noted->at + at, '\n', noted->len - at);
        size_t end = lf ? (size_t)(lf - noted->at) + 1 : noted->len;
        require(kind == '!' ? !lf && end == noted->len : lf && end - at > 1);
        require(kind != 'E' || (noted->at[at] == '{' && noted->at[end - 2] == '}'));
        at = end;
    }
    require(noted->len <= input_len + 2 * lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    uint32_t seed = data[0];
    const uint8_t *in = data + 1;
    size_t len = size - 1;
    size_t limit = 4 * size + 16;
    struct lines lines;
    lines_init(&lines, limit);
    struct splitter splitter;
    struct buf want;
    buf_init(&want, limit);
    require(model_split(in, len, &want) == 0);
    require_lines(&want, len);
    for (int round = 0; round < 2; round++) {
        lines_begin(&lines, &splitter);
        feed(&splitter, in, len, round ? seed : 0);
        require(lines_finish(&lines, &splitter) == 0);
        require_equal(&lines.noted, &want);
    }
    buf_free(&want);
    lines_free(&lines);
    return 0;
}
