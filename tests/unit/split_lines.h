/* A line_sink that notes lines as split_model.h does, and runs the splitter over chunks. */
#ifndef TESTS_SPLIT_LINES_H
#define TESTS_SPLIT_LINES_H

#include <errno.h>
#include <maciefs/bytes.h>
#include <maciefs/split.h>

struct lines {
    struct buf line;
    struct buf noted;
};

static void lines_init(struct lines *lines, size_t limit) {
    buf_init(&lines->line, limit);
    buf_init(&lines->noted, limit);
}

static void lines_free(struct lines *lines) {
    buf_free(&lines->line);
    buf_free(&lines->noted);
}

static int lines_write(void *ctx, const uint8_t *at, size_t len) {
    struct lines *lines = ctx;
    return buf_append(&lines->line, at, len);
}

static int lines_note(struct lines *lines, char kind) {
    int err = buf_append(&lines->noted, &kind, 1);
    if (!err)
        err = buf_append(&lines->noted, lines->line.at, lines->line.len);
    buf_reset(&lines->line);
    return err;
}

static int lines_end(void *ctx, bool object) {
    return lines_note(ctx, object ? 'E' : 'T');
}

static void lines_begin(struct lines *lines, struct splitter *splitter) {
    buf_reset(&lines->line);
    buf_reset(&lines->noted);
    struct line_sink sink = {.write = lines_write, .end = lines_end, .ctx = lines};
    splitter_init(splitter, &sink);
}

/* The input ends. Returns 0, or an error of the sink's. */
static int lines_finish(struct lines *lines, struct splitter *splitter) {
    int err = splitter_finish(splitter);
    return err == -EBADMSG ? lines_note(lines, '!') : err;
}

#endif
