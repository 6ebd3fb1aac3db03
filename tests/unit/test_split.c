#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_lines.h"
#include "split_model.h"

#include <stdlib.h>

#define LINES_MAX (1 << 20)

/* A generator of its own, so that every run sees the same inputs. */
static uint32_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* --- Runs over one input ---------------------------------------------------------------------- */

/* Feeds a copy of exactly its size, so that the sanitizer sees every byte read beyond. */
static void feed_copy(struct splitter *splitter, const uint8_t *at, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, at, len);
    assert_int_equal(splitter_feed(splitter, copy, len), 0);
    free(copy);
}

static void assert_noted(struct lines *lines, const struct buf *want) {
    assert_int_equal(lines->noted.len, want->len);
    if (want->len > 0)
        assert_memory_equal(lines->noted.at, want->at, want->len);
}

/* Cut behind byte i where bit i % 64 of `cuts` is set. */
static void check_cut(const uint8_t *in, size_t len, uint64_t cuts, const struct buf *want) {
    struct lines lines;
    lines_init(&lines, LINES_MAX);
    struct splitter splitter;
    lines_begin(&lines, &splitter);
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        if (!(cuts >> (i % 64) & 1))
            continue;
        feed_copy(&splitter, in + from, i + 1 - from);
        from = i + 1;
    }
    feed_copy(&splitter, in + from, len - from);
    assert_int_equal(lines_finish(&lines, &splitter), 0);
    assert_noted(&lines, want);
    lines_free(&lines);
}

static void check_one_cut(const uint8_t *in, size_t len, size_t at, const struct buf *want) {
    struct lines lines;
    lines_init(&lines, LINES_MAX);
    struct splitter splitter;
    lines_begin(&lines, &splitter);
    feed_copy(&splitter, in, at);
    feed_copy(&splitter, in + at, len - at);
    assert_int_equal(lines_finish(&lines, &splitter), 0);
    assert_noted(&lines, want);
    lines_free(&lines);
}

/* Whole, byte by byte, and cut once at every place. */
static void check_cuts(const uint8_t *in, size_t len, const struct buf *want) {
    check_cut(in, len, 0, want);
    check_cut(in, len, UINT64_MAX, want);
    for (size_t at = 1; at < len; at++)
        check_one_cut(in, len, at, want);
}

/* `want`: lines as split_model.h notes them. The model has to say the same. */
static void check(const char *in, size_t len, const char *want, size_t want_len) {
    struct buf noted;
    buf_init(&noted, LINES_MAX);
    assert_int_equal(model_split((const uint8_t *)in, len, &noted), 0);
    assert_int_equal(noted.len, want_len);
    if (want_len > 0)
        assert_memory_equal(noted.at, want, want_len);
    check_cuts((const uint8_t *)in, len, &noted);
    buf_free(&noted);
}

#define CHECK(in, want) check(in, sizeof(in) - 1, want, sizeof(want) - 1)

/* --- Events ----------------------------------------------------------------------------------- */

static void test_events_however_they_are_joined(void **state) {
    (void)state;
    CHECK("", "");
    CHECK("{}", "E{}\n");
    CHECK("{\"a\":1}{\"b\":2}", "E{\"a\":1}\nE{\"b\":2}\n");
    CHECK("{\"a\":1}\n{\"b\":2}\n", "E{\"a\":1}\nE{\"b\":2}\n");
    CHECK("{\"a\":1}\r\n{\"b\":2}\r\n", "E{\"a\":1}\nE{\"b\":2}\n");
    CHECK(" \t{\"a\":1} \n\n\r\n\t{\"b\":2} ", "E{\"a\":1}\nE{\"b\":2}\n");
    CHECK("{\"a\":1},{\"b\":2}", "E{\"a\":1}\nE{\"b\":2}\n");
    CHECK("{\"a\":1} ,\n{\"b\":2}\n,{}", "E{\"a\":1}\nE{\"b\":2}\nE{}\n");
    CHECK("\x1e{\"a\":1}\n\x1e{\"b\":2}\n", "E{\"a\":1}\nE{\"b\":2}\n");
}

static void test_no_nul_between_events(void **state) {
    (void)state;
    CHECK("\0\0", "");
    CHECK("\0{}\0\0{}\n\0\n", "E{}\nE{}\n");
    CHECK("{\"a\":\"\0\"}\0x\0y\n\0", "E{\"a\":\"\0\"}\nTx\0y\n");
}

static void test_byte_order_marks(void **state) {
    (void)state;
    CHECK("\xef\xbb\xbf{}", "E{}\n");
    CHECK("{}\n\xef\xbb\xbf{}", "E{}\nE{}\n");
    CHECK("\xef\xbb\xbf", "");
    CHECK("\xef\xbb", "T\xef\xbb\n");
    CHECK("\xef\xbb{}\n", "T\xef\xbb{}\n");
    CHECK("x\xef\xbb\xbf{}\n", "Tx\xef\xbb\xbf{}\n");
    CHECK("{\"\xef\xbb\xbf\":1}", "E{\"\xef\xbb\xbf\":1}\n");
}

static void test_strings_hide_braces(void **state) {
    (void)state;
    CHECK("{\"a}{\":\"}{\"}", "E{\"a}{\":\"}{\"}\n");
    CHECK("{\"a\":\"\\\"}\"}{}", "E{\"a\":\"\\\"}\"}\nE{}\n");
    CHECK("{\"a\":\"\\\\\"}{}", "E{\"a\":\"\\\\\"}\nE{}\n");
    CHECK("{\"a\":\"\\\\\\\"}\"}{}", "E{\"a\":\"\\\\\\\"}\"}\nE{}\n");
    CHECK("{\"a\":\"{\\\"b\\\":{}}\"}{}", "E{\"a\":\"{\\\"b\\\":{}}\"}\nE{}\n");
    CHECK("{\"{\":\"{\",\"{\" :[\"{\"]}{}", "E{\"{\":\"{\",\"{\" :[\"{\"]}\nE{}\n");
    CHECK("{\"caf\xe9\":\"\xed\xa0\x80\xff\"}", "E{\"caf\xe9\":\"\xed\xa0\x80\xff\"}\n");
}

static void test_line_breaks_inside_events(void **state) {
    (void)state;
    CHECK("{\n  \"a\": [\r\n\t1,\r\n\r\n 2 ]\n}\n", "E{\"a\": [1,2 ]}\n");
    CHECK("{\"a\" : {\r \"b\" :\n{ } } }", "E{\"a\" : {\"b\" :{ } } }\n");
    CHECK("{\"a\":\"x\ry\"}", "E{\"a\":\"x\ry\"}\n");
    CHECK("{\"a\":007.50,\"b\":1E-400}", "E{\"a\":007.50,\"b\":1E-400}\n");
}

static void test_depth_is_only_a_count(void **state) {
    (void)state;
    enum { DEPTH = 20000 };
    struct buf in, want;
    buf_init(&in, LINES_MAX);
    buf_init(&want, LINES_MAX);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(buf_append_str(&in, "{\"a\":[{\"b\":"), 0);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(buf_append_str(&in, "}]}"), 0);
    assert_int_equal(buf_append_str(&want, "E"), 0);
    assert_int_equal(buf_append(&want, in.at, in.len), 0);
    assert_int_equal(buf_append_str(&want, "\nE{}\n"), 0);
    assert_int_equal(buf_append_str(&in, "{}"), 0);
    check_cut(in.at, in.len, 0, &want);
    check_cut(in.at, in.len, UINT64_MAX, &want);
    buf_free(&in);
    buf_free(&want);
}

/* --- Broken events ---------------------------------------------------------------------------- */

static void test_a_brace_that_cannot_stand_there_begins_an_event(void **state) {
    (void)state;
    CHECK("{\"a\":1{\"b\":2}", "T{\"a\":1\nE{\"b\":2}\n");
    CHECK("{\"a\":\"x\" \n {\"b\":2}", "T{\"a\":\"x\" \nE{\"b\":2}\n");
    CHECK("{{}", "T{\nE{}\n");
    CHECK("{\"a\":{\"b\":1}{\"c\":2}", "T{\"a\":{\"b\":1}\nE{\"c\":2}\n");
    CHECK("{ not json\n{\"a\":1}\n", "T{ not json\nE{\"a\":1}\n");
    CHECK("{\"a\": \n {},\"b\":[ {} , {} ]}", "E{\"a\": {},\"b\":[ {} , {} ]}\n");
}

static void test_an_event_cut_inside_a_string(void **state) {
    (void)state;
    CHECK("{\"a\":\"x{\"b\":\"y\"}{\"c\":\"z\"}", "T{\"a\":\"x\nE{\"b\":\"y\"}\nE{\"c\":\"z\"}\n");
    CHECK("{\"a\":\"x\\{\"b\":1}", "T{\"a\":\"x\\\nE{\"b\":1}\n");
    CHECK("{\"a{ \"b\":1}", "T{\"a\nE{ \"b\":1}\n");
    CHECK("{\"a\":\"x{\n  \"b\":1\n}", "T{\"a\":\"x\nE{\"b\":1}\n");
    CHECK("{\"a\":\"x{\"\":1}", "T{\"a\":\"x\nE{\"\":1}\n");
    CHECK("{\"a\":\"x{\" }", "E{\"a\":\"x{\" }\n");
    CHECK("{\"a\":\"x{\"", "!{\"a\":\"x{\"");
}

static void test_a_line_feed_inside_a_string(void **state) {
    (void)state;
    CHECK("{\"a\":\"x\n{\"b\":1}\n", "T{\"a\":\"x\nE{\"b\":1}\n");
    CHECK("{\"a\":\"x\r\n{\"b\":1}\n", "T{\"a\":\"x\nE{\"b\":1}\n");
    CHECK("{\"a\":\"x\r\r\ny\n", "T{\"a\":\"x\r\nTy\n");
    CHECK("{\"a\":\"x\\\ny\"}", "T{\"a\":\"x\\\nTy\"}\n");
}

static void test_the_input_ends_inside_an_event(void **state) {
    (void)state;
    CHECK("{", "!{");
    CHECK("{}{\"a\":[1,{", "E{}\n!{\"a\":[1,{");
    CHECK("{\"a\":\"x\r", "!{\"a\":\"x\r");
    CHECK("{\"a\":1\r\n", "!{\"a\":1");
    CHECK("{\"a\":\"x\\", "!{\"a\":\"x\\");
}

/* --- Text ------------------------------------------------------------------------------------- */

static void test_text_passes_line_by_line(void **state) {
    (void)state;
    CHECK("one\ntwo {\"a\":1} \r\n\r\n\n three\rfour\r\r\nlast",
          "Tone\nTtwo {\"a\":1} \nTthree\rfour\r\nTlast\n");
    CHECK("[\n{\"a\":1},\n{\"b\":2}\n]\n", "T[\nE{\"a\":1}\nE{\"b\":2}\nT]\n");
    CHECK(",{}\n", "T,{}\n");
    CHECK("x\r", "Tx\r\n");
}

static void test_text_behind_an_event_ends_where_one_begins(void **state) {
    (void)state;
    CHECK("{}junk {\"a\":1}{}", "E{}\nTjunk \nE{\"a\":1}\nE{}\n");
    CHECK("{}]{}x{ \r\n }", "E{}\nT]\nE{}\nTx\nE{ }\n");
    CHECK("{},,{}", "E{}\nT,\nE{}\n");
    CHECK("{}x{y}{\n{\"a\":1}", "E{}\nTx{y}{\nE{\"a\":1}\n");
    CHECK("{}\nx{}\n", "E{}\nTx{}\n");
    CHECK("{} x {", "E{}\nTx {\n");
}

#define BLANKS_8 " \t \r\n\t  "
#define BLANKS_32 BLANKS_8 BLANKS_8 BLANKS_8 BLANKS_8

static void test_the_look_behind_a_brace_is_bounded(void **state) {
    (void)state;
    assert_int_equal(sizeof BLANKS_32 - 1, SPLIT_BLANKS_MAX);
    CHECK("{}x{" BLANKS_32 "\"a\":1}", "E{}\nTx\nE{ \t \"a\":1}\n");
    CHECK("{}x{ " BLANKS_32 "}", "E{}\nTx{  \t \nT}\n");
    CHECK("{\"a{" BLANKS_32 "\"b\":1}", "T{\"a\nE{ \t \"b\":1}\n");
    CHECK("{\"a{ " BLANKS_32 "\"b\":1}\n", "T{\"a{  \t \nT\"b\":1}\n");
}

/* --- The sink --------------------------------------------------------------------------------- */

struct counting_sink {
    const uint8_t *first;
    int writes;
    int ends;
    int fail_at; /* the call that fails, counted over both */
};

static int counting_answer(const struct counting_sink *sink) {
    return sink->writes + sink->ends == sink->fail_at ? -ENOSPC : 0;
}

static int counting_write(void *ctx, const uint8_t *at, size_t len) {
    struct counting_sink *sink = ctx;
    assert_true(len > 0);
    sink->first = sink->first ? sink->first : at;
    sink->writes++;
    return counting_answer(sink);
}

static int counting_end(void *ctx, bool object) {
    struct counting_sink *sink = ctx;
    (void)object;
    sink->ends++;
    return counting_answer(sink);
}

static void init_counting(struct splitter *splitter, struct counting_sink *counts) {
    struct line_sink sink = {counting_write, counting_end, counts};
    splitter_init(splitter, &sink);
}

static void test_an_event_is_written_out_of_the_input(void **state) {
    (void)state;
    enum { LEN = 100000 };
    uint8_t *in = malloc(LEN);
    assert_non_null(in);
    memset(in, 'x', LEN);
    memcpy(in, "{\"a\":\"", 6);
    memcpy(in + LEN - 3, "\"}\n", 3);
    struct counting_sink counts = {0};
    struct splitter splitter;
    init_counting(&splitter, &counts);
    assert_int_equal(splitter_feed(&splitter, in, LEN), 0);
    assert_ptr_equal(counts.first, in);
    assert_int_equal(counts.writes, 1);
    assert_int_equal(counts.ends, 1);
    free(in);
}

static void test_the_sinks_error_is_returned(void **state) {
    (void)state;
    static const char in[] = "{\n}{\"a{\"b\":1}x{}{1{}y\nz";
    struct counting_sink all = {.fail_at = -1};
    struct splitter splitter;
    init_counting(&splitter, &all);
    assert_int_equal(splitter_feed(&splitter, (const uint8_t *)in, sizeof in - 1), 0);
    assert_int_equal(splitter_finish(&splitter), 0);
    for (int fail_at = 1; fail_at <= all.writes + all.ends; fail_at++) {
        struct counting_sink counts = {.fail_at = fail_at};
        init_counting(&splitter, &counts);
        int err = splitter_feed(&splitter, (const uint8_t *)in, sizeof in - 1);
        if (!err)
            err = splitter_finish(&splitter);
        assert_int_equal(err, -ENOSPC);
        assert_int_equal(counts.writes + counts.ends, fail_at);
    }
}

/* --- Against the model ------------------------------------------------------------------------ */

static void check_against_model(const uint8_t *in, size_t len, uint64_t cuts) {
    struct buf noted;
    buf_init(&noted, LINES_MAX);
    assert_int_equal(model_split(in, len, &noted), 0);
    check_cut(in, len, cuts, &noted);
    buf_free(&noted);
}

/* Every input of a few of the bytes that matter. */
static void test_all_short_inputs(void **state) {
    (void)state;
    static const char bytes[] = "{}\"\\\n\r :a";
    enum { BYTES = sizeof bytes - 1, LEN = 5 };
    unsigned inputs = 1;
    for (int i = 0; i < LEN; i++)
        inputs *= BYTES;
    for (unsigned number = 0; number < inputs; number++) {
        uint8_t in[LEN + 1] = "{";
        unsigned rest = number;
        for (int i = 1; i <= LEN; i++, rest /= BYTES)
            in[i] = (uint8_t)bytes[rest % BYTES];
        check_against_model(in, sizeof in, 0);
        check_against_model(in + 1, LEN, UINT64_MAX);
    }
}

static const char *const fragments[] = {
    "{",      "}",         "\"",   "\\",  "\n",        "\r",   "\r\n",          " ",
    "\t",     ":",         ",",    "[",   "]",         "x",    "text",          "{\"",
    "{\"a\"", "\"a\":",    "{ \"", "{}",  "\\\"",      "\\\\", "\xef\xbb\xbf",  "\xef\xbb",
    "\x1e",   "{\n \"a\"", "1",    "}\n", "{\"a\":1}", "\"}",  "{\"a\":\"b\"}", "\xff",
};

/* Appends a fragment, now and then many times, so that runs cross blocks and bounds. */
static void append_fragment(struct buf *in, uint64_t *random) {
    enum { COUNT = sizeof fragments / sizeof *fragments };
    uint32_t which = next_random(random) % (COUNT + 1);
    uint32_t times = next_random(random) % 16 ? 1 : 1 + next_random(random) % 70;
    while (times--) {
        int err = which < COUNT ? buf_append_str(in, fragments[which]) : buf_append(in, "", 1);
        assert_int_equal(err, 0);
    }
}

static void test_random_inputs_in_random_chunks(void **state) {
    (void)state;
    uint64_t random = 7;
    struct buf in;
    buf_init(&in, LINES_MAX);
    for (int round = 0; round < 20000; round++) {
        buf_reset(&in);
        for (uint32_t left = 1 + next_random(&random) % 40; left; left--)
            append_fragment(&in, &random);
        uint64_t cuts = (uint64_t)next_random(&random) << 32 | next_random(&random);
        check_against_model(in.at, in.len, 0);
        check_against_model(in.at, in.len, cuts & cuts << (1 + round % 5));
    }
    buf_free(&in);
}

/* Short ones at every set of cuts. */
static void test_random_inputs_in_all_chunks(void **state) {
    (void)state;
    uint64_t random = 8;
    struct buf in;
    buf_init(&in, LINES_MAX);
    for (int round = 0; round < 100; round++) {
        buf_reset(&in);
        while (in.len < 8)
            append_fragment(&in, &random);
        size_t len = in.len < 10 ? in.len : 10;
        for (uint64_t cuts = 0; cuts < UINT64_C(1) << (len - 1); cuts++)
            check_against_model(in.at, len, cuts);
    }
    buf_free(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_however_they_are_joined),
        cmocka_unit_test(test_no_nul_between_events),
        cmocka_unit_test(test_byte_order_marks),
        cmocka_unit_test(test_strings_hide_braces),
        cmocka_unit_test(test_line_breaks_inside_events),
        cmocka_unit_test(test_depth_is_only_a_count),
        cmocka_unit_test(test_a_brace_that_cannot_stand_there_begins_an_event),
        cmocka_unit_test(test_an_event_cut_inside_a_string),
        cmocka_unit_test(test_a_line_feed_inside_a_string),
        cmocka_unit_test(test_the_input_ends_inside_an_event),
        cmocka_unit_test(test_text_passes_line_by_line),
        cmocka_unit_test(test_text_behind_an_event_ends_where_one_begins),
        cmocka_unit_test(test_the_look_behind_a_brace_is_bounded),
        cmocka_unit_test(test_an_event_is_written_out_of_the_input),
        cmocka_unit_test(test_the_sinks_error_is_returned),
        cmocka_unit_test(test_all_short_inputs),
        cmocka_unit_test(test_random_inputs_in_random_chunks),
        cmocka_unit_test(test_random_inputs_in_all_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
