/* The masks and marks of a block, in each way they are built, against byte-at-a-time ones. */
#include "../../fs/decode/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROUNDS = 100000 };

static uint32_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* Mostly bytes that matter, their neighbours, and bytes that differ from them by the top bit. */
static void fill(uint8_t block[SCAN_BLOCK], uint64_t *random) {
    static const uint8_t bytes[] =
        "\"\\{}\r\n\"\\\\\\{}!#[]|z~x\x0b\x0c\x0e\xa2\xdc\xfb\xfd\x8a\x8d";
    uint32_t dense = next_random(random) % 8;
    for (unsigned i = 0; i < SCAN_BLOCK; i++) {
        uint32_t value = next_random(random);
        block[i] = value % 8 < dense ? bytes[(value >> 3) % sizeof bytes] : (uint8_t)(value >> 8);
    }
}

static uint64_t bits_of(const uint8_t block[SCAN_BLOCK], uint8_t byte) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < SCAN_BLOCK; i++)
        bits |= (uint64_t)(block[i] == byte) << i;
    return bits;
}

static void assert_masks(const struct scan_masks *masks, const uint8_t block[SCAN_BLOCK]) {
    assert_true(masks->quotes == bits_of(block, '"'));
    assert_true(masks->backslashes == bits_of(block, '\\'));
    assert_true(masks->opens == bits_of(block, '{'));
    assert_true(masks->closes == bits_of(block, '}'));
    assert_true(masks->breaks == (bits_of(block, '\r') | bits_of(block, '\n')));
}

static void test_portable_masks(void **state) {
    (void)state;
    uint64_t random = 1;
    uint8_t block[SCAN_BLOCK];
    for (int round = 0; round < ROUNDS; round++) {
        fill(block, &random);
        struct scan_masks masks = scan_masks_portable(block);
        assert_masks(&masks, block);
    }
}

static void test_masks_of_this_machine(void **state) {
    (void)state;
    uint64_t random = 2;
    uint8_t block[SCAN_BLOCK];
    for (int round = 0; round < ROUNDS; round++) {
        fill(block, &random);
        struct scan_masks masks = scan_masks(block);
        assert_masks(&masks, block);
    }
}

/* Compares a block with the carry taken through it byte by byte, which is left in `*carry`. */
static void check_block(const uint8_t block[SCAN_BLOCK], struct scan_carry *carry) {
    struct scan_marks marks = scan_marks(block, *carry);
    for (unsigned i = 0; i < SCAN_BLOCK; i++) {
        bool quote = block[i] == '"' && !carry->escaped;
        if (block[i] != '"' && block[i] != '\\') {
            struct scan_carry at = scan_carry_at(&marks, i);
            assert_int_equal(at.in_string, carry->in_string);
            assert_int_equal(at.escaped, carry->escaped);
        }
        carry->escaped = block[i] == '\\' && !carry->escaped;
        carry->in_string = carry->in_string != quote;
        assert_int_equal(marks.strings >> i & 1, carry->in_string);
        bool brace = block[i] == '{' || block[i] == '}';
        if ((brace && !carry->in_string) || block[i] == '\r' || block[i] == '\n')
            assert_true(marks.shape >> i & 1);
    }
    struct scan_carry behind = scan_carry_at(&marks, SCAN_BLOCK);
    assert_int_equal(behind.in_string, carry->in_string);
    assert_int_equal(behind.escaped, carry->escaped);
}

static void test_marks_over_blocks(void **state) {
    (void)state;
    uint64_t random = 3;
    uint8_t block[SCAN_BLOCK];
    struct scan_carry carry = {0};
    for (int round = 0; round < ROUNDS; round++) {
        fill(block, &random);
        check_block(block, &carry);
    }
}

static void test_long_runs_of_backslashes(void **state) {
    (void)state;
    uint8_t block[SCAN_BLOCK];
    for (unsigned start = 0; start < SCAN_BLOCK; start++) {
        for (unsigned end = start; end <= SCAN_BLOCK; end++) {
            memset(block, '"', sizeof block);
            memset(block + start, '\\', end - start);
            struct scan_carry carries[] = {{0}, {.in_string = true, .escaped = true}};
            check_block(block, &carries[0]);
            check_block(block, &carries[1]);
        }
    }
}

static void test_the_rest_is_not_read_beyond(void **state) {
    (void)state;
    static const uint8_t rest[] = {'{', '"', '\\'};
    struct scan_marks marks = scan_marks_of_rest(rest, sizeof rest, (struct scan_carry){0});
    assert_true(marks.shape == 1);
    struct scan_carry behind = scan_carry_at(&marks, sizeof rest);
    assert_true(behind.in_string);
    assert_true(behind.escaped);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_portable_masks),
        cmocka_unit_test(test_masks_of_this_machine),
        cmocka_unit_test(test_marks_over_blocks),
        cmocka_unit_test(test_long_runs_of_backslashes),
        cmocka_unit_test(test_the_rest_is_not_read_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
