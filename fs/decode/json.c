#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Nodes that are kept from one object to the next: some hundred kilobytes. */
#define KEPT_MAX 16384

/* Must become part of the loop over the text. */
#define IN_LOOP static inline __attribute__((always_inline))

/* --- Nodes ------------------------------------------------------------------------------------ */

static int grow(struct json *json) {
    if (json->room == JSON_NODES_MAX)
        return -E2BIG;
    uint32_t room = json->room ? 2 * json->room : 1024;
    struct json_node *nodes = realloc(json->nodes, room * sizeof *nodes);
    if (!nodes)
        return -ENOMEM;
    json->nodes = nodes;
    uint32_t *sorted = realloc(json->sorted, room * sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    json->sorted = sorted;
    json->room = room;
    return 0;
}

IN_LOOP int add_node(struct json *json, uint32_t *ret_node) {
    int err = json->count == json->room ? grow(json) : 0;
    if (err)
        return err;
    *ret_node = json->count++;
    json->nodes[*ret_node] = (struct json_node){0};
    return 0;
}

IN_LOOP struct json_open *innermost(struct json *json) {
    return &json->open[json->depth];
}

/*
 * Reading goes from function to function as the place where it goes on, which so stays in a
 * register; it is NULL once it cannot, and then json->err says why.
 */
static const uint8_t *fail(struct json *json, int err) {
    json->err = err;
    return NULL;
}

static const uint8_t *behind_white(struct json *json, const uint8_t *at) {
    const uint8_t *start = at;
    while (at < json->end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    if (at > start)
        innermost(json)->flags |= JSON_REWRITE;
    return at;
}

/* The next byte that is no white space, or the end. */
IN_LOOP const uint8_t *skip_white(struct json *json, const uint8_t *at) {
    bool more = at < json->end;
    return more && *at > ' ' ? at : behind_white(json, at);
}

/* The byte, or -1 at the end. */
IN_LOOP int peek(const struct json *json, const uint8_t *at) {
    return at < json->end ? *at : -1;
}

/* --- Names that occur twice ------------------------------------------------------------------- */

/* Tells names apart by their length, beginning and end; alike ones are compared in full. */
static uint32_t hash_name(const uint8_t *at, size_t len) {
    uint64_t first = 0;
    uint64_t last = 0;
    if (len >= 8) {
        memcpy(&first, at, 8);
        memcpy(&last, at + len - 8, 8);
    } else if (len >= 4) {
        memcpy(&first, at, 4);
        memcpy(&last, at + len - 4, 4);
    } else if (len > 0) {
        first = at[0];
        last = (uint64_t)at[len / 2] << 8 | at[len - 1];
    }
    uint64_t mixed = first * UINT64_C(0x9e3779b97f4a7c15) ^ last * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (uint32_t)((mixed ^ len) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static struct json_text name_of(const struct json *json, uint32_t member) {
    const struct json_node *node = &json->nodes[member];
    return json_text_of(json->text + node->name, node->name_len);
}

/* As json_text_compare, and faster where there are no escapes: names may be long, and many. */
static int compare_names(const struct json *json, uint32_t one, uint32_t other) {
    const struct json_node *a = &json->nodes[one];
    const struct json_node *b = &json->nodes[other];
    if ((a->flags | b->flags) & JSON_NAME_ESCAPED)
        return json_text_compare(name_of(json, one), name_of(json, other));
    size_t len = a->name_len < b->name_len ? a->name_len : b->name_len;
    int order = memcmp(json->text + a->name, json->text + b->name, len);
    return order ? order : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* Whether two members of the object may have the same name: says so of all that do, and of few
 * others. */
static bool any_alike(const struct json *json, uint32_t object) {
    uint64_t seen[8] = {0};
    uint64_t alike = 0;
    for (uint32_t i = object + 1; i < json->count; i = json->nodes[i].next) {
        uint32_t hash = json->nodes[i].name_hash;
        uint64_t *word = &seen[hash >> 6 & 7];
        uint64_t bit = UINT64_C(1) << (hash & 63);
        alike |= *word & bit;
        *word |= bit;
    }
    return alike != 0;
}

static bool same_name(const struct json *json, uint32_t one, uint32_t other) {
    return json->nodes[one].name_hash == json->nodes[other].name_hash &&
           compare_names(json, one, other) == 0;
}

/* By name, and where those are the same in their own order. */
static int order_names(const void *one, const void *other, void *ctx) {
    const struct json *json = ctx;
    uint32_t a = *(const uint32_t *)one;
    uint32_t b = *(const uint32_t *)other;
    uint32_t hash_a = json->nodes[a].name_hash;
    uint32_t hash_b = json->nodes[b].name_hash;
    if (hash_a != hash_b)
        return hash_a < hash_b ? -1 : 1;
    int order = compare_names(json, a, b);
    return order ? order : a < b ? -1 : 1;
}

/* Fills json->sorted; returns how many members there are. */
static uint32_t sort_members(struct json *json, uint32_t object) {
    uint32_t count = 0;
    for (uint32_t i = object + 1; i < json->count; i = json->nodes[i].next)
        json->sorted[count++] = i;
    qsort_r(json->sorted, count, sizeof *json->sorted, order_names, json);
    return count;
}

/* The first of `count` members gets the last one's value; the others are gone. */
static void merge(struct json *json, const uint32_t *members, uint32_t count) {
    for (uint32_t i = 1; i < count; i++)
        json->nodes[members[i]].flags |= JSON_GONE;
    struct json_node *first = &json->nodes[members[0]];
    first->kind = JSON_MOVED;
    first->count = members[count - 1];
}

/* Looks for names that occur twice in the object that ends here. */
static void check_names(struct json *json, struct json_open *open) {
    /* Escaped names may be the same as others and have another hash. */
    for (uint32_t i = open->node + 1; open->escaped && i < json->count; i = json->nodes[i].next)
        json->nodes[i].name_hash = 0;
    if (!any_alike(json, open->node))
        return;
    uint32_t count = sort_members(json, open->node);
    const uint32_t *members = json->sorted;
    for (uint32_t i = 0, same; i < count; i += same) {
        for (same = 1; i + same < count && same_name(json, members[i], members[i + same]);)
            same++;
        if (same == 1)
            continue;
        merge(json, &members[i], same);
        open->flags |= JSON_REWRITE | JSON_LOOSE;
    }
}

/* --- Values ----------------------------------------------------------------------------------- */

/* The value is whole, and counts in what it stands in. */
IN_LOOP void settle(struct json *json, uint32_t index) {
    struct json_node *node = &json->nodes[index];
    struct json_open *in = innermost(json);
    node->next = json->count;
    in->count++;
    in->flags |= node->flags & JSON_REWRITE;
    if (node->flags & JSON_NAME_BROKEN)
        in->flags |= JSON_REWRITE;
    if (in->object && json_is_loose(node))
        in->flags |= JSON_LOOSE;
}

static const uint8_t *open_value(struct json *json, uint32_t index, const uint8_t *at,
                                 bool object) {
    if (json->depth == JSON_DEPTH_MAX)
        return fail(json, -E2BIG);
    json->nodes[index].kind = object ? JSON_OBJECT : JSON_ARRAY;
    json->nodes[index].at = (uint32_t)(at - json->text);
    json->depth++;
    *innermost(json) = (struct json_open){.node = index, .object = object};
    return at + 1;
}

static const uint8_t *close_value(struct json *json, const uint8_t *at) {
    struct json_open *open = innermost(json);
    if (open->object)
        check_names(json, open);
    struct json_node *node = &json->nodes[open->node];
    node->len = (uint32_t)(at + 1 - json->text) - node->at;
    node->count = open->count;
    node->flags |= open->flags;
    json->depth--;
    settle(json, open->node);
    return at + 1;
}

IN_LOOP const uint8_t *take_string(struct json *json, uint32_t index, const uint8_t *at) {
    enum json_escapes escapes;
    const uint8_t *start = at + 1;
    const uint8_t *quote = json_text_end(start, json->end, &escapes);
    if (!quote)
        return fail(json, -EBADMSG);
    struct json_node *node = &json->nodes[index];
    node->kind = JSON_STRING;
    node->at = (uint32_t)(start - json->text);
    node->len = (uint32_t)(quote - start);
    if (escapes) {
        bool broken =
            escapes == JSON_ESCAPES_UNICODE && json_text_broken(json_text_of(start, node->len));
        node->flags |= JSON_ESCAPED | (broken ? JSON_REWRITE : 0);
    }
    return quote + 1;
}

IN_LOOP const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end) {
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Behind the fraction and exponent at `at`; NULL where one lacks digits. */
static const uint8_t *skip_fraction(const uint8_t *at, const uint8_t *end) {
    if (at < end && *at == '.') {
        const uint8_t *digits = at + 1;
        at = skip_digits(digits, end);
        if (at == digits)
            return NULL;
    }
    if (at == end || (*at | 0x20) != 'e')
        return at;
    at++;
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    const uint8_t *digits = at;
    at = skip_digits(digits, end);
    return at == digits ? NULL : at;
}

/* Whether the number may have leading zeros. */
static bool is_place(const struct json *json, const struct json_node *node) {
    const uint8_t *name = json->text + node->name;
    return node->name_len == 3 && (memcmp(name, "lat", 3) == 0 || memcmp(name, "lon", 3) == 0);
}

IN_LOOP const uint8_t *take_number(struct json *json, uint32_t index, const uint8_t *start) {
    struct json_node *node = &json->nodes[index];
    const uint8_t *digits = start + (*start == '-');
    const uint8_t *at = skip_digits(digits, json->end);
    if (at == digits)
        return fail(json, -EBADMSG);
    if (*digits == '0' && at - digits > 1) {
        if (!is_place(json, node))
            return fail(json, -EBADMSG);
        node->flags |= JSON_REWRITE;
    }
    at = skip_fraction(at, json->end);
    if (!at)
        return fail(json, -EBADMSG);
    node->kind = JSON_NUMBER;
    node->at = (uint32_t)(start - json->text);
    node->len = (uint32_t)(at - start);
    return at;
}

IN_LOOP const uint8_t *take_word(struct json *json, uint32_t index, const uint8_t *at,
                                 const char *word, enum json_kind kind) {
    size_t len = strlen(word);
    if ((size_t)(json->end - at) < len || memcmp(at, word, len) != 0)
        return fail(json, -EBADMSG);
    struct json_node *node = &json->nodes[index];
    node->kind = (uint8_t)kind;
    node->at = (uint32_t)(at - json->text);
    node->len = (uint32_t)len;
    return at + len;
}

/* The string, number or word that begins with the byte. */
IN_LOOP const uint8_t *take_scalar(struct json *json, uint32_t index, const uint8_t *at, int byte) {
    switch (byte) {
    case '"':
        return take_string(json, index, at);
    case 't':
        return take_word(json, index, at, "true", JSON_BOOL);
    case 'f':
        return take_word(json, index, at, "false", JSON_BOOL);
    case 'n':
        return take_word(json, index, at, "null", JSON_NULL);
    case -1:
        return fail(json, -EBADMSG);
    default:
        return take_number(json, index, at);
    }
}

IN_LOOP const uint8_t *take_value(struct json *json, uint32_t index, const uint8_t *at) {
    at = skip_white(json, at);
    int byte = peek(json, at);
    if (byte == '{' || byte == '[')
        return open_value(json, index, at, byte == '{');
    at = take_scalar(json, index, at, byte);
    if (at)
        settle(json, index);
    return at;
}

/* The name whose quote is next, and the colon behind it. */
IN_LOOP const uint8_t *take_name(struct json *json, struct json_open *open, uint32_t index,
                                 const uint8_t *at) {
    enum json_escapes escapes;
    const uint8_t *start = at + 1;
    const uint8_t *quote = json_text_end(start, json->end, &escapes);
    if (!quote)
        return fail(json, -EBADMSG);
    struct json_node *node = &json->nodes[index];
    node->name = (uint32_t)(start - json->text);
    node->name_len = (uint32_t)(quote - start);
    if (escapes) {
        bool broken = escapes == JSON_ESCAPES_UNICODE &&
                      json_text_broken(json_text_of(start, node->name_len));
        node->flags |= JSON_NAME_ESCAPED | (broken ? JSON_NAME_BROKEN : 0);
        open->escaped = true;
    }
    node->name_hash = hash_name(start, node->name_len);
    at = skip_white(json, quote + 1);
    return peek(json, at) == ':' ? at + 1 : fail(json, -EBADMSG);
}

/* The next member or element of what is open innermost, or its end. */
IN_LOOP const uint8_t *take_next(struct json *json, const uint8_t *at) {
    struct json_open *open = innermost(json);
    at = skip_white(json, at);
    int byte = peek(json, at);
    if (byte == (open->object ? '}' : ']'))
        return close_value(json, at);
    if (open->count > 0) {
        if (byte != ',')
            return fail(json, -EBADMSG);
        at = skip_white(json, at + 1);
        byte = peek(json, at);
    }
    if (open->object && byte != '"')
        return fail(json, -EBADMSG);
    uint32_t index;
    int err = add_node(json, &index);
    if (err)
        return fail(json, err);
    if (open->object)
        at = take_name(json, open, index, at);
    return at ? take_value(json, index, at) : NULL;
}

/* --- The whole -------------------------------------------------------------------------------- */

/* The object and all that is in it. */
static const uint8_t *take_object(struct json *json, const uint8_t *at) {
    uint32_t root;
    if (peek(json, at) != '{')
        return fail(json, -EBADMSG);
    int err = add_node(json, &root);
    if (err)
        return fail(json, err);
    at = open_value(json, root, at, true);
    while (at && json->depth > 0)
        at = take_next(json, at);
    return at;
}

int json_parse(struct json *json, const uint8_t *text, size_t len) {
    if (len == 0)
        return -EBADMSG;
    if (len > JSON_BYTES_MAX)
        return -E2BIG;
    json->text = text;
    json->end = text + len;
    json->count = json->depth = 0;
    json->open[0] = (struct json_open){0};
    const uint8_t *at = take_object(json, skip_white(json, text));
    if (!at)
        return json->err;
    return skip_white(json, at) == json->end ? 0 : -EBADMSG;
}

void json_free(struct json *json) {
    free(json->nodes);
    free(json->sorted);
    json->nodes = NULL;
    json->sorted = NULL;
    json->count = json->room = 0;
}

void json_trim(struct json *json) {
    if (json->room > KEPT_MAX)
        json_free(json);
}

uint32_t json_find(const struct json *json, uint32_t object, const struct json_key *key) {
    uint32_t end = json->nodes[object].next;
    for (uint32_t i = object + 1; i < end; i = json->nodes[i].next)
        if (!(json->nodes[i].flags & JSON_GONE) && json_name_is(json, i, key))
            return json_value(json, i);
    return 0;
}
