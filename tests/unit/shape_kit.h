/* What the tests of shaping share: messages as values, compared and checked by cJSON. */
#ifndef MACIEFS_UNIT_SHAPE_KIT_H
#define MACIEFS_UNIT_SHAPE_KIT_H

#include <maciefs/shape.h>

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

/* Whether a number goes on with this byte. */
static inline bool is_of_number(char byte) {
    return byte != '\0' && strchr("+-.0123456789Ee", byte) != NULL;
}

static inline int append_string_token(struct buf *out, const char **at) {
    const char *start = (*at)++;
    while (**at != '"' && **at != '\0')
        *at += **at == '\\' && (*at)[1] != '\0' ? 2 : 1;
    *at += **at == '"';
    return buf_append(out, start, (size_t)(*at - start));
}

static inline int append_number_token(struct buf *out, const char **at) {
    size_t len = 0;
    while (is_of_number((*at)[len]))
        len++;
    int err = buf_printf(out, "\"#%.*s\"", (int)len, *at);
    *at += len;
    return err;
}

/* JSON → the same with every number 12 as a string "#12", so that cJSON keeps its digits. */
static inline int quote_numbers(const char *json, struct buf *out) {
    int err = 0;
    while (*json && !err) {
        if (*json == '"')
            err = append_string_token(out, &json);
        else if (*json == '-' || (*json >= '0' && *json <= '9'))
            err = append_number_token(out, &json);
        else
            err = buf_append(out, json++, 1);
    }
    return err;
}

/* The whole text as a value, numbers as strings; NULL where it is no JSON. For cJSON_Delete. */
static inline cJSON *parse_exactly(const char *json) {
    struct buf quoted;
    buf_init(&quoted, (size_t)256 << 20);
    cJSON *value = NULL;
    if (quote_numbers(json, &quoted) == 0 && buf_str(&quoted))
        value = cJSON_ParseWithOpts(buf_str(&quoted), NULL, true);
    buf_free(&quoted);
    return value;
}

/* Whether the line is one Wazuh takes: an object, within the limit, no control characters. */
static inline bool is_message(struct buf *line) {
    if (line->len > SHAPE_LINE_MAX)
        return false;
    for (size_t i = 0; i < line->len; i++)
        if (line->at[i] < 0x20)
            return false;
    cJSON *value = cJSON_ParseWithOpts(buf_str(line), NULL, true);
    bool object = cJSON_IsObject(value);
    cJSON_Delete(value);
    return object;
}

#endif
