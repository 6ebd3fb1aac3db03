/* The journal: what is written is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <maciefs/journal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR hour_pack(2026, 11, 24, 5)

/* What a reading gave, beside what it should. */
struct seen {
    const struct journal_entry *want;
    size_t want_count;
    size_t count;
    int answer; /* of the visitor, once all are seen */
};

static bool is_same(const struct journal_entry *a, const struct journal_entry *b) {
    return a->offset == b->offset && a->length == b->length && a->crc32c == b->crc32c &&
           a->modified == b->modified && a->size == b->size && a->events == b->events &&
           a->lines == b->lines && a->damaged == b->damaged && strcmp(a->etag, b->etag) == 0 &&
           strcmp(a->key, b->key) == 0;
}

static int see(void *ctx, const struct journal_entry *entry) {
    struct seen *seen = ctx;
    assert_true(seen->count < seen->want_count);
    assert_true(is_same(entry, &seen->want[seen->count]));
    return ++seen->count == seen->want_count ? seen->answer : 0;
}

static struct buf text_of(hour_t hour, const struct journal_entry *entries, size_t count) {
    struct buf text;
    buf_init(&text, 64 << 20);
    assert_int_equal(journal_format_head(hour, &text), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(journal_format(&entries[i], &text), 0);
    return text;
}

static struct journal_entry entry_of(uint64_t offset, uint64_t length, const char *key,
                                     const char *etag) {
    struct journal_entry entry = {.offset = offset,
                                  .length = length,
                                  .crc32c = (uint32_t)(offset * 2654435761u),
                                  .modified = 1795500000,
                                  .size = length / 2,
                                  .events = length / 10,
                                  .lines = length / 10 + 1,
                                  .damaged = length % 2};
    memcpy(entry.key, key, strlen(key) + 1);
    memcpy(entry.etag, etag, strlen(etag) + 1);
    return entry;
}

static void odd_texts_come_back(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",          "-",       "--",
        "%",         "%2D",     "a\tb",
        "a\nb",      "\r\n",    "\x01\x7f\xff",
        "Zürich/日", "damaged", "2026/11/24/05/a+b c?d=&e",
        "\xc3\x28",  " ",       "0",
        "a\\\"b",
    };
    enum { COUNT = sizeof texts / sizeof *texts };
    struct journal_entry entries[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        entries[i] = entry_of(i * 11, 11, texts[i], texts[COUNT - 1 - i]);
    struct buf text = text_of(HOUR, entries, COUNT);
    struct seen seen = {.want = entries, .want_count = COUNT};
    size_t len;
    assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), 0);
    assert_int_equal(seen.count, COUNT);
    assert_int_equal(len, text.len);
    buf_free(&text);
}

static void extremes_come_back(void **state) {
    (void)state;
    struct journal_entry entry = {.length = INT64_MAX,
                                  .crc32c = UINT32_MAX,
                                  .modified = INT64_MIN,
                                  .size = UINT64_MAX,
                                  .events = UINT64_MAX,
                                  .lines = UINT64_MAX,
                                  .damaged = true};
    memset(entry.key, '\xff', OBJECT_KEY_MAX);
    memset(entry.etag, '\x01', OBJECT_ETAG_MAX);
    struct buf text = text_of(HOUR, &entry, 1);
    struct seen seen = {.want = &entry, .want_count = 1};
    size_t len;
    assert_true(text.len - strlen("maciefs-journal 1 2026/11/24/05\n") <= JOURNAL_LINE_MAX);
    assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), 0);
    assert_int_equal(seen.count, 1);
    buf_free(&text);
    entry.modified = INT64_MAX;
    text = text_of(HOUR, &entry, 1);
    seen.count = 0;
    assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), 0);
    assert_int_equal(seen.count, 1);
    buf_free(&text);
}

static void the_visitor_ends_the_reading(void **state) {
    (void)state;
    struct journal_entry entries[] = {entry_of(0, 5, "a", "1"), entry_of(5, 5, "b", "2"),
                                      entry_of(10, 5, "c", "3")};
    struct buf text = text_of(HOUR, entries, 3);
    struct seen seen = {.want = entries, .want_count = 2, .answer = -EXDEV};
    size_t len;
    assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), -EXDEV);
    assert_int_equal(seen.count, 2);
    buf_free(&text);
}

/* Where the entries' lines end in the text; ends[0] is the first line's. */
static void find_ends(const struct buf *text, size_t *ends, size_t count) {
    for (size_t i = 0, n = 0; i < text->len && n < count; i++)
        if (text->at[i] == '\n')
            ends[n++] = i + 1;
}

static void a_cut_ends_the_journal_before_it(void **state) {
    (void)state;
    struct journal_entry entries[] = {entry_of(0, 7, "2026/11/24/05/a", "1"),
                                      entry_of(7, 0, "2026/11/24/05/b\t", ""),
                                      entry_of(7, 9, "2026/11/24/05/c", "3")};
    struct buf text = text_of(HOUR, entries, 3);
    size_t ends[4];
    find_ends(&text, ends, 4);
    for (size_t cut = 0; cut <= text.len; cut++) {
        size_t whole = 0, len;
        while (whole < 4 && ends[whole] <= cut)
            whole++;
        struct seen seen = {.want = entries, .want_count = 3};
        assert_int_equal(journal_parse(HOUR, text.at, cut, see, &seen, &len), 0);
        assert_int_equal(seen.count, whole ? whole - 1 : 0);
        assert_int_equal(len, whole ? ends[whole - 1] : 0);
    }
    buf_free(&text);
}

static void a_flipped_bit_ends_the_journal_before_it(void **state) {
    (void)state;
    struct journal_entry entries[] = {entry_of(0, 7, "2026/11/24/05/a-%", "abc"),
                                      entry_of(7, 8, "2026/11/24/05/b", "-"),
                                      entry_of(15, 9, "2026/11/24/05/c", "3")};
    struct buf text = text_of(HOUR, entries, 3);
    size_t ends[4];
    find_ends(&text, ends, 4);
    for (size_t bit = 0; bit < text.len * 8; bit++) {
        size_t line = 0, len;
        while (ends[line] <= bit / 8)
            line++;
        text.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct seen seen = {.want = entries, .want_count = 3};
        assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), 0);
        assert_int_equal(seen.count, line ? line - 1 : 0);
        assert_int_equal(len, line ? ends[line - 1] : 0);
        text.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_free(&text);
}

static void another_hour_is_not_read(void **state) {
    (void)state;
    struct journal_entry entry = entry_of(0, 7, "a", "1");
    struct buf text = text_of(hour_pack(2026, 11, 24, 6), &entry, 1);
    struct seen seen = {.want = NULL};
    size_t len = 1;
    assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), 0);
    assert_int_equal(len, 0);
    buf_free(&text);
}

static void gaps_overlaps_and_overflows_end_it(void **state) {
    (void)state;
    static const struct {
        uint64_t first_length, second_offset, second_length;
    } cases[] = {{7, 8, 1}, {7, 6, 1}, {7, 0, 7}, {INT64_MAX, INT64_MAX, 1}, {7, 7, INT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journal_entry entries[] = {
            entry_of(0, cases[i].first_length, "a", "1"),
            entry_of(cases[i].second_offset, cases[i].second_length, "b", "2")};
        struct buf text = text_of(HOUR, entries, 2);
        struct seen seen = {.want = entries, .want_count = 1};
        size_t len, ends[2];
        find_ends(&text, ends, 2);
        assert_int_equal(journal_parse(HOUR, text.at, text.len, see, &seen, &len), 0);
        assert_int_equal(seen.count, 1);
        assert_int_equal(len, ends[1]);
        buf_free(&text);
    }
}

/* -- Files ------------------------------------------------------------------------------------- */

static int folder;
static char folder_path[] = "/tmp/maciefs-test-XXXXXX";

static int open_folder(void **state) {
    (void)state;
    folder = mkdtemp(folder_path) ? open(folder_path, O_RDONLY | O_DIRECTORY) : -1;
    return folder < 0;
}

static int close_folder(void **state) {
    (void)state;
    unlinkat(folder, "j", 0);
    close(folder);
    return rmdir(folder_path);
}

static void write_file(const void *at, size_t len) {
    int fd = openat(folder, "j", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, at, len), len);
    close(fd);
}

static void files_of_any_length_are_read(void **state) {
    (void)state;
    enum { COUNT = 300 };
    struct journal_entry *entries = calloc(COUNT, sizeof *entries);
    assert_non_null(entries);
    for (size_t i = 0; i < COUNT; i++) {
        entries[i] = entry_of(i * 5, 5, "", "");
        memset(entries[i].key, '\n', i * 13 % (OBJECT_KEY_MAX + 1));
    }
    struct buf text = text_of(HOUR, entries, COUNT);
    assert_true(text.len > 5 * 64 * 1024);
    write_file(text.at, text.len);
    struct seen seen = {.want = entries, .want_count = COUNT};
    uint64_t len;
    assert_int_equal(journal_read(folder, "j", HOUR, see, &seen, &len), 0);
    assert_int_equal(seen.count, COUNT);
    assert_int_equal(len, text.len);

    /* A torn tail of any length is left out. */
    write_file(text.at, text.len - 1);
    seen.count = 0;
    assert_int_equal(journal_read(folder, "j", HOUR, see, &seen, &len), 0);
    assert_int_equal(seen.count, COUNT - 1);
    buf_free(&text);
    free(entries);
}

static void over_long_lines_end_it(void **state) {
    (void)state;
    struct journal_entry entry = entry_of(0, 7, "a", "1");
    struct buf text = text_of(HOUR, &entry, 1);
    size_t whole = text.len;
    for (size_t i = 0; i < 1 << 20; i++)
        assert_int_equal(buf_append(&text, "x", 1), 0);
    assert_int_equal(buf_append(&text, "\n", 1), 0);
    write_file(text.at, text.len);
    struct seen seen = {.want = &entry, .want_count = 1};
    uint64_t len;
    assert_int_equal(journal_read(folder, "j", HOUR, see, &seen, &len), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(len, whole);
    buf_free(&text);
}

static void what_is_no_journal_is_told(void **state) {
    (void)state;
    struct seen seen = {.want = NULL};
    uint64_t len = 1;
    assert_int_equal(journal_read(folder, "none", HOUR, see, &seen, &len), -ENOENT);
    assert_int_equal(journal_read(folder, ".", HOUR, see, &seen, &len), -EISDIR);
    write_file("", 0);
    assert_int_equal(journal_read(folder, "j", HOUR, see, &seen, &len), 0);
    assert_int_equal(len, 0);
    unlinkat(folder, "j", 0);
    assert_int_equal(symlinkat("/dev/zero", folder, "j"), 0);
    assert_int_equal(journal_read(folder, "j", HOUR, see, &seen, &len), -ELOOP);
    unlinkat(folder, "j", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_texts_come_back),
        cmocka_unit_test(extremes_come_back),
        cmocka_unit_test(the_visitor_ends_the_reading),
        cmocka_unit_test(a_cut_ends_the_journal_before_it),
        cmocka_unit_test(a_flipped_bit_ends_the_journal_before_it),
        cmocka_unit_test(another_hour_is_not_read),
        cmocka_unit_test(gaps_overlaps_and_overflows_end_it),
        cmocka_unit_test(files_of_any_length_are_read),
        cmocka_unit_test(over_long_lines_end_it),
        cmocka_unit_test(what_is_no_journal_is_told),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
