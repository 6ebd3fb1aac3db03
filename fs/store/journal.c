#include <maciefs/crc32c.h>
#include <maciefs/journal.h>
#include <maciefs/uri.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "maciefs-journal 1 "
#define FIELDS 11

int journal_format_head(hour_t hour, struct buf *out) {
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    return buf_printf(out, HEAD "%s\n", path);
}

static uint32_t crc_of(const uint8_t *at, size_t len) {
    return crc32c(0, at, len);
}

/* An empty field would be hard to see, and "-" cannot be mistaken: it stands for an empty text. */
static int format_text(struct buf *out, const char *text) {
    if (!*text)
        return buf_append_str(out, "-");
    if (strcmp(text, "-") == 0)
        return buf_append_str(out, "%2D");
    return uri_encode(out, text, strlen(text), true);
}

int journal_format(const struct journal_entry *e, struct buf *out) {
    size_t start = out->len;
    int err = buf_printf(out,
                         "%" PRIu64 "\t%" PRIu64 "\t%08" PRIx32 "\t%" PRId64 "\t%" PRIu64
                         "\t%" PRIu64 "\t%" PRIu64 "\t%s\t",
                         e->offset, e->length, e->crc32c, e->modified, e->size, e->events, e->lines,
                         e->damaged ? "damaged" : "-");
    if (!err)
        err = format_text(out, e->etag);
    if (!err)
        err = buf_append_str(out, "\t");
    if (!err)
        err = format_text(out, e->key);
    if (!err)
        err = buf_printf(out, "\t%08" PRIx32 "\n", crc_of(out->at + start, out->len - start));
    if (err)
        out->len = start;
    return err;
}

struct field {
    const uint8_t *at;
    size_t len;
};

/* Cuts a line (without its newline) at its tabs. Returns whether there are just as many fields. */
static bool cut_fields(const uint8_t *line, size_t len, struct field ret[FIELDS]) {
    const uint8_t *end = line + len;
    for (int i = 0; i < FIELDS; i++) {
        const uint8_t *tab = memchr(line, '\t', (size_t)(end - line));
        if ((tab == NULL) != (i == FIELDS - 1))
            return false;
        ret[i] = (struct field){line, (size_t)((tab ? tab : end) - line)};
        line = tab ? tab + 1 : end;
    }
    return true;
}

static bool read_number(struct field field, unsigned base, uint64_t *ret) {
    uint64_t value = 0;
    for (size_t i = 0; i < field.len; i++) {
        uint8_t c = field.at[i];
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *ret = value;
    return field.len > 0;
}

static bool read_signed(struct field field, int64_t *ret) {
    bool negative = field.len > 0 && field.at[0] == '-';
    uint64_t value;
    if (!read_number((struct field){field.at + negative, field.len - negative}, 10, &value) ||
        value > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = (int64_t)(negative ? 0 - value : value);
    return true;
}

static bool read_crc(struct field field, uint32_t *ret) {
    uint64_t value;
    if (field.len != 8 || !read_number(field, 16, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_text(struct field field, char *ret, size_t max) {
    size_t n = 0;
    if (field.len == 1 && field.at[0] == '-')
        field.len = 0;
    for (size_t i = 0; i < field.len; i++, n++) {
        int c = field.at[i];
        if (c == '%') {
            if (field.len - i < 3)
                return false;
            int high = hex_digit(field.at[i + 1]), low = hex_digit(field.at[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = high << 4 | low;
            i += 2;
        }
        if (n == max || c == '\0')
            return false;
        ret[n] = (char)c;
    }
    ret[n] = '\0';
    return true;
}

static bool read_flags(struct field field, bool *ret_damaged) {
    *ret_damaged = field.len == 7 && memcmp(field.at, "damaged", 7) == 0;
    return *ret_damaged || (field.len == 1 && field.at[0] == '-');
}

/* Reads one line, without its newline. */
static bool read_entry(const uint8_t *line, size_t len, struct journal_entry *ret) {
    struct field f[FIELDS];
    uint32_t check;
    return cut_fields(line, len, f) && read_crc(f[10], &check) &&
           check == crc_of(line, (size_t)(f[10].at - 1 - line)) &&
           read_number(f[0], 10, &ret->offset) && read_number(f[1], 10, &ret->length) &&
           read_crc(f[2], &ret->crc32c) && read_signed(f[3], &ret->modified) &&
           read_number(f[4], 10, &ret->size) && read_number(f[5], 10, &ret->events) &&
           read_number(f[6], 10, &ret->lines) && read_flags(f[7], &ret->damaged) &&
           read_text(f[8], ret->etag, OBJECT_ETAG_MAX) && read_text(f[9], ret->key, OBJECT_KEY_MAX);
}

/* Where a reading stands, over as many pieces as the text comes in. */
struct reading {
    hour_t hour;
    bool headed;     /* the first line was this hour's */
    uint64_t length; /* of the log so far */
    uint64_t taken;  /* bytes of text that were whole and consistent */
};

static bool take_head(struct reading *r, const uint8_t *line, size_t len) {
    char path[HOUR_PATH_LEN + 1];
    hour_path(r->hour, HOUR_DEPTH, path);
    return len == strlen(HEAD) + HOUR_PATH_LEN && memcmp(line, HEAD, strlen(HEAD)) == 0 &&
           memcmp(line + strlen(HEAD), path, HOUR_PATH_LEN) == 0;
}

/*
 * Takes the whole lines of a piece. *ret_used is how much of it they were. Returns 1 to go on, 0
 * where the journal ends, or the visitor's value.
 */
static int take_lines(struct reading *r, const uint8_t *at, size_t len, journal_visitor visit,
                      void *ctx, size_t *ret_used) {
    size_t used = 0;
    const uint8_t *newline;
    *ret_used = 0;
    while ((newline = memchr(at + used, '\n', len - used))) {
        size_t line_len = (size_t)(newline - (at + used));
        if (!r->headed) {
            if (!take_head(r, at + used, line_len))
                return 0;
            r->headed = true;
        } else {
            struct journal_entry entry;
            if (!read_entry(at + used, line_len, &entry) || entry.offset != r->length ||
                entry.length > INT64_MAX - r->length)
                return 0;
            int err = visit(ctx, &entry);
            if (err)
                return err;
            r->length += entry.length;
        }
        used += line_len + 1;
        r->taken += line_len + 1;
        *ret_used = used;
    }
    return 1;
}

int journal_parse(hour_t hour, const uint8_t *text, size_t len, journal_visitor visit, void *ctx,
                  size_t *ret_len) {
    struct reading r = {.hour = hour};
    size_t used;
    int err = len ? take_lines(&r, text, len, visit, ctx, &used) : 0;
    *ret_len = (size_t)r.taken;
    return err == 1 ? 0 : err;
}

static int read_pieces(int fd, struct reading *r, uint8_t *piece, size_t size,
                       journal_visitor visit, void *ctx) {
    size_t held = 0;
    for (;;) {
        ssize_t n = read(fd, piece + held, size - held);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        held += (size_t)n;
        size_t used;
        int err = take_lines(r, piece, held, visit, ctx, &used);
        if (err != 1)
            return err;
        memmove(piece, piece + used, held - used);
        held -= used;
        /* Nothing that was written as an entry is as long as that. */
        if (held > JOURNAL_LINE_MAX)
            return 0;
    }
}

int journal_read(int dir, const char *path, hour_t hour, journal_visitor visit, void *ctx,
                 uint64_t *ret_len) {
    enum { PIECE = 64 * 1024 };
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    uint8_t *piece = malloc(PIECE);
    struct reading r = {.hour = hour};
    int err = piece ? read_pieces(fd, &r, piece, PIECE, visit, ctx) : -ENOMEM;
    free(piece);
    close(fd);
    *ret_len = r.taken;
    return err;
}
