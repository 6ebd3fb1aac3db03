#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of an origin's text, as written. */
#define ORIGIN_MAX 8192

/* Bytes of a string in a message that has nothing but what the rules use. */
#define BARE_MAX 4096

/* Bytes of a value that is taken out of an event too large for a tree. */
#define PICK_MAX ((size_t)32 << 10)

/* Members of the detail that are not written like the rest. */
enum member {
    SOURCE,
    SEVERITY,
    TYPE,
    TITLE,
    LOG_INFO,
    HEAD_COUNT, /* those before it stand first in the message, in that order */
    TRIGGER = HEAD_COUNT,
    TAGS,
    SERVICE,
    SUMMARY,
    CALLER,  /* an address or a name */
    ADDRESS, /* the same where it is an address */
    MACIEFS,
    MEMBER_COUNT,
};

static const struct json_key member_keys[MEMBER_COUNT] = {
    [SOURCE] = JSON_KEY("source"),
    [SEVERITY] = JSON_KEY("severity"),
    [TYPE] = JSON_KEY("type"),
    [TITLE] = JSON_KEY("title"),
    [LOG_INFO] = JSON_KEY("log_info"),
    [TRIGGER] = JSON_KEY("trigger"),
    [TAGS] = JSON_KEY("tags"),
    [SERVICE] = JSON_KEY("service"),
    [SUMMARY] = JSON_KEY("summary"),
    [CALLER] = JSON_KEY("sourceIPAddress"),
    [ADDRESS] = JSON_KEY("source_ip_address"),
    [MACIEFS] = JSON_KEY("maciefs"),
};

/* Members of a Macie alert's summary: those that become their keys, and what happened. */
enum { KEYED_COUNT = 9, EVENTS = KEYED_COUNT, SUMMARY_COUNT };

static const struct json_key summary_keys[SUMMARY_COUNT] = {
    JSON_KEY("Bucket"),
    JSON_KEY("DLP risk"),
    JSON_KEY("IP"),
    JSON_KEY("Location"),
    JSON_KEY("Object"),
    JSON_KEY("Owner"),
    JSON_KEY("Themes"),
    JSON_KEY("Timestamps"),
    JSON_KEY("recipientAccountId"),
    [EVENTS] = JSON_KEY("Events"),
};

static const struct json_key source_key = JSON_KEY("source");
static const struct json_key detail_key = JSON_KEY("detail");
static const struct json_key count_key = JSON_KEY("count");
static const struct json_key info_key = JSON_KEY("additionalInfo");
static const struct json_key unusual_key = JSON_KEY("unusual");
static const struct json_key severity_keys[] = {JSON_KEY("description"), JSON_KEY("score")};

/* Members to look for; names are told apart by a bit of 64 first, since most are none of these. */
struct wanted {
    const struct json_key *keys;
    size_t count;
    uint64_t bits; /* of the keys */
};

struct found {
    uint32_t member; /* 0: there is none */
    struct message_value value;
};

struct shaper {
    struct json json;
    struct message message;
    struct wanted members; /* member_keys */
    struct wanted summary; /* summary_keys */
    struct buf source;     /* the event's own, without every "aws." */
    struct buf picked;     /* of an event too large for a tree, what is shaped in its place */
    /* The event under way: */
    const struct shape_origin *origin;
    uint32_t detail;
    bool has_source;
    bool truncated;
    struct found found[MEMBER_COUNT]; /* in the detail */
    struct message_value address;     /* what becomes a member of its own */
};

static uint64_t name_bit(const void *name, size_t len) {
    return len ? UINT64_C(1) << ((*(const uint8_t *)name + 7 * len) & 63) : 0;
}

static struct wanted want(const struct json_key *keys, size_t count) {
    struct wanted wanted = {.keys = keys, .count = count};
    for (size_t i = 0; i < count; i++)
        wanted.bits |= name_bit(keys[i].name, keys[i].len);
    return wanted;
}

struct shaper *shaper_new(void) {
    struct shaper *shaper = calloc(1, sizeof *shaper);
    if (!shaper)
        return NULL;
    shaper->members = want(member_keys, MEMBER_COUNT);
    shaper->summary = want(summary_keys, SUMMARY_COUNT);
    buf_init(&shaper->source, SHAPE_LINE_MAX + 1);
    buf_init(&shaper->picked, 8 * PICK_MAX);
    return shaper;
}

void shaper_free(struct shaper *shaper) {
    if (!shaper)
        return;
    json_free(&shaper->json);
    buf_free(&shaper->source);
    buf_free(&shaper->picked);
    free(shaper);
}

/* --- What the event holds --------------------------------------------------------------------- */

static bool may_be_wanted(const struct json *json, uint32_t member, const struct wanted *wanted) {
    const struct json_node *node = &json->nodes[member];
    return node->flags & JSON_NAME_ESCAPED ||
           wanted->bits & name_bit(json->text + node->name, node->name_len);
}

/* The keys' members; a name is only one of them. */
static void find_members(const struct json *json, struct message_value object,
                         const struct wanted *wanted, struct found *ret) {
    struct message_frame frame = message_enter(json, object);
    struct message_value value;
    memset(ret, 0, wanted->count * sizeof *ret);
    while (message_advance(json, &frame, &value)) {
        if (!may_be_wanted(json, frame.member, wanted))
            continue;
        size_t i = 0;
        while (i < wanted->count && !json_name_is(json, frame.member, &wanted->keys[i]))
            i++;
        if (i < wanted->count)
            ret[i] = (struct found){frame.member, value};
    }
}

static void find_few(const struct json *json, struct message_value object,
                     const struct json_key *keys, size_t count, struct found *ret) {
    const struct wanted wanted = want(keys, count);
    find_members(json, object, &wanted, ret);
}

static enum json_kind kind_of(const struct json *json, struct message_value value) {
    return value.node ? json->nodes[value.node].kind : JSON_NULL;
}

static struct json_text text_of(const struct json *json, uint32_t node) {
    return json_text_of(json->text + json->nodes[node].at, json->nodes[node].len);
}

static bool text_is(struct json_text text, const char *is) {
    return json_text_compare(text, json_text_of((const uint8_t *)is, strlen(is))) == 0;
}

/* --- The source ------------------------------------------------------------------------------- */

/* The string as what it stands for; no more of it than a line can hold. */
static int decode(const struct json *json, uint32_t string, struct buf *ret) {
    const struct json_node *node = &json->nodes[string];
    struct json_text text = text_of(json, string);
    int err = 0;
    if (!(node->flags & JSON_ESCAPED))
        return buf_append(ret, text.at, node->len < ret->limit ? node->len : ret->limit);
    for (int next; !err && ret->len < ret->limit && (next = json_text_next(&text)) >= 0;) {
        uint8_t byte = (uint8_t)next;
        err = buf_append(ret, &byte, 1);
    }
    return err;
}

static void remove_prefixes(struct buf *buf) {
    static const char prefix[] = "aws.";
    size_t size = sizeof prefix - 1;
    size_t to = 0;
    for (size_t from = 0; from < buf->len;) {
        if (buf->len - from >= size && memcmp(buf->at + from, prefix, size) == 0)
            from += size;
        else
            buf->at[to++] = buf->at[from++];
    }
    buf->len = to;
}

static int read_source(struct shaper *shaper) {
    const struct json *json = &shaper->json;
    uint32_t source = json_find(json, 0, &source_key);
    buf_reset(&shaper->source);
    shaper->has_source = source && json->nodes[source].kind == JSON_STRING;
    if (!shaper->has_source)
        return 0;
    int err = decode(json, source, &shaper->source);
    if (!err)
        remove_prefixes(&shaper->source);
    return err;
}

static bool is_macie(const struct shaper *shaper) {
    const struct json *json = &shaper->json;
    struct message_value own = shaper->found[SOURCE].value;
    if (shaper->has_source)
        return shaper->source.len == 5 && memcmp(shaper->source.at, "macie", 5) == 0;
    return kind_of(json, own) == JSON_STRING && text_is(text_of(json, own.node), "macie");
}

/* --- The steps -------------------------------------------------------------------------------- */

static void take_out(struct shaper *shaper, enum member member) {
    if (shaper->found[member].member)
        shaper->json.nodes[shaper->found[member].member].flags |= JSON_GONE;
}

/* What the value stands in has marks: that has to be told, too. */
static void mark(struct json *json, struct message_value value, enum message_mark mark) {
    json->nodes[value.node].mark = (uint8_t)mark;
}

static void has_marks(struct json *json, struct message_value value) {
    json->nodes[value.node].flags |= JSON_MARKED;
}

/* Whether digits and dots begin the text as they do an IPv4 address. */
static bool is_address(struct json_text text) {
    int dots = 0;
    bool digit = false;
    for (int byte; (byte = json_text_next(&text)) >= 0;) {
        if (byte >= '0' && byte <= '9') {
            if (dots == 3)
                return true;
            digit = true;
        } else if (byte == '.' && digit && dots < 3) {
            digit = false;
            dots++;
        } else {
            return false;
        }
    }
    return false;
}

static void copy_address(struct shaper *shaper) {
    struct json *json = &shaper->json;
    struct message_value caller = shaper->found[CALLER].value;
    shaper->address = (struct message_value){0};
    if (kind_of(json, caller) != JSON_STRING || !is_address(text_of(json, caller.node)))
        return;
    uint32_t own = shaper->found[ADDRESS].member;
    if (!own) {
        shaper->address = caller;
        return;
    }
    json->nodes[own].kind = JSON_MOVED;
    json->nodes[own].count = caller.node;
}

static void wrap(struct json *json, struct message_value value) {
    if (value.node && kind_of(json, value) != JSON_OBJECT)
        mark(json, value, MESSAGE_WRAPPED);
}

/* The service's additionalInfo.unusual. */
static void wrap_unusual(struct json *json, struct message_value service) {
    struct found info, unusual;
    if (kind_of(json, service) != JSON_OBJECT)
        return;
    find_few(json, service, &info_key, 1, &info);
    if (kind_of(json, info.value) != JSON_OBJECT)
        return;
    find_few(json, info.value, &unusual_key, 1, &unusual);
    if (!unusual.member)
        return;
    wrap(json, unusual.value);
    has_marks(json, service);
    has_marks(json, info.value);
}

/* What is told of one kind of call in an alert: all of it becomes keys, but for how often. */
static void mark_call(struct json *json, struct message_value call) {
    if (kind_of(json, call) != JSON_OBJECT)
        return;
    struct message_frame frame = message_enter(json, call);
    struct message_value value;
    has_marks(json, call);
    while (message_advance(json, &frame, &value)) {
        bool nests = kind_of(json, value) == JSON_OBJECT || kind_of(json, value) == JSON_ARRAY;
        bool quantity = !nests && json_name_is(json, frame.member, &count_key);
        mark(json, value, quantity ? MESSAGE_QUANTITY : MESSAGE_KEYS);
    }
}

static void mark_summary(struct shaper *shaper, struct message_value summary) {
    struct json *json = &shaper->json;
    struct found found[SUMMARY_COUNT];
    if (kind_of(json, summary) != JSON_OBJECT)
        return;
    find_members(json, summary, &shaper->summary, found);
    has_marks(json, summary);
    for (size_t i = 0; i < KEYED_COUNT; i++)
        if (kind_of(json, found[i].value) == JSON_OBJECT)
            mark(json, found[i].value, MESSAGE_KEYS);
    if (kind_of(json, found[EVENTS].value) != JSON_OBJECT)
        return;
    struct message_frame frame = message_enter(json, found[EVENTS].value);
    struct message_value call;
    has_marks(json, found[EVENTS].value);
    while (message_advance(json, &frame, &call))
        mark_call(json, call);
}

/* Prepares the tree, so that what is left of the detail can be written as it stands. */
static int take_steps(struct shaper *shaper) {
    struct json *json = &shaper->json;
    struct found *found = shaper->found;
    shaper->detail = json_find(json, 0, &detail_key);
    if (!shaper->detail || json->nodes[shaper->detail].kind != JSON_OBJECT)
        return SHAPE_SKIPPED;
    struct message_value detail = {shaper->detail, false};
    find_members(json, detail, &shaper->members, found);
    int err = read_source(shaper);
    if (err)
        return err;
    for (int i = 0; i < HEAD_COUNT; i++)
        take_out(shaper, (enum member)i);
    copy_address(shaper);
    wrap(json, found[TAGS].value);
    wrap_unusual(json, found[SERVICE].value);
    if (is_macie(shaper)) {
        take_out(shaper, TRIGGER);
        mark_summary(shaper, found[SUMMARY].value);
    }
    return 0;
}

/* --- The message ------------------------------------------------------------------------------ */

static void write_log_info(struct message *message, const struct shape_origin *origin) {
    message_literal(message, "\"log_info\":{\"aws_account_alias\":\"");
    message_text(message, origin->account_alias, strlen(origin->account_alias), ORIGIN_MAX);
    message_literal(message, "\",\"log_file\":\"");
    message_text(message, origin->key, strlen(origin->key), ORIGIN_MAX);
    message_literal(message, "\",\"s3bucket\":\"");
    message_text(message, origin->bucket, strlen(origin->bucket), ORIGIN_MAX);
    message_literal(message, "\"}");
}

static void write_name(struct message *message, const struct json_key *key) {
    message_literal(message, "\"");
    message_append(message, key->name, key->len);
    message_literal(message, "\":");
}

static void write_source(struct shaper *shaper, size_t max) {
    struct message *message = &shaper->message;
    message_literal(message, "\"source\":\"");
    message_text(message, shaper->source.at, shaper->source.len, max);
    message_literal(message, "\",");
}

static void write_head(struct shaper *shaper) {
    struct message *message = &shaper->message;
    message_literal(message, "{\"integration\":\"aws\",\"aws\":{");
    if (shaper->has_source)
        write_source(shaper, SIZE_MAX);
    for (int i = shaper->has_source ? SEVERITY : SOURCE; i < LOG_INFO; i++) {
        if (!shaper->found[i].member)
            continue;
        write_name(message, &member_keys[i]);
        message_value(message, shaper->found[i].value);
        message_literal(message, ",");
    }
    if (shaper->found[LOG_INFO].member) {
        write_name(message, &member_keys[LOG_INFO]);
        message_value(message, shaper->found[LOG_INFO].value);
    } else {
        write_log_info(message, shaper->origin);
    }
    if (shaper->truncated)
        message_literal(message, ",\"maciefs\":{\"truncated\":true}");
}

/* Returns whether it is within a line. */
static bool write_message(void *ctx, const struct slim_caps *caps) {
    struct shaper *shaper = ctx;
    struct message *message = &shaper->message;
    message_begin(message, &shaper->json);
    write_head(shaper);
    message->caps = *caps;
    message_members(message, (struct message_value){shaper->detail, false});
    if (shaper->address.node) {
        message_literal(message, ",\"source_ip_address\":");
        message_value(message, shaper->address);
    }
    message_literal(message, "}}");
    return !message->full;
}

/* --- What is too long ------------------------------------------------------------------------- */

static bool is_scalar(const struct json *json, struct message_value value) {
    enum json_kind kind = kind_of(json, value);
    return kind == JSON_STRING ||
           ((kind == JSON_NUMBER || kind == JSON_BOOL) && json->nodes[value.node].len <= BARE_MAX);
}

static void write_bare_member(struct shaper *shaper, const struct json_key *key,
                              struct message_value value) {
    if (!is_scalar(&shaper->json, value))
        return;
    write_name(&shaper->message, key);
    message_value(&shaper->message, value);
    message_literal(&shaper->message, ",");
}

/* The severity as one object of what is in it, which may be nothing. */
static void write_bare_severity(struct shaper *shaper, struct message_value severity) {
    struct message *message = &shaper->message;
    struct found found[2];
    message_literal(message, "\"severity\":{");
    find_few(&shaper->json, severity, severity_keys, 2, found);
    for (size_t i = 0; i < 2; i++)
        write_bare_member(shaper, &severity_keys[i], found[i].value);
    if (message->at[message->len - 1] == ',')
        message->len--;
    message_literal(message, "},");
}

/* What the rules use, with its strings cut: short enough whatever the event. */
static void write_bare(struct shaper *shaper) {
    struct message *message = &shaper->message;
    struct found *found = shaper->found;
    message_begin(message, &shaper->json);
    message->caps.text = BARE_MAX;
    message_literal(message, "{\"integration\":\"aws\",\"aws\":{");
    if (shaper->has_source)
        write_source(shaper, BARE_MAX);
    else
        write_bare_member(shaper, &member_keys[SOURCE], found[SOURCE].value);
    if (kind_of(&shaper->json, found[SEVERITY].value) == JSON_OBJECT)
        write_bare_severity(shaper, found[SEVERITY].value);
    else
        write_bare_member(shaper, &member_keys[SEVERITY], found[SEVERITY].value);
    write_bare_member(shaper, &member_keys[TYPE], found[TYPE].value);
    write_bare_member(shaper, &member_keys[TITLE], found[TITLE].value);
    write_log_info(message, shaper->origin);
    message_literal(message, ",\"maciefs\":{\"truncated\":true}}}");
}

static void write_slimmed(struct shaper *shaper) {
    shaper->truncated = true;
    take_out(shaper, MACIEFS);
    if (!slim(write_message, shaper))
        write_bare(shaper);
}

/* --- What is too large for a tree ------------------------------------------------------------- */

static int append_cut(struct buf *buf, struct json_span text) {
    const uint8_t *at = text.at + 1;
    const uint8_t *end = text.at + text.len;
    bool broken;
    while ((size_t)(at - text.at) < PICK_MAX)
        at += json_character(at, end, &broken);
    int err = buf_append(buf, text.at, (size_t)(at - text.at));
    return err ? err : buf_append_str(buf, "\"");
}

/* A member, where it has a value that is neither an object nor an array, and a comma behind it. */
static int append_picked(struct buf *buf, const struct json_key *key, struct json_span value) {
    bool cut = value.len > PICK_MAX;
    if (value.len == 0 || *value.at == '{' || *value.at == '[' || (cut && *value.at != '"'))
        return 0;
    int err = buf_printf(buf, "\"%s\":", key->name);
    if (!err)
        err = cut ? append_cut(buf, value) : buf_append(buf, value.at, value.len);
    return err ? err : buf_append_str(buf, ",");
}

/* Ends the object that had members appended, if any. */
static int append_end(struct buf *buf) {
    if (buf->at[buf->len - 1] == ',')
        buf->len--;
    return buf_append_str(buf, "}");
}

static int append_severity(struct buf *buf, struct json_span severity) {
    struct json_span picked[2];
    if (severity.len == 0 || *severity.at != '{')
        return append_picked(buf, &member_keys[SEVERITY], severity);
    int err = json_pick(severity.at, severity.len, severity_keys, 2, picked);
    if (!err)
        err = buf_append_str(buf, "\"severity\":{");
    for (size_t i = 0; i < 2 && !err; i++)
        err = append_picked(buf, &severity_keys[i], picked[i]);
    if (!err)
        err = append_end(buf);
    return err ? err : buf_append_str(buf, ",");
}

/* Puts together a small event of what the rules use in this one. */
static int pick_event(const uint8_t *event, size_t len, struct buf *ret) {
    static const struct json_key event_keys[] = {JSON_KEY("source"), JSON_KEY("detail")};
    struct json_span of_event[2], of_detail[LOG_INFO];
    buf_reset(ret);
    int err = json_pick(event, len, event_keys, 2, of_event);
    if (!err && of_event[1].len == 0)
        err = -EBADMSG;
    if (!err)
        err = json_pick(of_event[1].at, of_event[1].len, member_keys, LOG_INFO, of_detail);
    if (!err)
        err = buf_append_str(ret, "{");
    if (!err)
        err = append_picked(ret, &source_key, of_event[0]);
    if (!err)
        err = buf_append_str(ret, "\"detail\":{");
    if (!err)
        err = append_severity(ret, of_detail[SEVERITY]);
    for (int i = SOURCE; i < LOG_INFO && !err; i++)
        if (i != SEVERITY)
            err = append_picked(ret, &member_keys[i], of_detail[i]);
    if (!err)
        err = append_end(ret);
    return err ? err : buf_append_str(ret, "}");
}

/* --- Events ----------------------------------------------------------------------------------- */

static int read_event(struct shaper *shaper, const uint8_t *event, size_t len) {
    int err = json_parse(&shaper->json, event, len);
    shaper->truncated = err == -E2BIG;
    if (err == -E2BIG)
        err = pick_event(event, len, &shaper->picked);
    else if (!err)
        return 0;
    if (!err)
        err = json_parse(&shaper->json, shaper->picked.at, shaper->picked.len);
    return err == -EBADMSG ? SHAPE_SKIPPED : err;
}

int shape_event(struct shaper *shaper, const struct shape_origin *origin, const uint8_t *event,
                size_t len, struct buf *ret) {
    shaper->origin = origin;
    int err = read_event(shaper, event, len);
    if (!err)
        err = take_steps(shaper);
    if (!err) {
        struct slim_caps uncapped = slim_uncapped();
        if (!write_message(shaper, &uncapped))
            write_slimmed(shaper);
        err = buf_append(ret, shaper->message.at, shaper->message.len);
    }
    json_trim(&shaper->json);
    return err;
}

/* The event itself, slimmed; its values are as they were, as those inside of arrays are. */
static bool write_event(void *ctx, const struct slim_caps *caps) {
    struct shaper *shaper = ctx;
    struct message *message = &shaper->message;
    message_begin(message, &shaper->json);
    message_literal(message, "{\"maciefs\":{\"truncated\":true}");
    message->caps = *caps;
    message_members(message, (struct message_value){0, true});
    message_literal(message, "}");
    return !message->full;
}

static int append_event(struct shaper *shaper, const uint8_t *event, size_t len, struct buf *ret) {
    uint32_t detail = json_find(&shaper->json, 0, &detail_key);
    if (!detail || shaper->json.nodes[detail].kind != JSON_OBJECT)
        return SHAPE_SKIPPED;
    if (!shaper->truncated && len <= SHAPE_LINE_MAX)
        return buf_append(ret, event, len);
    /* With no members at all it fits. */
    (void)slim(write_event, shaper);
    return buf_append(ret, shaper->message.at, shaper->message.len);
}

int shape_plain(struct shaper *shaper, const uint8_t *event, size_t len, struct buf *ret) {
    int err = read_event(shaper, event, len);
    if (!err)
        err = append_event(shaper, event, len, ret);
    json_trim(&shaper->json);
    return err;
}

int shape_error(struct shaper *shaper, const struct shape_origin *origin, const char *reason,
                struct buf *ret) {
    struct message *message = &shaper->message;
    message_begin(message, NULL);
    message_literal(message, "{\"integration\":\"aws\",\"aws\":{");
    write_log_info(message, origin);
    message_literal(message, "},\"error_msg\":\"Failed to decompress file ");
    message_text(message, origin->key, strlen(origin->key), ORIGIN_MAX);
    message_literal(message, ": ");
    message_text(message, reason, strlen(reason), ORIGIN_MAX);
    message_literal(message, "\"}");
    return buf_append(ret, message->at, message->len);
}
