#include <maciefs/iso8601.h>
#include <maciefs/xml.h>

#include <errno.h>
#include <maciefs/s3.h>
#include <string.h>
#include <strings.h>

/* The entry under way. */
struct entry {
    bool has_key, has_size, has_modified;
    bool nameless; /* its key cannot be decoded, or is longer than a key is */
    char key[XML_TEXT_MAX + 1];
    size_t key_len;
    uint64_t size;
    int64_t modified;
    char etag[OBJECT_ETAG_MAX + 1];
};

struct list_reader {
    struct listing *page;
    const char *prefix;
    size_t prefix_len;
    char fold;
    bool url_encoded;
    bool has_truncated, truncated;
    struct entry entry;
};

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes %XX and '+' (a space); `out` has room for `len` bytes. False where it is malformed. */
static bool url_decode(const char *at, size_t len, char *out, size_t *ret_len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = at[i] == '+' ? ' ' : at[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_value(at[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[n++] = c;
    }
    *ret_len = n;
    return true;
}

/* A size in bytes, which S3 gives as a signed 64-bit number. */
static bool parse_size(const char *at, size_t len, uint64_t *ret) {
    uint64_t value = 0;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(at[i] - '0');
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

static int take_truncated(struct list_reader *r, const struct xml_text *text) {
    r->has_truncated = true;
    r->truncated = strcasecmp(text->at, "true") == 0;
    return r->truncated || strcasecmp(text->at, "false") == 0 ? 0 : -EPROTO;
}

static int take_next(struct list_reader *r, const struct xml_text *text) {
    return text->cut || text->len == 0 ? -EPROTO : listing_set_next(r->page, text->at);
}

/* Keeps the key, or that there is none to be made of it. */
static int take_key(struct list_reader *r, const struct xml_text *text) {
    struct entry *entry = &r->entry;
    entry->has_key = true;
    entry->key_len = text->len;
    entry->nameless = text->cut;
    if (r->url_encoded)
        entry->nameless |= !url_decode(text->at, text->len, entry->key, &entry->key_len);
    else
        memcpy(entry->key, text->at, text->len);
    entry->nameless |= entry->key_len > OBJECT_KEY_MAX;
    return 0;
}

static int take_size(struct list_reader *r, const struct xml_text *text) {
    r->entry.has_size = parse_size(text->at, text->len, &r->entry.size);
    return r->entry.has_size ? 0 : -EPROTO;
}

static int take_modified(struct list_reader *r, const struct xml_text *text) {
    r->entry.has_modified = iso8601_parse(text->at, text->len, &r->entry.modified);
    return r->entry.has_modified ? 0 : -EPROTO;
}

/* It is sent back in a header, so nothing but printable ASCII may be in it. */
static int take_etag(struct list_reader *r, const struct xml_text *text) {
    const char *at = text->at;
    size_t len = text->len;
    if (len >= 2 && at[0] == '"' && at[len - 1] == '"') {
        at++;
        len -= 2;
    }
    if (len > OBJECT_ETAG_MAX)
        return -EPROTO;
    for (size_t i = 0; i < len; i++)
        if (at[i] <= ' ' || at[i] > '~' || at[i] == '"')
            return -EPROTO;
    memcpy(r->entry.etag, at, len);
    r->entry.etag[len] = '\0';
    return 0;
}

/* Where the key goes on behind the mount's prefix; false where it does not begin so, or ends. */
static bool relative_key(const struct list_reader *r, const char **ret_at, size_t *ret_len) {
    const struct entry *entry = &r->entry;
    if (entry->nameless || entry->key_len <= r->prefix_len ||
        memcmp(entry->key, r->prefix, r->prefix_len) != 0)
        return false;
    *ret_at = entry->key + r->prefix_len;
    *ret_len = entry->key_len - r->prefix_len;
    return true;
}

static int end_object(struct list_reader *r, const struct xml_text *text) {
    (void)text;
    const struct entry *entry = &r->entry;
    const char *key;
    size_t len;
    if (!entry->has_key || !entry->has_size || !entry->has_modified)
        return -EPROTO;
    if (!relative_key(r, &key, &len)) {
        r->page->skipped++;
        return 0;
    }
    return listing_add_object(r->page, key, len, entry->size, entry->modified, entry->etag);
}

static int end_folder(struct list_reader *r, const struct xml_text *text) {
    (void)text;
    const char *key;
    size_t len;
    if (!r->entry.has_key)
        return -EPROTO;
    if (!relative_key(r, &key, &len) || key[len - 1] != r->fold) {
        r->page->skipped++;
        return 0;
    }
    return listing_add_folder(r->page, key, len);
}

#define ROOT "/ListBucketResult"

static const struct {
    const char *path;
    int (*take)(struct list_reader *, const struct xml_text *);
} fields[] = {
    {ROOT "/Contents/Key", take_key},
    {ROOT "/Contents/LastModified", take_modified},
    {ROOT "/Contents/ETag", take_etag},
    {ROOT "/Contents/Size", take_size},
    {ROOT "/Contents", end_object},
    {ROOT "/CommonPrefixes/Prefix", take_key},
    {ROOT "/CommonPrefixes", end_folder},
    {ROOT "/IsTruncated", take_truncated},
    {ROOT "/NextContinuationToken", take_next},
};

static int on_begin(void *ctx, const char *path) {
    struct list_reader *r = ctx;
    const char *below = path + strlen(ROOT);
    if (strncmp(path, ROOT, strlen(ROOT)) != 0 || (*below != '\0' && *below != '/'))
        return -EPROTO;
    if (strcmp(path, ROOT "/Contents") == 0 || strcmp(path, ROOT "/CommonPrefixes") == 0)
        r->entry = (struct entry){0};
    return 0;
}

static int on_end(void *ctx, const char *path, const struct xml_text *text) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(path, fields[i].path) == 0)
            return fields[i].take(ctx, text);
    return 0;
}

enum { ENCODING_URL = 1, ENCODING_OTHER = 2 };

static int find_encoding(void *ctx, const char *path, const struct xml_text *text) {
    (void)ctx;
    if (strcmp(path, ROOT "/EncodingType") != 0)
        return 0;
    return strcmp(text->at, "url") == 0 ? ENCODING_URL : ENCODING_OTHER;
}

int s3_list_parse(const uint8_t *xml, size_t len, const char *prefix, char fold,
                  struct listing *ret) {
    /* How keys are to be read may be told behind them (MinIO does): it is looked for first. */
    const struct xml_handler finder = {.end = find_encoding};
    int encoding = xml_read(xml, len, &finder);
    if (encoding < 0)
        return encoding;
    struct list_reader r = {.page = ret,
                            .prefix = prefix,
                            .prefix_len = strlen(prefix),
                            .fold = fold,
                            .url_encoded = encoding == ENCODING_URL};
    const struct xml_handler handler = {.begin = on_begin, .end = on_end, .ctx = &r};
    int err = xml_read(xml, len, &handler);
    if (err)
        return err == -EMSGSIZE ? -EPROTO : err;
    return !r.has_truncated || (r.truncated && !ret->next) ? -EPROTO : 0;
}
