/* zip, with archives built by hand from APPNOTE.TXT. */
#include "decode_kit.h"

#define FLAG_ENCRYPTED 1
#define FLAG_DESCRIPTOR 8

struct entry {
    const char *name;
    const struct buf *plain;
    uint16_t method;   /* 0 or 8 */
    uint16_t flags;    /* besides FLAG_DESCRIPTOR */
    size_t descriptor; /* its bytes: 12, 16, 20 or 24; 0: sizes in the header */
    int zip64;         /* sizes in a zip64 field */
    const char *extra; /* another extra field before that one */
    size_t extra_len;
};

static uint32_t crc_of(const struct buf *plain) {
    return (uint32_t)crc32_z(0, plain->at, plain->len);
}

static void put_extra(struct buf *object, const struct entry *entry, size_t stored) {
    put(object, entry->extra, entry->extra_len);
    if (!entry->zip64)
        return;
    put_le(object, 1, 2);
    put_le(object, 16, 2);
    put_le(object, entry->descriptor ? 0 : entry->plain->len, 8);
    put_le(object, entry->descriptor ? 0 : stored, 8);
}

static void put_header(struct buf *object, const struct entry *entry, size_t stored) {
    uint32_t wide = entry->zip64 ? UINT32_MAX : 0;
    int sized = entry->descriptor == 0;
    put(object, "PK\3\4\24\0", 6);
    put_le(object, entry->flags | (sized ? 0 : FLAG_DESCRIPTOR), 2);
    put_le(object, entry->method, 2);
    put_le(object, 0x5b785b78, 4);
    put_le(object, sized ? crc_of(entry->plain) : 0, 4);
    put_le(object, wide ? wide : sized ? stored : 0, 4);
    put_le(object, wide ? wide : sized ? entry->plain->len : 0, 4);
    put_le(object, strlen(entry->name), 2);
    put_le(object, entry->extra_len + (entry->zip64 ? 20 : 0), 2);
    put(object, entry->name, strlen(entry->name));
    put_extra(object, entry, stored);
}

static void put_descriptor(struct buf *object, const struct entry *entry, size_t stored) {
    size_t size = entry->descriptor >= 20 ? 8 : 4;
    if (entry->descriptor % 8 == 0)
        put(object, "PK\7\10", 4);
    put_le(object, crc_of(entry->plain), 4);
    put_le(object, stored, size);
    put_le(object, entry->plain->len, size);
}

static void put_entry(struct buf *object, const struct entry *entry) {
    struct buf data = new_buf();
    if (entry->method == 8)
        put_deflated(&data, entry->plain, -15, NULL);
    else
        put_buf(&data, entry->plain);
    put_header(object, entry, data.len);
    put_buf(object, &data);
    if (entry->descriptor)
        put_descriptor(object, entry, data.len);
    buf_free(&data);
}

/* One header of the directory; the decoder does not look into it. */
static void put_directory_header(struct buf *object, const char *name, const char *comment) {
    put(object, "PK\1\2", 4);
    put_zeros(object, 24);
    put_le(object, strlen(name), 2);
    put_le(object, 3, 2);
    put_le(object, strlen(comment), 2);
    put_zeros(object, 12);
    put(object, name, strlen(name));
    put(object, "xyz", 3);
    put(object, comment, strlen(comment));
}

static void put_end(struct buf *object, uint16_t disk, const char *comment) {
    put(object, "PK\5\6", 4);
    put_le(object, disk, 2);
    put_zeros(object, 14);
    put_le(object, strlen(comment), 2);
    put(object, comment, strlen(comment));
}

static void put_directory(struct buf *object) {
    put_directory_header(object, "macie.json", "a remark");
    put_end(object, 0, "");
}

static struct buf make_archive(const struct entry *entry) {
    struct buf object = new_buf();
    put_entry(&object, entry);
    put_directory(&object);
    return object;
}

/* Every way in which the sizes of an entry can be written, by each method. */
#define FORMS (2 * 7)

static struct entry make_form(size_t form, const struct buf *plain) {
    static const size_t descriptors[] = {0, 0, 12, 16, 20, 24, 24};
    size_t way = form / 2;
    return (struct entry){.name = "macie.json",
                          .plain = plain,
                          .method = form % 2 ? 8 : 0,
                          .descriptor = descriptors[way],
                          .zip64 = way == 1 || way == 6};
}

static void every_form_of_any_size(void **state) {
    (void)state;
    for (size_t form = 0; form < FORMS; form++)
        for (size_t len = 0; len <= 400000; len = len * 20 + 1) {
            struct buf plain = make_events(len);
            struct entry entry = make_form(form, &plain);
            struct buf object = make_archive(&entry);
            expect_plain(&object, &plain, "zip");
            buf_free(&plain);
            buf_free(&object);
        }
}

static void every_form_cut_or_flipped_anywhere(void **state) {
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        struct buf plain = make_events(200);
        struct entry entry = make_form(form, &plain);
        struct buf object = make_archive(&entry);
        expect_cuts_found(&object, &plain, nowhere);
        expect_flips_found(&object, &plain, nowhere);
        buf_free(&plain);
        buf_free(&object);
    }
}

/* All files of an archive come out, one behind the other; folders hold nothing. */
static void entries_follow_each_other(void **state) {
    (void)state;
    struct buf plain = make_events(3000), none = new_buf(), all = new_buf(), object = new_buf();
    put_entry(&object, &(struct entry){.name = "macie/", .plain = &none});
    for (size_t form = 0; form < FORMS; form++) {
        struct entry entry = make_form(form, &plain);
        put_entry(&object, &entry);
        put_buf(&all, &plain);
        entry = make_form(form, &none);
        put_entry(&object, &entry);
    }
    put_directory(&object);
    expect_plain(&object, &all, "zip");
    buf_free(&plain);
    buf_free(&all);
    buf_free(&object);
}

static void extra_fields_are_passed_over(void **state) {
    (void)state;
    static const struct {
        const char *at;
        size_t len;
    } extras[] = {
        {"UT\5\0\1abcd", 9}, /* a time */
        {"\1\0\4\0abcd", 8}, /* a zip64 field too short for a size */
        {"UT\0\0ab\0\0", 8}, /* empty ones */
    };
    struct buf plain = make_events(300);
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        struct entry entry = make_form(3, &plain);
        entry.extra = extras[i].at;
        entry.extra_len = extras[i].len;
        struct buf object = make_archive(&entry);
        expect_plain(&object, &plain, "zip");
        buf_free(&object);
    }
    /* One that is longer than all of them hides what stands behind it. */
    struct entry entry = make_form(1, &plain);
    entry.zip64 = 0;
    entry.extra = "UT\xff\0";
    entry.extra_len = 4;
    struct buf object = make_archive(&entry);
    expect_plain(&object, &plain, "zip");
    buf_free(&object);
    buf_free(&plain);
}

/* Whatever else the format has behind or between its entries. */
static void other_records_are_passed_over(void **state) {
    (void)state;
    struct buf plain = make_events(300), object = new_buf(), all = new_buf();
    struct entry entry = make_form(3, &plain);
    put_entry(&object, &entry);
    put(&object, "PK\6\10\5\0\0\0abcde", 13);
    put_directory_header(&object, "macie.json", "");
    put(&object, "PK\5\5\2\0ab", 8);
    put(&object, "PK\6\6\54\0\0\0\0\0\0\0", 12);
    put_zeros(&object, 44);
    put(&object, "PK\6\7", 4);
    put_zeros(&object, 16);
    put_end(&object, 0xffff, "the end");
    expect_plain(&object, &plain, "zip");
    size_t first = object.len;
    put_entry(&object, &entry);
    put_directory(&object);
    put_buf(&all, &plain);
    put_buf(&all, &plain);
    expect_plain(&object, &all, "zip");
    expect_cuts_found(&object, &all, (const size_t[]){first, 0});
    buf_free(&plain);
    buf_free(&all);
    buf_free(&object);
}

static void empty_archive_is_nothing(void **state) {
    (void)state;
    struct buf object = new_buf(), none = new_buf();
    put_end(&object, 0, "");
    expect_plain(&object, &none, "zip");
    expect_cuts_found(&object, &none, nowhere);
    buf_free(&object);
}

/* A stored entry that looks like the ends that are searched for. */
static void stored_entry_may_hold_signatures(void **state) {
    (void)state;
    static const char lure[] = "PPKPK\3\4PK\7\10\0\0\0\0\0\0\0\0\0\0\0\0PK\3\4PK\1PK\3\4";
    struct buf plain = new_buf();
    put_zeros(&plain, 40);
    for (int i = 0; i < 100; i++) {
        put(&plain, lure, sizeof lure - 1);
        put_zeros(&plain, (size_t)i);
    }
    for (size_t form = 4; form < FORMS; form += 2) {
        struct entry entry = make_form(form, &plain);
        struct buf object = make_archive(&entry);
        expect_plain(&object, &plain, "zip");
        buf_free(&object);
    }
    buf_free(&plain);
}

static void refuse(struct entry entry, const char *reason) {
    struct buf object = make_archive(&entry);
    expect_damaged(&object, entry.plain, 0, reason);
    buf_free(&object);
}

static void entries_that_cannot_be_read(void **state) {
    (void)state;
    struct buf plain = make_events(300);
    struct entry entry = make_form(1, &plain);
    entry.flags = FLAG_ENCRYPTED;
    refuse(entry, "its zip entry is encrypted");
    entry.flags = 0;
    entry.method = 9;
    refuse(entry, "its zip entry is neither stored nor deflated");
    buf_free(&plain);
}

static void parts_of_a_split_archive(void **state) {
    (void)state;
    static const char reason[] = "it is one part of a zip archive in several parts";
    struct buf plain = make_events(300), first = new_buf(), last = new_buf();
    struct entry entry = make_form(1, &plain);
    put(&first, "PK\7\10", 4);
    put_entry(&first, &entry);
    expect_damaged(&first, &plain, 0, reason);
    put_entry(&last, &entry);
    put_end(&last, 2, "");
    expect_damaged(&last, &plain, plain.len, reason);
    buf_free(&plain);
    buf_free(&first);
    buf_free(&last);
}

/* Changes one byte of an archive, counted from the entry's data or, below 0, from its end. */
static void expect_damage_at(size_t form, ptrdiff_t at, size_t right, const char *reason) {
    struct buf plain = make_events(300);
    struct entry entry = make_form(form, &plain);
    struct buf object = new_buf();
    put_entry(&object, &entry);
    object.at[at < 0 ? (ptrdiff_t)object.len + at : at] ^= 1;
    put_directory(&object);
    expect_damaged(&object, &plain, right, reason);
    buf_free(&plain);
    buf_free(&object);
}

#define CRC_IN_HEADER 14
#define STORED_IN_HEADER 18
#define PLAIN_IN_HEADER 22

static void wrong_sums_are_damage(void **state) {
    (void)state;
    static const char checksum[] = "its zip checksum is wrong";
    static const char sizes[] = "its zip sizes are wrong";
    static const char none[] = "its zip entry has no data descriptor that fits";
    struct buf plain = make_events(300);
    size_t len = plain.len;
    for (size_t form = 0; form < 2; form++) {
        expect_damage_at(form, CRC_IN_HEADER, len, checksum);
        expect_damage_at(form, PLAIN_IN_HEADER, len, sizes);
    }
    for (size_t form = 4; form < FORMS; form++) {
        struct entry entry = make_form(form, &plain);
        ptrdiff_t size = (ptrdiff_t)entry.descriptor;
        ptrdiff_t width = size < 20 ? 4 : 8;
        int deflated = form % 2;
        const char *reason = deflated ? "its zip data descriptor is wrong" : none;
        size_t right = deflated ? len : len - 24 + (size_t)size;
        expect_damage_at(form, size % 8 ? -size : 4 - size, len, checksum);
        expect_damage_at(form, -2 * width, right, reason);
        expect_damage_at(form, -1, right, reason);
    }
    buf_free(&plain);
}

/* Sizes that are smaller than what is there, or larger. */
static void sizes_bound_the_data(void **state) {
    (void)state;
    struct buf plain = make_events(300);
    struct entry entry = make_form(1, &plain);
    struct buf object = make_archive(&entry);
    object.at[STORED_IN_HEADER]--;
    struct decoded got = decode(&object, CUT_NOWHERE, NO_LIMIT);
    assert_string_equal(got.reason, "its zip sizes are wrong");
    buf_free(&got.plain);
    object.at[STORED_IN_HEADER] += 2;
    expect_damaged(&object, &plain, plain.len, "its zip sizes are wrong");
    memset(object.at + STORED_IN_HEADER, 0, 4);
    expect_damaged(&object, &plain, 0, "its zip sizes are wrong");
    memset(object.at + PLAIN_IN_HEADER, 0, 4);
    memset(object.at + CRC_IN_HEADER, 0, 4);
    expect_damaged(&object, &plain, 0, "it has bytes between its zip records that are none");
    buf_free(&plain);
    buf_free(&object);
}

static void broken_data_is_damage(void **state) {
    (void)state;
    struct buf plain = make_events(30000);
    struct entry entry = make_form(5, &plain);
    struct buf object = make_archive(&entry);
    memset(object.at + object.len / 2, 0xff, 64);
    struct decoded got = decode(&object, CUT_RANDOM, NO_LIMIT);
    assert_string_equal(got.reason, "its zip data cannot be inflated");
    assert_true(got.plain.len > plain.len / 3);
    buf_free(&got.plain);
    buf_free(&plain);
    buf_free(&object);
}

static void bytes_behind_the_end_are_damage(void **state) {
    (void)state;
    struct buf plain = make_events(300);
    struct entry entry = make_form(1, &plain);
    struct buf object = make_archive(&entry);
    put(&object, "{}{}", 4);
    expect_damaged(&object, &plain, plain.len,
                   "it has bytes between its zip records that are none");
    buf_free(&plain);
    buf_free(&object);
}

static void archive_without_a_directory_was_cut(void **state) {
    (void)state;
    for (size_t form = 0; form < 4; form++) {
        struct buf plain = make_events(300), object = new_buf();
        struct entry entry = make_form(form, &plain);
        put_entry(&object, &entry);
        expect_damaged(&object, &plain, plain.len, "it ends before its zip archive does");
        buf_free(&plain);
        buf_free(&object);
    }
}

static int refuse_all(void *ctx, const uint8_t *at, size_t len) {
    (void)at;
    *(size_t *)ctx += len;
    return -EIO;
}

/* The limit and the sink's errors hold in every form; a reset decoder is as good as new. */
static void limits_sinks_and_resets(void **state) {
    (void)state;
    struct buf plain = make_events(3000);
    size_t seen = 0;
    struct decoder *decoder = decoder_new(NO_LIMIT, DECODER_WHOLE_MAX, refuse_all, &seen);
    for (size_t form = 0; form < FORMS; form++) {
        struct entry entry = make_form(form, &plain);
        struct buf object = make_archive(&entry);
        for (size_t i = 0; i < CUTS; i++) {
            struct decoded got = decode(&object, all_cuts[i], 1000);
            assert_string_equal(got.reason, "it is longer than max_object when decoded");
            assert_int_equal(got.plain.len, 1000);
            assert_true(is_prefix(&got.plain, &plain));
            buf_free(&got.plain);
            assert_int_equal(feed_object(decoder, &object, all_cuts[i]), -EIO);
            assert_null(decoder_reason(decoder));
            assert_true(seen > 0);
            decoder_reset(decoder);
            seen = 0;
        }
        buf_free(&object);
    }
    decoder_free(decoder);
    buf_free(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_any_size),
        cmocka_unit_test(every_form_cut_or_flipped_anywhere),
        cmocka_unit_test(entries_follow_each_other),
        cmocka_unit_test(extra_fields_are_passed_over),
        cmocka_unit_test(other_records_are_passed_over),
        cmocka_unit_test(empty_archive_is_nothing),
        cmocka_unit_test(stored_entry_may_hold_signatures),
        cmocka_unit_test(entries_that_cannot_be_read),
        cmocka_unit_test(parts_of_a_split_archive),
        cmocka_unit_test(wrong_sums_are_damage),
        cmocka_unit_test(sizes_bound_the_data),
        cmocka_unit_test(broken_data_is_damage),
        cmocka_unit_test(bytes_behind_the_end_are_damage),
        cmocka_unit_test(archive_without_a_directory_was_cut),
        cmocka_unit_test(limits_sinks_and_resets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
