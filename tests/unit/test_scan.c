/* Blocks in each way they are scanned, against taking them byte by byte. */
#include "../../fs/decode/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 20000, BLOCKS = 6 };

static uint32_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* --- Marks ------------------------------------------------------------------------------------ */

/* Mostly bytes that matter, their neighbours, and bytes that differ from them by the top bit. */
static void fill(uint8_t block[SCAN_BLOCK], uint64_t *random) {
    static const uint8_t bytes[] = "\"\\{}\r\n\"\\\\\\{:{,{[{}!#[]|z~x\x0b\x0c\x0e\xa2\xdc\xfb\xfd";
    uint32_t dense = next_random(random) % 8;
    for (unsigned i = 0; i < SCAN_BLOCK; i++) {
        uint32_t value = next_random(random);
        block[i] = value % 8 < dense ? bytes[(value >> 3) % sizeof bytes] : (uint8_t)(value >> 8);
    }
}

static bool is_break(uint8_t byte) {
    return byte == '\r' || byte == '\n';
}

/* Takes one byte into the state. */
static void take(struct scan_state *state, uint8_t byte) {
    bool quote = byte == '"' && !state->escaped;
    state->escaped = byte == '\\' && !state->escaped;
    state->in_string = state->in_string != quote;
}

/* Compares the marks with the state taken through the block, which is left in `*state`. */
static void check_marks(const struct scan_marks *marks, const uint8_t *block, size_t len,
                        struct scan_state *state) {
    for (size_t i = 0; i < len; i++) {
        struct scan_state moved = {.depth = 1};
        scan_move(&moved, marks, i);
        if (block[i] != '"') {
            assert_int_equal(moved.in_string, state->in_string);
            assert_true(block[i] == '\\' || moved.escaped == state->escaped);
        }
        take(state, block[i]);
        assert_int_equal(marks->strings >> i & 1, state->in_string);
        assert_int_equal(marks->opens >> i & 1, block[i] == '{' && !state->in_string);
        assert_int_equal(marks->closes >> i & 1, block[i] == '}' && !state->in_string);
        assert_true(!is_break(block[i]) || (marks->odd >> i & 1));
    }
    struct scan_state behind = {.depth = 1};
    scan_move(&behind, marks, len);
    assert_int_equal(behind.in_string, state->in_string);
    assert_int_equal(behind.escaped, state->escaped);
}

/* With a depth of 0, no block is plain. */
static void check_block(const uint8_t *block, size_t len, struct scan_state *state) {
    struct scan_marks marks;
    assert_int_equal(scan(block, len, state, &marks), 0);
    check_marks(&marks, block, len, state);
}

static void test_marks_over_blocks(void **state) {
    (void)state;
    uint64_t random = 3;
    uint8_t block[SCAN_BLOCK];
    struct scan_state here = {.depth = 0};
    for (int round = 0; round < ROUNDS; round++) {
        fill(block, &random);
        check_block(block, sizeof block, &here);
        check_block(block, 1 + round % SCAN_BLOCK, &here);
    }
}

static void test_long_runs_of_backslashes(void **state) {
    (void)state;
    uint8_t block[SCAN_BLOCK];
    for (unsigned start = 0; start < SCAN_BLOCK; start++) {
        for (unsigned end = start; end <= SCAN_BLOCK; end++) {
            memset(block, '"', sizeof block);
            memset(block + start, '\\', end - start);
            struct scan_state outside = {.depth = 0};
            struct scan_state escaped = {.in_string = true, .escaped = true};
            check_block(block, sizeof block, &outside);
            check_block(block, sizeof block, &escaped);
        }
    }
}

/* --- Plain blocks ----------------------------------------------------------------------------- */

/* Whether the event can neither end nor break off in the block; the state is brought behind it. */
static bool is_plain(const uint8_t block[SCAN_BLOCK], struct scan_state *state) {
    uint64_t opens = 0, closes = 0;
    for (unsigned i = 0; i < SCAN_BLOCK; i++) {
        uint8_t before = i > 0 ? block[i - 1] : 0;
        take(state, block[i]);
        bool lead = before == ':' || before == ',' || before == '[';
        bool quoted = i + 1 < SCAN_BLOCK && block[i + 1] == '\\';
        if (is_break(block[i]) || (block[i] == '{' && !(state->in_string ? quoted : lead)))
            return false;
        opens += block[i] == '{' && !state->in_string;
        closes += block[i] == '}' && !state->in_string;
    }
    if (closes >= state->depth)
        return false;
    state->depth += opens - closes;
    return true;
}

static size_t pass_bytes(const uint8_t *at, size_t len, struct scan_state *state) {
    size_t pos = 0;
    struct scan_state next = *state;
    while (len - pos >= SCAN_BLOCK && is_plain(at + pos, &next)) {
        pos += SCAN_BLOCK;
        *state = next;
    }
    return pos;
}

static void fill_plain(uint8_t *at, size_t len, uint64_t *random) {
    static const char *const pieces[] = {"\"",  "\\", "\\\\", ":{",   "}",  ",{", "[{", "x",
                                         "{\\", "]",  "}",    "text", "\"", ":",  "z",  "\xfb"};
    size_t pos = 0;
    while (pos < len) {
        uint32_t which = next_random(random) % 2000;
        const char *piece = which == 0    ? "\n"
                            : which == 1  ? "\r"
                            : which < 400 ? pieces[which % 16]
                                          : "text";
        size_t take_len = strlen(piece) < len - pos ? strlen(piece) : len - pos;
        memcpy(at + pos, piece, take_len);
        pos += take_len;
    }
}

static void check_way(const struct scan_way *way) {
    uint64_t random = 4;
    uint8_t blocks[BLOCKS * SCAN_BLOCK + 1];
    uint64_t passed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        fill_plain(blocks, sizeof blocks, &random);
        size_t len = next_random(&random) % (sizeof blocks + 1);
        struct scan_state got = {.depth = next_random(&random) % 40};
        got.in_string = next_random(&random) % 2;
        got.escaped = next_random(&random) % 2;
        struct scan_state want = got;
        struct scan_marks marks;
        size_t pos = way->scan(blocks, len, &got, &marks);
        assert_int_equal(pos, pass_bytes(blocks, len, &want));
        assert_int_equal(got.depth, want.depth);
        assert_int_equal(got.in_string, want.in_string);
        assert_int_equal(got.escaped, want.escaped);
        if (len - pos >= SCAN_BLOCK)
            check_marks(&marks, blocks + pos, SCAN_BLOCK, &got);
        passed += pos;
    }
    assert_true(passed > ROUNDS * (uint64_t)SCAN_BLOCK / 2);
}

static void test_every_way_finds_the_same(void **state) {
    (void)state;
    const struct scan_way *way = scan_ways;
    for (; way->name; way++)
        if (way->usable())
            check_way(way);
    assert_string_equal(way[-1].name, "portable");
}

static void test_less_than_a_block_is_never_passed_over(void **state) {
    (void)state;
    static const uint8_t rest[] = {'x', '"', '\\'};
    struct scan_state here = {.depth = 2};
    struct scan_marks marks;
    assert_int_equal(scan(rest, sizeof rest, &here, &marks), 0);
    assert_int_equal(here.depth, 2);
    scan_move(&here, &marks, sizeof rest);
    assert_true(here.in_string);
    assert_true(here.escaped);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks_over_blocks),
        cmocka_unit_test(test_long_runs_of_backslashes),
        cmocka_unit_test(test_every_way_finds_the_same),
        cmocka_unit_test(test_less_than_a_block_is_never_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
