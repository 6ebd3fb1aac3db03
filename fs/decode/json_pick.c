#include "json.h"

#include <errno.h>

/* The object under way. */
struct picker {
    const uint8_t *at;
    const uint8_t *end;
};

static int next_byte(struct picker *picker) {
    while (picker->at < picker->end && *picker->at <= ' ')
        picker->at++;
    return picker->at < picker->end ? *picker->at : -1;
}

static int take_text(struct picker *picker, struct json_text *ret) {
    enum json_escapes escapes;
    if (next_byte(picker) != '"')
        return -EBADMSG;
    const uint8_t *start = picker->at + 1;
    const uint8_t *quote = json_text_end(start, picker->end, &escapes);
    if (!quote)
        return -EBADMSG;
    *ret = json_text_of(start, (size_t)(quote - start));
    picker->at = quote + 1;
    return 0;
}

/* Passes over one value: to the comma or brace behind it. */
static int pass_value(struct picker *picker, struct json_span *ret) {
    next_byte(picker);
    const uint8_t *start = picker->at;
    uint64_t depth = 0;
    struct json_text text;
    for (int byte = next_byte(picker); byte >= 0; byte = next_byte(picker)) {
        bool ends = byte == '}' || byte == ']';
        if (depth == 0 && (ends || byte == ',')) {
            *ret = (struct json_span){start, (size_t)(picker->at - start)};
            return ret->len > 0 ? 0 : -EBADMSG;
        }
        depth += byte == '{' || byte == '[';
        depth -= ends;
        if (byte != '"')
            picker->at++;
        else if (take_text(picker, &text))
            return -EBADMSG;
    }
    return -EBADMSG;
}

static int take_member(struct picker *picker, const struct json_key *keys, size_t count,
                       struct json_span *values) {
    struct json_text name;
    struct json_span value;
    int err = take_text(picker, &name);
    if (err || next_byte(picker) != ':')
        return -EBADMSG;
    picker->at++;
    err = pass_value(picker, &value);
    for (size_t i = 0; i < count && !err; i++)
        if (json_text_compare(name, json_text_of((const uint8_t *)keys[i].name, keys[i].len)) == 0)
            values[i] = value;
    return err;
}

/* Whether the object ends here, and the text with it. */
static bool ends(struct picker *picker) {
    if (next_byte(picker) != '}')
        return false;
    picker->at++;
    return next_byte(picker) == -1;
}

int json_pick(const uint8_t *text, size_t len, const struct json_key *keys, size_t count,
              struct json_span *ret_values) {
    struct picker picker = {.at = text, .end = text + len};
    memset(ret_values, 0, count * sizeof *ret_values);
    if (next_byte(&picker) != '{')
        return -EBADMSG;
    picker.at++;
    if (next_byte(&picker) == '}')
        return ends(&picker) ? 0 : -EBADMSG;
    int err = take_member(&picker, keys, count, ret_values);
    while (!err && next_byte(&picker) == ',') {
        picker.at++;
        err = take_member(&picker, keys, count, ret_values);
    }
    return err ? err : ends(&picker) ? 0 : -EBADMSG;
}
