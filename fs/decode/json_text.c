#include "json_text.h"

#include <string.h>

enum {
    UNICODE_ESCAPE = 6, /* bytes of \uXXXX */
    HIGH_FIRST = 0xd800,
    LOW_FIRST = 0xdc00,
    LOW_LAST = 0xdfff,
    REPLACEMENT = 0xfffd,
};

/* --- Escapes ---------------------------------------------------------------------------------- */

static bool is_hex(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

static bool is_unicode(const uint8_t *at, const uint8_t *end) {
    return end - at >= UNICODE_ESCAPE && is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) &&
           is_hex(at[5]);
}

/* The bytes of the escape at `at`; 0 where it is none. */
static size_t check_escape(const uint8_t *at, const uint8_t *end) {
    switch (end - at < 2 ? '\0' : at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        return is_unicode(at, end) ? UNICODE_ESCAPE : 0;
    default:
        return 0;
    }
}

const uint8_t *json_skip_escaped(const uint8_t *at, const uint8_t *end,
                                 enum json_escapes *ret_escapes) {
    *ret_escapes = JSON_ESCAPES_PLAIN;
    while (at < end && *at == '\\') {
        size_t len = check_escape(at, end);
        if (len == 0)
            return NULL;
        if (len == UNICODE_ESCAPE)
            *ret_escapes = JSON_ESCAPES_UNICODE;
        at = json_skip_plain(at + len, end);
    }
    return at;
}

/* --- Characters ------------------------------------------------------------------------------- */

static uint32_t hex_value(uint8_t digit) {
    return digit <= '9' ? digit - (uint32_t)'0' : (digit | 0x20) - (uint32_t)'a' + 10;
}

/* The code of the \uXXXX at `at`; 0 where none stands there. */
static uint32_t unicode_escape(const uint8_t *at, const uint8_t *end) {
    if (end - at < UNICODE_ESCAPE || at[0] != '\\' || at[1] != 'u')
        return 0;
    uint32_t code = 0;
    for (int i = 2; i < UNICODE_ESCAPE; i++)
        code = code << 4 | hex_value(at[i]);
    return code;
}

static bool is_surrogate(uint32_t code) {
    return code >= HIGH_FIRST && code <= LOW_LAST;
}

static bool is_low(uint32_t code) {
    return code >= LOW_FIRST && code <= LOW_LAST;
}

static size_t escape_length(const uint8_t *at, const uint8_t *end, bool *ret_broken) {
    if (at[1] != 'u')
        return 2;
    uint32_t code = unicode_escape(at, end);
    if (!is_surrogate(code))
        return UNICODE_ESCAPE;
    bool pair = !is_low(code) && is_low(unicode_escape(at + UNICODE_ESCAPE, end));
    *ret_broken = !pair;
    return pair ? 2 * UNICODE_ESCAPE : UNICODE_ESCAPE;
}

size_t json_character(const uint8_t *at, const uint8_t *end, bool *ret_broken) {
    *ret_broken = false;
    if (*at == '\\')
        return escape_length(at, end, ret_broken);
    size_t len = 1;
    while (len < 4 && at + len < end && (at[len] & 0xc0) == 0x80)
        len++;
    return len;
}

/* What the escape of `len` bytes stands for. */
static uint32_t escaped_code(const uint8_t *at, size_t len, bool broken) {
    static const char letters[] = "bfnrt", codes[] = "\b\f\n\r\t";
    if (broken)
        return REPLACEMENT;
    if (len == 2) {
        for (int i = 0; letters[i]; i++)
            if (at[1] == letters[i])
                return (uint8_t)codes[i];
        return at[1];
    }
    uint32_t code = unicode_escape(at, at + UNICODE_ESCAPE);
    if (len == UNICODE_ESCAPE)
        return code;
    uint32_t low = unicode_escape(at + UNICODE_ESCAPE, at + len);
    return 0x10000 + ((code - HIGH_FIRST) << 10) + (low - LOW_FIRST);
}

/* Leaves the code's UTF-8 to be handed out. */
static void leave_code(struct json_text *text, uint32_t code) {
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    uint8_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint8_t i = count; i-- > 1; code >>= 6)
        text->left[i] = (uint8_t)(0x80 | (code & 0x3f));
    text->left[0] = (uint8_t)(leads[count] | code);
    text->next = 0;
    text->count = count;
}

int json_text_next(struct json_text *text) {
    if (text->next < text->count)
        return text->left[text->next++];
    if (text->at == text->end)
        return -1;
    if (*text->at != '\\')
        return *text->at++;
    bool broken;
    size_t len = json_character(text->at, text->end, &broken);
    leave_code(text, escaped_code(text->at, len, broken));
    text->at += len;
    return text->left[text->next++];
}

int json_text_compare(struct json_text one, struct json_text other) {
    int a = 0;
    int b = 0;
    while (a == b && a >= 0) {
        a = json_text_next(&one);
        b = json_text_next(&other);
    }
    return a - b;
}

bool json_text_broken(struct json_text text) {
    bool broken = false;
    const uint8_t *at = text.at;
    while (at < text.end && !broken) {
        at = memchr(at, '\\', (size_t)(text.end - at));
        if (!at)
            return false;
        at += escape_length(at, text.end, &broken);
    }
    return broken;
}
