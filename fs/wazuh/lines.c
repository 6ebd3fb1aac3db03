/* An object's lines: read back from its hour's log, shaped, and written to the view. */
#include "wazuh_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer line is not looked at: it is counted as one that has no place in the view. */
#define LINE_MAX_BYTES (16u << 20)

/* Bytes that are read from the log at once. */
#define PIECE (256u << 10)

/* What one object's lines go through. */
struct lines {
    struct wazuh *wazuh;
    struct shape_origin origin;
    struct spool spool;
    struct buf line;    /* one that came in pieces */
    bool too_long;      /* the line under way; the rest of it is passed over */
    struct buf message; /* reused from line to line */
};

static int put(struct lines *lines) {
    int err = buf_append(&lines->message, "\n", 1);
    if (!err)
        err = spool_write(&lines->spool, lines->message.at, lines->message.len);
    if (!err)
        err = spool_end(&lines->spool, true);
    if (!err)
        atomic_fetch_add(&lines->wazuh->options.counters->messages, 1);
    return err;
}

static int take_line(struct lines *lines, const uint8_t *at, size_t len) {
    struct wazuh *wazuh = lines->wazuh;
    buf_reset(&lines->message);
    int err = lines->too_long ? SHAPE_SKIPPED
              : wazuh->options.config->shape == CONFIG_SHAPE_EVENT
                  ? shape_plain(wazuh->shaper, at, len, &lines->message)
                  : shape_event(wazuh->shaper, &lines->origin, at, len, &lines->message);
    if (err == SHAPE_SKIPPED) {
        atomic_fetch_add(&wazuh->options.counters->skipped, 1);
        return 0;
    }
    return err ? err : put(lines);
}

/* Keeps the beginning of a line whose end is in the next piece. */
static int hold(struct lines *lines, const uint8_t *at, size_t len) {
    int err = lines->too_long ? 0 : buf_append(&lines->line, at, len);
    if (err != -EMSGSIZE)
        return err;
    lines->too_long = true;
    buf_free(&lines->line);
    return 0;
}

static int end_line(struct lines *lines, const uint8_t *at, size_t len) {
    if (lines->line.len == 0 && !lines->too_long)
        return take_line(lines, at, len);
    int err = hold(lines, at, len);
    if (!err)
        err = take_line(lines, lines->line.at, lines->line.len);
    buf_reset(&lines->line);
    lines->too_long = false;
    return err;
}

static int take_piece(struct lines *lines, const uint8_t *at, size_t len) {
    const uint8_t *newline;
    int err = 0;
    while (!err && (newline = memchr(at, '\n', len))) {
        size_t line_len = (size_t)(newline - at);
        err = end_line(lines, at, line_len);
        at = newline + 1;
        len -= line_len + 1;
    }
    return err || len == 0 ? err : hold(lines, at, len);
}

static int read_lines(struct lines *lines, const struct pending *pending) {
    struct store *logs = lines->wazuh->options.logs;
    uint8_t *piece = malloc(PIECE);
    int err = piece ? 0 : -ENOMEM;
    for (uint64_t at = 0; !err && at < pending->length;) {
        size_t want = pending->length - at < PIECE ? (size_t)(pending->length - at) : PIECE;
        ssize_t n = store_read(logs, pending->hour, pending->offset + at, piece, want);
        err = n < 0 ? (int)n : n == 0 ? -EIO : take_piece(lines, piece, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
    }
    free(piece);
    return err;
}

/* As Wazuh's own module does, the view says where an object broke off. */
static int tell_damage(struct lines *lines) {
    struct wazuh *wazuh = lines->wazuh;
    buf_reset(&lines->message);
    int err = shape_error(wazuh->shaper, &lines->origin,
                          "the object is damaged: every whole event before the damage was taken",
                          &lines->message);
    return err ? err : put(lines);
}

int wazuh_write(struct wazuh *wazuh, hour_t hour, const struct pending *pending) {
    const struct config *config = wazuh->options.config;
    struct lines lines = {.wazuh = wazuh};
    char *key = NULL;
    if (asprintf(&key, "%s%s", wazuh->options.source->prefix, pending->object.key) < 0)
        return -ENOMEM;
    lines.origin = (struct shape_origin){wazuh->options.source->bucket, key, config->account_alias};
    buf_init(&lines.line, LINE_MAX_BYTES);
    buf_init(&lines.message, SHAPE_LINE_MAX + 1);
    spool_init(&lines.spool, store_folder(wazuh->store), &wazuh->stock);
    int err = read_lines(&lines, pending);
    if (!err && pending->damaged)
        err = tell_damage(&lines);
    if (!err)
        err = spool_seal(&lines.spool);
    if (!err)
        err =
            store_write(wazuh->store, hour, &pending->object, &lines.spool, NULL, pending->damaged);
    spool_free(&lines.spool);
    buf_free(&lines.message);
    buf_free(&lines.line);
    free(key);
    return err;
}
