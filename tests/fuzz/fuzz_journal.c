/* The journal's reader: whatever the text, its entries lie behind each other, and say themselves.
 */
#include <maciefs/journal.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOUR hour_pack(2026, 11, 24, 5)

struct seen {
    uint64_t length;
    struct buf text; /* the entries, formatted again */
};

static int see(void *ctx, const struct journal_entry *entry) {
    struct seen *seen = ctx;
    if (entry->offset != seen->length || entry->length > INT64_MAX - seen->length ||
        strlen(entry->key) > OBJECT_KEY_MAX || strlen(entry->etag) > OBJECT_ETAG_MAX ||
        journal_format(entry, &seen->text) < 0)
        abort();
    seen->length += entry->length;
    return 0;
}

/* What a journal's entries make is a journal of the same entries. */
static void read_again(const struct seen *seen) {
    struct seen again = {0};
    size_t len;
    buf_init(&again.text, 1 << 24);
    if (journal_format_head(HOUR, &again.text) < 0)
        abort();
    size_t head = again.text.len;
    if (buf_append(&again.text, seen->text.at, seen->text.len) < 0)
        abort();
    struct seen got = {0};
    buf_init(&got.text, 1 << 24);
    if (journal_parse(HOUR, again.text.at, again.text.len, see, &got, &len) < 0 ||
        len != again.text.len || got.length != seen->length || got.text.len + head != len)
        abort();
    buf_free(&again.text);
    buf_free(&got.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct seen seen = {0};
    size_t len = size + 1;
    buf_init(&seen.text, 1 << 24);
    if (journal_parse(HOUR, data, size, see, &seen, &len) < 0 || len > size)
        abort();
    read_again(&seen);
    buf_free(&seen.text);
    return 0;
}
