#include "message.h"

#include <stdio.h>
#include <string.h>

void message_begin(struct message *message, const struct json *json) {
    message->json = json;
    message->caps = slim_uncapped();
    message->full = false;
    message->len = 0;
    message->depth = 0;
}

/* --- Text ------------------------------------------------------------------------------------- */

static void append_byte(struct message *message, char byte) {
    if (message->len == sizeof message->at)
        message->full = true;
    else
        message->at[message->len++] = (uint8_t)byte;
}

/* The byte as it stands in a string; returns how many bytes that is. */
static size_t escape(uint8_t byte, char ret[static 8]) {
    if (byte == '"' || byte == '\\') {
        ret[0] = '\\';
        ret[1] = (char)byte;
        return 2;
    }
    if (byte < 0x20)
        return (size_t)snprintf(ret, 8, "\\u%04x", byte);
    ret[0] = (char)byte;
    return 1;
}

void message_text(struct message *message, const void *text, size_t len, size_t max) {
    const uint8_t *at = text;
    size_t start = message->len;
    while (len > 0 && !message->full) {
        char escaped[8];
        size_t room = max - (message->len - start);
        size_t plain = (size_t)(json_skip_plain(at, at + len) - at);
        size_t size = plain > 0 ? plain : escape(*at, escaped);
        if (plain == 0 && size > room)
            return;
        size = size < room ? size : room;
        message_append(message, plain > 0 ? at : (const uint8_t *)escaped, size);
        if (size < plain)
            return;
        at += plain > 0 ? plain : 1;
        len -= plain > 0 ? plain : 1;
    }
}

/* Appends a string's characters one by one: up to the cap, half pairs replaced. */
static void append_characters(struct message *message, const uint8_t *at, size_t len) {
    const uint8_t *end = at + len;
    size_t left = message->caps.text;
    while (at < end && !message->full) {
        bool broken;
        size_t size = json_character(at, end, &broken);
        if (size > left)
            return;
        message_append(message, broken ? (const uint8_t *)"\\ufffd" : at, size);
        at += size;
        left -= size;
    }
}

/* Appends what stands between a string's quotes. `broken`: half pairs are in it. */
static void append_inside(struct message *message, const uint8_t *at, size_t len, bool broken) {
    if (broken || len > message->caps.text)
        append_characters(message, at, len);
    else
        message_append(message, at, len);
}

static void append_string(struct message *message, const uint8_t *at, size_t len, bool broken) {
    append_byte(message, '"');
    append_inside(message, at, len, broken);
    append_byte(message, '"');
}

static void append_number(struct message *message, const struct json_node *node) {
    const uint8_t *at = message->json->text + node->at;
    size_t len = node->len;
    if (*at == '-') {
        append_byte(message, '-');
        at++;
        len--;
    }
    while (len > 1 && at[0] == '0' && at[1] >= '0' && at[1] <= '9') {
        at++;
        len--;
    }
    message_append(message, at, len);
}

static void append_name(struct message *message, uint32_t member) {
    const struct json_node *node = &message->json->nodes[member];
    const uint8_t *name = message->json->text + node->name;
    append_byte(message, '"');
    if (node->flags & JSON_NAME_BROKEN) {
        struct slim_caps caps = message->caps;
        message->caps = slim_uncapped();
        append_characters(message, name, node->name_len);
        message->caps = caps;
    } else {
        message_append(message, name, node->name_len);
    }
    message_append(message, "\":", 2);
}

/* --- Going through objects and arrays --------------------------------------------------------- */

static void push(struct message *message, struct message_value value) {
    message->frames[message->depth++] = message_enter(message->json, value);
}

static struct message_frame *innermost(struct message *message) {
    return &message->frames[message->depth - 1];
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* The names that lead to the innermost frame's member, from the frame `base` on. */
static void append_path(struct message *message, uint32_t base) {
    for (uint32_t i = base; i < message->depth && !message->full; i++) {
        const struct json_node *node = &message->json->nodes[message->frames[i].member];
        if (i > base)
            append_byte(message, '.');
        append_inside(message, message->json->text + node->name, node->name_len,
                      node->flags & JSON_NAME_BROKEN);
    }
}

/* One path for each leaf. Objects without any have none. */
static void append_paths(struct message *message, struct message_value object) {
    uint32_t base = message->depth;
    uint32_t done = 0;
    push(message, object);
    while (message->depth > base && done < message->caps.elements && !message->full) {
        struct message_value value;
        if (!message_advance(message->json, innermost(message), &value)) {
            message->depth--;
        } else if (message->json->nodes[value.node].kind == JSON_OBJECT) {
            push(message, value);
        } else {
            message_literal(message, done++ ? ",\"" : "\"");
            append_path(message, base);
            append_byte(message, '"');
        }
    }
    message->depth = base;
}

static void append_keys(struct message *message, struct message_value value) {
    append_byte(message, '[');
    if (message->json->nodes[value.node].kind == JSON_OBJECT)
        append_paths(message, value);
    else if (message->caps.elements > 0)
        message_literal(message, "\"\"");
    append_byte(message, ']');
}

/* --- Values ----------------------------------------------------------------------------------- */

static bool is_uncapped(const struct message *message) {
    return message->caps.elements == SLIM_UNCAPPED && message->caps.text == SLIM_UNCAPPED &&
           message->caps.members == SLIM_UNCAPPED;
}

/* Whether the object's or array's own bytes are what is to be written. */
static bool can_copy(const struct message *message, struct message_value value) {
    uint8_t flags = message->json->nodes[value.node].flags;
    bool loose = flags & JSON_LOOSE && !value.inside;
    return !(flags & (JSON_REWRITE | JSON_MARKED)) && !loose && is_uncapped(message);
}

/* Whether the message has the member byte for byte as the event has it. */
static bool is_verbatim(const struct json_node *member, bool inside) {
    const uint8_t changed = JSON_NAME_BROKEN | JSON_REWRITE | JSON_GONE | JSON_MARKED;
    if (member->flags & changed || member->mark != MESSAGE_AS_IS || member->kind == JSON_MOVED)
        return false;
    return inside || !json_is_loose(member);
}

/* Appends as many of the object's next members as can be copied in one piece. */
static bool append_run(struct message *message, struct message_frame *frame) {
    const struct json_node *nodes = message->json->nodes;
    const struct json_node *first = &nodes[frame->next];
    const struct json_node *last = NULL;
    if (!frame->object || !frame->compact || !is_uncapped(message))
        return false;
    while (frame->next < frame->end && is_verbatim(&nodes[frame->next], frame->inside)) {
        last = &nodes[frame->next];
        frame->next = last->next;
    }
    if (!last)
        return false;
    uint32_t from = first->name - 1;
    uint32_t to = last->at + last->len + (last->kind == JSON_STRING);
    if (frame->done++ > 0)
        append_byte(message, ',');
    message_append(message, message->json->text + from, to - from);
    return true;
}

static void append_scalar(struct message *message, const struct json_node *node) {
    const uint8_t *at = message->json->text + node->at;
    if (node->kind == JSON_STRING)
        append_string(message, at, node->len, node->flags & JSON_REWRITE);
    else if (node->flags & JSON_REWRITE)
        append_number(message, node);
    else
        message_append(message, at, node->len);
}

/* Appends the value, or of an object or array its beginning. */
static void begin_value(struct message *message, struct message_value value) {
    const struct json_node *node = &message->json->nodes[value.node];
    if (node->kind != JSON_OBJECT && node->kind != JSON_ARRAY) {
        append_scalar(message, node);
    } else if (can_copy(message, value)) {
        message_append(message, message->json->text + node->at, node->len);
    } else {
        append_byte(message, node->kind == JSON_OBJECT ? '{' : '[');
        push(message, value);
    }
}

/* Appends what is left of the values begun since the message had that depth. */
static void finish_values(struct message *message, uint32_t base);

static void append_wrapped(struct message *message, struct message_value value) {
    uint32_t base = message->depth;
    message_literal(message, "{\"value\":");
    begin_value(message, value);
    finish_values(message, base);
    append_byte(message, '}');
}

static void append_quantity(struct message *message, const struct json_node *node) {
    const char *quote = node->kind == JSON_STRING ? "" : "\"";
    append_byte(message, '[');
    message_literal(message, quote);
    append_scalar(message, node);
    message_literal(message, quote);
    append_byte(message, ']');
}

static void append_value(struct message *message, struct message_value value) {
    const struct json_node *node = &message->json->nodes[value.node];
    switch (node->mark) {
    case MESSAGE_WRAPPED:
        append_wrapped(message, value);
        break;
    case MESSAGE_KEYS:
        append_keys(message, value);
        break;
    case MESSAGE_QUANTITY:
        append_quantity(message, node);
        break;
    default:
        begin_value(message, value);
    }
}

/* Goes on with an object or array: what comes next in it. False at its end, or its cap. */
static bool append_next(struct message *message, struct message_frame *frame) {
    struct message_value value;
    uint32_t cap = frame->object ? message->caps.members : message->caps.elements;
    if (append_run(message, frame))
        return true;
    if (frame->done >= cap || !message_advance(message->json, frame, &value))
        return false;
    if (frame->done++ > 0)
        append_byte(message, ',');
    if (frame->object)
        append_name(message, frame->member);
    append_value(message, value);
    return true;
}

static void finish_values(struct message *message, uint32_t base) {
    while (message->depth > base && !message->full) {
        struct message_frame *frame = innermost(message);
        if (append_next(message, frame))
            continue;
        append_byte(message, frame->object ? '}' : ']');
        message->depth--;
    }
    message->depth = base;
}

void message_value(struct message *message, struct message_value value) {
    uint32_t base = message->depth;
    append_value(message, value);
    finish_values(message, base);
}

void message_members(struct message *message, struct message_value object) {
    uint32_t base = message->depth;
    struct message_frame frame = message_enter(message->json, object);
    size_t start = message->len;
    append_byte(message, ',');
    while (!message->full && append_next(message, &frame))
        finish_values(message, base);
    if (frame.done == 0 && !message->full)
        message->len = start;
}
