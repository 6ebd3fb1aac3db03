/*
 * A message under way: JSON text of bounded length, made of an event's values.
 *
 * Values are written without white space between their tokens. What an object holds is `looked
 * into` unless it stands in an array: there, nulls are left out, and an array of one element is
 * written as that element, which in turn is not looked into. Marks on nodes tell what else becomes
 * of a value; caps, what is left out of it.
 *
 * What does not fit is not written and sets `full`; from then on the text is worth nothing.
 *
 * What is here in full is done for every value of every event.
 */
#ifndef MACIEFS_DECODE_MESSAGE_H
#define MACIEFS_DECODE_MESSAGE_H

#include "json.h"
#include "slim.h"

#include <maciefs/shape.h>

/* What a node's mark asks for. */
enum message_mark {
    MESSAGE_AS_IS,
    MESSAGE_WRAPPED,  /* {"value": it} */
    MESSAGE_KEYS,     /* an array: of an object the paths to its leaves, of anything else "" */
    MESSAGE_QUANTITY, /* an array of a number, string or word as a string */
};

/* A value, as a message has it. */
struct message_value {
    uint32_t node; /* 0: none */
    bool inside;   /* it stands inside an array, so it is not looked into */
};

/* An object or array whose members or elements are being gone through. */
struct message_frame {
    uint32_t next;
    uint32_t end;
    uint32_t member; /* the one last come to */
    uint32_t done;   /* what was written: 0 until there was something */
    bool object;
    bool inside;
    bool compact; /* no white space, and nothing else that must not be copied, is in it */
};

struct message {
    const struct json *json;
    struct slim_caps caps;
    bool full;
    size_t len;
    uint32_t depth;
    struct message_frame frames[JSON_DEPTH_MAX + 1];
    uint8_t at[SHAPE_LINE_MAX];
};

/* Begins anew, with an event's values (NULL: with none) and no caps. */
void message_begin(struct message *message, const struct json *json);

static inline void message_append(struct message *message, const void *at, size_t len) {
    if (len > sizeof message->at - message->len) {
        message->full = true;
        return;
    }
    memcpy(message->at + message->len, at, len);
    message->len += len;
}

/* Appends JSON as it stands in the code. */
static inline void message_literal(struct message *message, const char *json) {
    message_append(message, json, strlen(json));
}

/* Appends what stands in a string for these bytes, escaped where need be; at most `max` bytes. */
void message_text(struct message *message, const void *at, size_t len, size_t max);

/* The value that a message has of a member or element; `inside`: that stands inside an array. */
static inline struct message_value message_value_of(const struct json *json, uint32_t member,
                                                    bool inside) {
    uint32_t node = json_value(json, member);
    if (!inside && json->nodes[node].kind == JSON_ARRAY && json->nodes[node].count == 1)
        return (struct message_value){json_value(json, node + 1), true};
    return (struct message_value){node, inside};
}

/* Whether the member is in no message. */
static inline bool message_leaves_out(const struct json *json, uint32_t member, bool inside) {
    if (json->nodes[member].flags & JSON_GONE)
        return true;
    return !inside && json->nodes[json_value(json, member)].kind == JSON_NULL;
}

/* Goes through an object or array; the frame is before its first member or element. */
static inline struct message_frame message_enter(const struct json *json,
                                                 struct message_value value) {
    const struct json_node *node = &json->nodes[value.node];
    return (struct message_frame){
        .next = value.node + 1,
        .end = node->next,
        .object = node->kind == JSON_OBJECT,
        .inside = value.inside || node->kind == JSON_ARRAY,
        .compact = !(node->flags & JSON_REWRITE),
    };
}

/* To the next one that a message has: `frame->member`, and its value. False behind the last. */
static inline bool message_advance(const struct json *json, struct message_frame *frame,
                                   struct message_value *ret) {
    while (frame->next < frame->end) {
        frame->member = frame->next;
        frame->next = json->nodes[frame->next].next;
        if (frame->object && message_leaves_out(json, frame->member, frame->inside))
            continue;
        *ret = message_value_of(json, frame->member, frame->inside);
        return true;
    }
    return false;
}

/* Appends a value. */
void message_value(struct message *message, struct message_value value);

/* Appends all members of the object, each with a comma before it. */
void message_members(struct message *message, struct message_value object);

#endif
