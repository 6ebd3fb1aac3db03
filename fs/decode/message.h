/*
 * A message under way: JSON text of bounded length, made of an event's values.
 *
 * Values are written without white space between their tokens. What an object holds is `looked
 * into` unless it stands in an array: there, nulls are left out, and an array of one element is
 * written as that element, which in turn is not looked into. Marks on nodes tell what else becomes
 * of a value; caps, what is left out of it.
 *
 * What does not fit is not written and sets `full`; from then on the text is worth nothing.
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

void message_append(struct message *message, const void *at, size_t len);

/* Appends JSON as it stands in the code. */
void message_literal(struct message *message, const char *json);

/* Appends what stands in a string for these bytes, escaped where need be; at most `max` bytes. */
void message_text(struct message *message, const void *at, size_t len, size_t max);

/* Goes through an object or array; the frame is before its first member or element. */
struct message_frame message_enter(const struct json *json, struct message_value value);

/* To the next one that a message has: `frame->member`, and its value. False behind the last. */
bool message_advance(const struct json *json, struct message_frame *frame,
                     struct message_value *ret);

/* Appends a value. */
void message_value(struct message *message, struct message_value value);

/* Appends all members of the object, each with a comma before it. */
void message_members(struct message *message, struct message_value object);

#endif
