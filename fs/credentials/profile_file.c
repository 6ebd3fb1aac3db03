#include <maciefs/credentials.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *at;
    size_t len;
};

/* A walk over the lines of a file, looking for one setting of one section. */
struct search {
    enum profile_section kind;
    struct slice section;
    struct slice name;
    bool in_section;    /* the line is in such a section */
    bool section_found; /* there was one */
    size_t indent;      /* of the setting above; NO_SETTING where a section has just begun */
    struct slice value; /* the last one found; later ones win */
};

#define NO_SETTING SIZE_MAX

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static size_t count_blanks(struct slice text) {
    size_t count = 0;
    while (count < text.len && is_blank(text.at[count]))
        count++;
    return count;
}

static struct slice skip(struct slice text, size_t count) {
    return (struct slice){text.at + count, text.len - count};
}

static struct slice trim(struct slice text) {
    text = skip(text, count_blanks(text));
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

/* Cuts the next line off the front of `text`; without its line end. */
static struct slice next_line(struct slice *text) {
    const char *end = memchr(text->at, '\n', text->len);
    struct slice line = {text->at, end ? (size_t)(end - text->at) : text->len};
    *text = skip(*text, line.len + (end ? 1 : 0));
    return line;
}

static struct slice unquote(struct slice text) {
    bool quoted = text.len >= 2 && (text.at[0] == '"' || text.at[0] == '\'') &&
                  text.at[text.len - 1] == text.at[0];
    return quoted ? (struct slice){text.at + 1, text.len - 2} : text;
}

/* What stands in the brackets, as the name of a section of the kind; empty where it is none. */
static struct slice name_of(struct slice brackets, enum profile_section kind) {
    static const struct slice words[] = {
        [SECTION_PROFILE] = {"profile", 7}, [SECTION_SSO_SESSION] = {"sso-session", 11}};
    static const struct slice plain = {"default", 7}, none = {"", 0};
    brackets = trim(brackets);
    if (kind == SECTION_BARE || (kind == SECTION_PROFILE && is_equal(brackets, plain)))
        return brackets;
    struct slice word = words[kind];
    if (brackets.len <= word.len || !is_equal((struct slice){brackets.at, word.len}, word) ||
        !is_blank(brackets.at[word.len]))
        return none;
    return unquote(trim(skip(brackets, word.len)));
}

static void enter_section(struct search *search, struct slice line) {
    const char *end = memchr(line.at, ']', line.len);
    struct slice brackets = {line.at + 1, end ? (size_t)(end - line.at) - 1 : 0};
    struct slice name = name_of(brackets, search->kind);
    search->in_section = name.len > 0 && is_equal(name, search->section);
    search->section_found = search->section_found || search->in_section;
    search->indent = NO_SETTING;
}

/* "name = value", or "name: value", which the AWS CLI reads too. */
static void take_setting(struct search *search, struct slice line) {
    size_t name_len = 0;
    while (name_len < line.len && line.at[name_len] != '=' && line.at[name_len] != ':')
        name_len++;
    if (name_len == line.len)
        return;
    struct slice name = trim((struct slice){line.at, name_len});
    if (search->in_section && name.len == search->name.len &&
        strncasecmp(name.at, search->name.at, name.len) == 0)
        search->value = trim(skip(line, name_len + 1));
}

static void take_line(struct search *search, struct slice line) {
    size_t indent = count_blanks(line);
    line = trim(line);
    if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';')
        return;
    /* Indented deeper than the setting above: a part of its value, such as the settings for one
     * service under "s3 =". */
    if (search->indent != NO_SETTING && indent > search->indent)
        return;
    if (line.at[0] == '[') {
        enter_section(search, line);
    } else {
        search->indent = indent;
        take_setting(search, line);
    }
}

static struct slice skip_byte_order_mark(struct slice text) {
    bool marked = text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0;
    return skip(text, marked ? 3 : 0);
}

int profile_file_lookup(const char *text, size_t len, enum profile_section kind,
                        const char *section, const char *name, char **ret) {
    struct search search = {.kind = kind,
                            .section = {section, strlen(section)},
                            .name = {name, strlen(name)},
                            .indent = NO_SETTING};
    struct slice rest = {len ? text : "", len};
    rest = skip_byte_order_mark(rest);
    while (rest.len > 0)
        take_line(&search, next_line(&rest));
    if (!search.section_found)
        return -ESRCH;
    if (search.value.len == 0 || *search.value.at == '\0')
        return -ENOENT;
    char *value = strndup(search.value.at, search.value.len);
    if (!value)
        return -ENOMEM;
    *ret = value;
    return 0;
}
