#include "decode_kit.h"

/* ---- Detection and plain ---- */

static void plain_passes_through(void **state) {
    (void)state;
    struct buf plain = make_events(300000);
    expect_plain(&plain, &plain, "plain");
    buf_free(&plain);
}

static void nothing_decodes_to_nothing(void **state) {
    (void)state;
    struct buf empty = new_buf();
    expect_plain(&empty, &empty, "plain");
    struct decoder *decoder = decoder_new(0, DECODER_WHOLE_MAX, buf_sink, &empty);
    assert_int_equal(decoder_feed(decoder, NULL, 0), 0);
    assert_int_equal(decoder_finish(decoder), 0);
    decoder_free(decoder);
    decoder_free(NULL);
}

/* What begins nearly as another format does is plain, with not a byte lost. */
static void near_magic_is_plain(void **state) {
    (void)state;
    static const struct {
        const char *at;
        size_t len;
    } objects[] = {
        {"{", 1},
        {"\x1f\x8c\x08", 3},
        {"\x1fx", 2},
        {"PK", 2 + 1},
        {"PKZIP is a word", 15},
        {"PK\3\5", 4},
        {"PX", 2},
        {"\xff\xfe{\0", 4},
        {"\xff\6\0\0sNaPpX", 10},
        {"\xef\xbb\xbf{}", 5},
        {"\0\0\0\0", 4},
        {"\0\0\0\0\0\0\0\0\0\0", 10},
        {"\0{\0\"\0i\0d\0\"\0:\0001\0}", 16},           /* UTF-16 */
        {"\0\0\0\5\0\0\0\0\5xxxxx", 14},                /* no piece */
        {"\0\0\0\5\0\1\0\0\5xxxxx", 14},                /* a piece too long */
        {"\0\0\0\5\0\0\0\7\6xxxxxx", 15},               /* a piece that gives too much */
        {"\0\0\0\5\0\0\0\7\0xxxxxx", 15},               /* a piece that gives nothing */
        {"\0\0\0\5\0\0\0\1\x85xxx", 12},                /* a length longer than its piece */
        {"\0\0\0\5\0\0\0\7\xff\xff\xff\xff\xff\1", 14}, /* a length that is none */
        {"\7\0\0\0\0\x40\0\1\5xxxxx", 14},              /* a piece longer than any */
        {"\x08\0\0\1\0\0\0\7\5xxxxx", 14},              /* a block too long */
        {"\n\n\n\n\0\0\0\7\5xxxxx", 14},
    };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        struct buf object = new_buf();
        put(&object, objects[i].at, objects[i].len);
        expect_plain(&object, &object, "plain");
        buf_free(&object);
    }
}

/* An object that is nothing but a beginning of a magic was cut off. */
static void cut_magic_is_damage(void **state) {
    (void)state;
    static const struct {
        const char *at;
        size_t len;
    } heads[] = {{"\x1f", 1}, {"PK\3", 3}, {"PK", 2}, {"\xff\6\0\0sNaPp", 9}, {"\0\1\0", 3}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct buf object = new_buf();
        put(&object, heads[i].at, heads[i].len);
        expect_damaged(&object, &object, 0, "it ends within its first bytes");
        buf_free(&object);
    }
}

/* ---- gzip ---- */

static void put_gzip(struct buf *object, const struct buf *plain) {
    put_deflated(object, plain, 31, NULL);
}

static void gzip_of_any_size(void **state) {
    (void)state;
    for (size_t len = 0; len <= 400000; len = len * 20 + 1) {
        struct buf plain = make_events(len), object = new_buf();
        put_gzip(&object, &plain);
        expect_plain(&object, &plain, "gzip");
        buf_free(&plain);
        buf_free(&object);
    }
}

/* At the sizes up to which an object is decoded at once: stored, and plain. */
static void gzip_around_what_goes_at_once(void **state) {
    (void)state;
    struct buf noise = new_buf();
    for (uint32_t i = 0, word = 1; i < 300 << 10; i++) {
        word = word * 1664525 + 1013904223;
        put(&noise, &(uint8_t){word >> 24}, 1);
    }
    for (size_t stored = (256 << 10) - 60; stored <= (256 << 10) + 60; stored += 60) {
        struct buf plain = {.at = noise.at,
                            .len = stored - 98,
                            .cap = noise.cap,
                            .limit = noise.limit},
                   object = new_buf();
        put_gzip(&object, &plain);
        assert_true(object.len > stored - 90 && object.len < stored + 30);
        expect_plain(&object, &plain, "gzip");
        object.at[object.len - 6] ^= 1;
        expect_damaged(&object, &plain, plain.len, "its gzip checksum is wrong");
        buf_free(&object);
    }
    for (size_t len = (2 << 20) - 1; len <= (2 << 20) + 1; len++) {
        struct buf plain = make_events(len), object = new_buf();
        put_gzip(&object, &plain);
        expect_plain(&object, &plain, "gzip");
        buf_free(&plain);
        buf_free(&object);
    }
    buf_free(&noise);
}

static void gzip_with_all_header_fields(void **state) {
    (void)state;
    struct buf plain = make_events(500), object = new_buf();
    gz_header header = {.extra = (Bytef *)"ab\2\0xy",
                        .extra_len = 6,
                        .name = (Bytef *)"macie.json",
                        .comment = (Bytef *)"from Firehose",
                        .hcrc = 1};
    put_deflated(&object, &plain, 31, &header);
    expect_plain(&object, &plain, "gzip");
    expect_cuts_found(&object, &plain, nowhere);
    expect_flips_found(&object, &plain, nowhere);
    buf_free(&plain);
    buf_free(&object);
}

/* Members, an empty one among them, with padding between and behind. */
static void gzip_members_and_padding(void **state) {
    (void)state;
    struct buf one = make_events(700), none = new_buf(), all = new_buf(), object = new_buf();
    for (int i = 0; i < 3; i++) {
        put_gzip(&object, &one);
        put_buf(&all, &one);
    }
    put_gzip(&object, &none);
    expect_plain(&object, &all, "gzip");
    put_zeros(&object, 1);
    expect_plain(&object, &all, "gzip");
    put_zeros(&object, 1500);
    expect_plain(&object, &all, "gzip");
    put_gzip(&object, &one);
    put_buf(&all, &one);
    expect_plain(&object, &all, "gzip");
    buf_free(&one);
    buf_free(&all);
    buf_free(&object);
}

static void gzip_with_bytes_behind(void **state) {
    (void)state;
    static const char reason[] = "it has bytes behind its last gzip member that are none";
    static const char *const behind[] = {"{}", "\x1f{}", "\x1f\x1f\x1f"};
    for (size_t i = 0; i < 3; i++) {
        struct buf plain = make_events(300), object = new_buf();
        put_gzip(&object, &plain);
        put_zeros(&object, i);
        put(&object, behind[i], strlen(behind[i]));
        expect_damaged(&object, &plain, plain.len, reason);
        buf_free(&plain);
        buf_free(&object);
    }
}

static void gzip_with_a_wrong_trailer(void **state) {
    (void)state;
    struct buf plain = make_events(300), object = new_buf();
    put_gzip(&object, &plain);
    object.at[object.len - 1] ^= 1;
    expect_damaged(&object, &plain, plain.len, "its gzip length is wrong");
    object.at[object.len - 8] ^= 1;
    expect_damaged(&object, &plain, plain.len, "its gzip checksum is wrong");
    buf_free(&plain);
    buf_free(&object);
}

/* The second member's checksum is checked as well as the first's. */
static void gzip_with_a_wrong_second_member(void **state) {
    (void)state;
    struct buf plain = make_events(300), all = new_buf(), object = new_buf();
    for (int i = 0; i < 2; i++) {
        put_gzip(&object, &plain);
        put_buf(&all, &plain);
    }
    object.at[object.len - 5] ^= 0x40;
    expect_damaged(&object, &all, all.len, "its gzip checksum is wrong");
    buf_free(&plain);
    buf_free(&all);
    buf_free(&object);
}

static void gzip_of_an_unknown_method(void **state) {
    (void)state;
    struct buf plain = make_events(300), object = new_buf();
    put_gzip(&object, &plain);
    object.at[2] = 7;
    expect_damaged(&object, &plain, 0, "its gzip data cannot be inflated");
    buf_free(&plain);
    buf_free(&object);
}

/* What stands before the damage comes out, up to the last byte that can be inflated. */
static void gzip_damaged_in_the_middle(void **state) {
    (void)state;
    struct buf plain = make_events(400000), object = new_buf();
    put_gzip(&object, &plain);
    memset(object.at + object.len / 2, 0xff, 64);
    for (size_t i = 0; i < CUTS; i++) {
        struct decoded got = decode(&object, all_cuts[i], NO_LIMIT);
        assert_int_equal(got.err, -EBADMSG);
        assert_true(got.plain.len > plain.len / 3);
        assert_memory_equal(got.plain.at, plain.at, plain.len / 3);
        buf_free(&got.plain);
    }
    buf_free(&plain);
    buf_free(&object);
}

static void gzip_cut_or_flipped_anywhere(void **state) {
    (void)state;
    struct buf plain = make_events(600), all = new_buf(), object = new_buf();
    put_gzip(&object, &plain);
    size_t whole[] = {object.len, 0};
    put_gzip(&object, &plain);
    put_buf(&all, &plain);
    put_buf(&all, &plain);
    expect_cuts_found(&object, &all, whole);
    expect_flips_found(&object, &all, nowhere);
    buf_free(&plain);
    buf_free(&all);
    buf_free(&object);
}

/* A cut object has given all that its bytes hold. */
static void gzip_gives_all_before_a_cut(void **state) {
    (void)state;
    struct buf plain = make_events(400000), object = new_buf();
    put_gzip(&object, &plain);
    object.len -= 9; /* the trailer, and a byte of the last block */
    for (size_t i = 0; i < CUTS; i++) {
        struct decoded got = decode(&object, all_cuts[i], NO_LIMIT);
        assert_string_equal(got.reason, "it ends inside a gzip member");
        assert_true(got.plain.len + 64 > plain.len);
        assert_true(is_prefix(&got.plain, &plain));
        assert_int_equal(got.offset, object.len);
        buf_free(&got.plain);
    }
    buf_free(&plain);
    buf_free(&object);
}

/* Few stored bytes that hold much: what zlib keeps when a window is full comes out as well. */
static void gzip_gives_all_of_a_full_window(void **state) {
    (void)state;
    struct buf plain = new_buf(), object = new_buf();
    put_zeros(&plain, 300000);
    put_gzip(&object, &plain);
    expect_plain(&object, &plain, "gzip");
    for (size_t len = 2; len < object.len; len++) {
        struct buf cut = {.at = object.at, .len = len, .cap = len, .limit = len};
        struct decoded one = decode(&cut, CUT_NOWHERE, NO_LIMIT);
        struct decoded two = decode(&cut, CUT_BYTES, NO_LIMIT);
        assert_int_equal(one.plain.len, two.plain.len);
        buf_free(&one.plain);
        buf_free(&two.plain);
    }
    buf_free(&plain);
    buf_free(&object);
}

/* ---- Limits, sinks, reuse ---- */

static void limit_is_exact(void **state) {
    (void)state;
    struct buf plain = make_events(300000), object = new_buf();
    put_gzip(&object, &plain);
    const struct buf *objects[] = {&plain, &object};
    for (size_t i = 0; i < 2 * CUTS; i++) {
        struct decoded got = decode(objects[i % 2], all_cuts[i / 2], plain.len);
        assert_int_equal(got.err, 0);
        buf_free(&got.plain);
        got = decode(objects[i % 2], all_cuts[i / 2], plain.len - 1);
        assert_int_equal(got.err, -EBADMSG);
        assert_string_equal(got.reason, "it is longer than max_object when decoded");
        assert_int_equal(got.plain.len, plain.len - 1);
        assert_true(is_prefix(&got.plain, &plain));
        buf_free(&got.plain);
    }
    buf_free(&plain);
    buf_free(&object);
}

static int count_sink(void *ctx, const uint8_t *at, size_t len) {
    uint64_t *count = ctx;
    assert_true(at[0] == 0 && at[len - 1] == 0);
    assert_true(len <= 1 << 20);
    *count += len;
    return 0;
}

/* 1 GiB of zeros in 1 MiB: one MiB's worth, which a full flush makes independent, repeated. */
static void bomb_costs_no_memory(void **state) {
    (void)state;
    static uint8_t zeros[1 << 20];
    uint8_t packed[4096];
    z_stream z = {.next_in = zeros, .avail_in = sizeof zeros, .next_out = packed};
    z.avail_out = sizeof packed;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
    size_t len = sizeof packed - z.avail_out;
    deflateEnd(&z);

    uint64_t count = 0;
    struct decoder *decoder = decoder_new(100 << 20, DECODER_WHOLE_MAX, count_sink, &count);
    int err = decoder_feed(decoder, (const uint8_t *)"\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
    int fed = 0;
    for (; fed < 1024 && !err; fed++)
        err = decoder_feed(decoder, packed, len);
    assert_int_equal(err, -EBADMSG);
    assert_true(fed < 1024);
    assert_int_equal(count, 100 << 20);
    assert_string_equal(decoder_reason(decoder), "it is longer than max_object when decoded");
    assert_true(decoder_offset(decoder) <= 10 + 101 * len);
    decoder_free(decoder);
}

struct full_sink {
    size_t room;
    int calls_behind; /* calls after the error */
};

static int refuse_at_room(void *ctx, const uint8_t *at, size_t len) {
    (void)at;
    struct full_sink *sink = ctx;
    sink->calls_behind += sink->room == 0;
    if (len >= sink->room) {
        sink->room = 0;
        return -ENOSPC;
    }
    sink->room -= len;
    return 0;
}

static void sink_errors_end_the_pass(void **state) {
    (void)state;
    struct buf plain = make_events(300000), object = new_buf();
    put_gzip(&object, &plain);
    const struct buf *objects[] = {&plain, &object};
    for (size_t i = 0; i < 2 * CUTS; i++) {
        struct full_sink sink = {.room = 200000};
        struct decoder *decoder =
            decoder_new(NO_LIMIT, whole_max_of(all_cuts[i / 2]), refuse_at_room, &sink);
        assert_int_equal(feed_object(decoder, objects[i % 2], all_cuts[i / 2]), -ENOSPC);
        assert_null(decoder_reason(decoder));
        assert_int_equal(decoder_feed(decoder, plain.at, 1), -ENOSPC);
        assert_int_equal(sink.calls_behind, 0);
        decoder_free(decoder);
    }
    buf_free(&plain);
    buf_free(&object);
}

/* After any end, whole or not, of any format, a reset decoder is as good as new. */
static void expect_reset_begins_anew(size_t whole_max) {
    struct buf plain = make_events(5000), whole = new_buf(), got = new_buf();
    put_gzip(&whole, &plain);
    struct buf cut = {.at = whole.at, .len = whole.len / 2, .cap = whole.cap, .limit = whole.limit};
    struct buf head = {.at = whole.at, .len = 1, .cap = whole.cap, .limit = whole.limit};
    const struct {
        const struct buf *object;
        int err;
    } objects[] = {{&whole, 0}, {&cut, -EBADMSG}, {&cut, -EBADMSG}, {&whole, 0},       {&plain, 0},
                   {&plain, 0}, {&cut, -EBADMSG}, {&plain, 0},      {&head, -EBADMSG}, {&whole, 0}};
    struct decoder *decoder = decoder_new(plain.len, whole_max, buf_sink, &got);
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        assert_int_equal(feed_object(decoder, objects[i].object, CUT_SMALL), objects[i].err);
        assert_true(objects[i].err ? is_prefix(&got, &plain) : is_same(&got, &plain));
        assert_int_equal(decoder_feed(decoder, whole.at, objects[i].err ? 1 : 0), objects[i].err);
        decoder_reset(decoder);
        assert_null(decoder_reason(decoder));
        assert_int_equal(decoder_offset(decoder), 0);
        assert_string_equal(decoder_format(decoder), "plain");
        buf_reset(&got);
    }
    decoder_free(decoder);
    buf_free(&plain);
    buf_free(&whole);
    buf_free(&got);
}

static void reset_begins_anew(void **state) {
    (void)state;
    expect_reset_begins_anew(0);
    expect_reset_begins_anew(DECODER_WHOLE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_passes_through),
        cmocka_unit_test(nothing_decodes_to_nothing),
        cmocka_unit_test(near_magic_is_plain),
        cmocka_unit_test(cut_magic_is_damage),
        cmocka_unit_test(gzip_of_any_size),
        cmocka_unit_test(gzip_around_what_goes_at_once),
        cmocka_unit_test(gzip_with_all_header_fields),
        cmocka_unit_test(gzip_members_and_padding),
        cmocka_unit_test(gzip_with_bytes_behind),
        cmocka_unit_test(gzip_with_a_wrong_trailer),
        cmocka_unit_test(gzip_with_a_wrong_second_member),
        cmocka_unit_test(gzip_of_an_unknown_method),
        cmocka_unit_test(gzip_damaged_in_the_middle),
        cmocka_unit_test(gzip_cut_or_flipped_anywhere),
        cmocka_unit_test(gzip_gives_all_before_a_cut),
        cmocka_unit_test(gzip_gives_all_of_a_full_window),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(bomb_costs_no_memory),
        cmocka_unit_test(sink_errors_end_the_pass),
        cmocka_unit_test(reset_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
