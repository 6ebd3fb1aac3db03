/*
 * The splitter as its header describes it, a byte at a time over the whole input: slow, and plain
 * enough to be believed. Lines are noted as their kind ('E' an event, 'T' text) and their bytes; an
 * event that the input breaks off as '!' and its bytes.
 */
#ifndef TESTS_SPLIT_MODEL_H
#define TESTS_SPLIT_MODEL_H

#include <maciefs/bytes.h>
#include <maciefs/split.h>
#include <stdbool.h>
#include <string.h>

struct model {
    const uint8_t *in;
    size_t len;
    struct buf line;
    struct buf *lines;
    bool on_line;
    bool comma;
};

static bool model_is(int byte, const char *set) {
    return byte > 0 && strchr(set, byte);
}

/* The byte at `i`, or -1 behind the input. */
static int model_byte(const struct model *model, size_t i) {
    return i < model->len ? model->in[i] : -1;
}

static int model_end(struct model *model, char kind) {
    int err = buf_append(model->lines, &kind, 1);
    if (!err && kind != '!')
        err = buf_append(&model->line, "\n", 1);
    if (!err)
        err = buf_append(model->lines, model->line.at, model->line.len);
    buf_reset(&model->line);
    model->on_line = model->comma = kind == 'E';
    return err;
}

static void model_drop_cr(struct model *model) {
    if (model->line.len > 0 && model->line.at[model->line.len - 1] == '\r')
        model->line.len--;
}

/* Behind the white space that follows the brace at `i`, or 0 where that is too much. */
static size_t model_behind_blanks(const struct model *model, size_t i) {
    size_t blanks = 0;
    while (model_is(model_byte(model, i + 1 + blanks), " \t\r\n"))
        blanks++;
    return blanks > SPLIT_BLANKS_MAX ? 0 : i + 1 + blanks;
}

static bool model_cuts_off(const struct model *model, size_t i) {
    size_t quote = model_behind_blanks(model, i);
    if (quote == 0 || model_byte(model, quote) != '"')
        return false;
    for (size_t k = i; k < quote; k++)
        if (model->in[k] == '\n')
            return true;
    return quote + 1 < model->len && !model_is(model->in[quote + 1], ":,}] \t\r\n");
}

/* From the '{' at `i`; where the input goes on is left in `*next`. */
static int model_event(struct model *model, size_t i, size_t *next) {
    unsigned depth = 0;
    bool string = false, escaped = false, dropping = false;
    int last = 0;
    for (; i < model->len; i++) {
        int c = model->in[i];
        *next = i;
        if (dropping && model_is(c, " \t\r\n"))
            continue;
        dropping = !string && model_is(c, "\r\n");
        bool quote = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if (dropping)
            continue;
        if (string && c == '\n') {
            *next = i + 1;
            model_drop_cr(model);
            return model_end(model, 'T');
        }
        if (c == '{' && string && model_cuts_off(model, i))
            return model_end(model, 'T');
        if (c == '{' && !string && depth > 0 && !model_is(last, ":,["))
            return model_end(model, 'T');
        int err = buf_append(&model->line, &model->in[i], 1);
        if (err)
            return err;
        if (!string)
            depth += (c == '{') - (c == '}');
        *next = i + 1;
        if (depth == 0)
            return model_end(model, 'E');
        string = string != quote;
        last = model_is(c, " \t") ? last : c;
    }
    return model_end(model, '!');
}

static int model_text(struct model *model, size_t i, size_t *next) {
    for (; i < model->len && model->in[i] != '\n'; i++) {
        size_t behind = model->in[i] == '{' ? model_behind_blanks(model, i) : 0;
        if (model->on_line && behind > 0 && model_is(model_byte(model, behind), "\"}")) {
            *next = i;
            return model_end(model, 'T');
        }
        int err = buf_append(&model->line, &model->in[i], 1);
        if (err)
            return err;
    }
    if (i < model->len)
        model_drop_cr(model);
    *next = i + (i < model->len);
    return model_end(model, 'T');
}

/* Returns 0, or the error of a buffer. */
static int model_split(const uint8_t *in, size_t len, struct buf *lines) {
    struct model model = {.in = in, .len = len, .lines = lines};
    buf_init(&model.line, lines->limit);
    int err = 0;
    for (size_t i = 0; !err && i < len;) {
        if (in[i] == '\n')
            model.on_line = false;
        if (in[i] == ',' && model.comma) {
            model.comma = false;
            i++;
        } else if (in[i] == 0 || model_is(in[i], " \t\r\n\x1e")) {
            i++;
        } else if (len - i >= 3 && memcmp(in + i, "\xef\xbb\xbf", 3) == 0) {
            i += 3;
        } else if (in[i] == '{') {
            err = model_event(&model, i, &i);
        } else {
            err = model_text(&model, i, &i);
        }
    }
    buf_free(&model.line);
    return err;
}

#endif
