/*
 * A JSON object as a tree over its own bytes.
 *
 * Values are nodes in one array, in the order in which they begin, and every node knows which one
 * stands behind all that is in it. Names, strings and numbers are spans of the source and keep
 * their bytes. The memory is used again from one object to the next.
 *
 * What is read is RFC 8259: no NaN, no comments, no control characters in strings. One thing more
 * is taken, because Macie wrote it: leading zeros in a number whose member is named lat or lon.
 * Bytes in strings need not be UTF-8. Where a name occurs more than once in an object, the last
 * value counts, in the first one's place, as in Python. No recursion; what a tree may take is
 * bounded.
 */
#ifndef MACIEFS_DECODE_JSON_H
#define MACIEFS_DECODE_JSON_H

#include "json_text.h"

#include <string.h>

#define JSON_BYTES_MAX ((size_t)16 << 20) /* bytes of the source */
#define JSON_NODES_MAX ((uint32_t)1 << 18)
#define JSON_DEPTH_MAX 990 /* open braces and brackets; parsers behind us take 1000 */

enum json_kind {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL,
    JSON_MOVED, /* the value is another node's: see json_value */
};

enum json_flag {
    JSON_NAME_ESCAPED = 1 << 0,
    JSON_NAME_BROKEN = 1 << 1, /* the name holds half a surrogate pair */
    JSON_ESCAPED = 1 << 2,     /* a string with escapes */
    JSON_REWRITE = 1 << 3,     /* its bytes cannot be copied: they hold white space outside strings,
                                  names that occur twice, half pairs or leading zeros */
    JSON_LOOSE = 1 << 4,       /* an object that holds, arrays' insides not counted, a null or an
                                  array of one element */
    JSON_GONE = 1 << 5,        /* no member any more */
    JSON_MARKED = 1 << 6,      /* the reader's own: there are marks in it */
};

struct json_node {
    uint32_t at;   /* the value's bytes; a string's are those between its quotes */
    uint32_t len;  /* of them */
    uint32_t name; /* a member's name, between its quotes */
    uint32_t name_len;
    uint32_t name_hash; /* while its object is read */
    uint32_t next;      /* the node behind this one and all that is in it */
    uint32_t count;     /* of an object or array: what it holds; JSON_MOVED: the value's node */
    uint8_t kind;       /* enum json_kind */
    uint8_t flags;      /* enum json_flag */
    uint8_t mark;       /* the reader's own; 0 at first */
};

/* An object or array that has not ended yet. */
struct json_open {
    uint32_t node;
    uint32_t count;
    uint8_t flags;
    bool object;
    bool escaped; /* a name has escapes */
};

/* Zeroed it is empty. The members are for reading; nodes may be changed by who reads them. */
struct json {
    const uint8_t *text;
    struct json_node *nodes; /* the first is the object itself */
    uint32_t count;
    /* While it is read: */
    const uint8_t *end;
    int err;          /* why it could not go on */
    uint32_t room;    /* nodes there is memory for */
    uint32_t *sorted; /* as many: the members of an object, by name */
    uint32_t depth;
    struct json_open open[JSON_DEPTH_MAX + 1];
};

/*
 * Reads the object that `text` is, white space around it aside; the text must outlive the tree.
 * Returns 0; -EBADMSG where it is no JSON object; -E2BIG where a bound is passed before that could
 * be told; -ENOMEM.
 */
int json_parse(struct json *json, const uint8_t *text, size_t len);

/* Frees the memory; leaves it empty. */
void json_free(struct json *json);

/* Frees the memory if that is much more than usual objects need. */
void json_trim(struct json *json);

/* The node that has the value of this node. */
static inline uint32_t json_value(const struct json *json, uint32_t node) {
    return json->nodes[node].kind == JSON_MOVED ? json->nodes[node].count : node;
}

/* Whether the value, as a member's, makes the object JSON_LOOSE. */
static inline bool json_is_loose(const struct json_node *node) {
    switch (node->kind) {
    case JSON_OBJECT:
        return node->flags & JSON_LOOSE;
    case JSON_ARRAY:
        return node->count == 1;
    default:
        return node->kind == JSON_NULL;
    }
}

/* A name to look for, in ASCII; not empty. */
struct json_key {
    const char *name;
    size_t len;
};

#define JSON_KEY(literal)                                                                          \
    { literal, sizeof(literal) - 1 }

/* Whether that is the member's name, its escapes resolved. */
static inline bool json_name_is(const struct json *json, uint32_t member,
                                const struct json_key *key) {
    const struct json_node *node = &json->nodes[member];
    const uint8_t *name = json->text + node->name;
    if (node->flags & JSON_NAME_ESCAPED)
        return json_text_compare(json_text_of(name, node->name_len),
                                 json_text_of((const uint8_t *)key->name, key->len)) == 0;
    return node->name_len == key->len && *name == (uint8_t)*key->name &&
           memcmp(name, key->name, key->len) == 0;
}

/* The value of the object's member of that name; 0 where it has none. */
uint32_t json_find(const struct json *json, uint32_t object, const struct json_key *key);

struct json_span {
    const uint8_t *at;
    size_t len;
};

/*
 * Finds members' values in an object too large for a tree: for each of the `count` keys the last
 * value, as a span of `text`, or one of length 0. Looks at strings and brackets alone, so most of
 * what is no JSON is not seen to be none. Takes any length and depth, and no memory.
 * Returns 0, or -EBADMSG.
 */
int json_pick(const uint8_t *text, size_t len, const struct json_key *keys, size_t count,
              struct json_span *ret_values);

#endif
