/* CRC-32C: the examples of RFC 3720, and both ways to compute it beside each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <maciefs/crc32c.h>
#include <string.h>

/* More than any step of bytes that are summed at once, and no multiple of it. */
#define LEN 50021

static void fill(uint8_t *at, size_t len) {
    uint32_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        at[i] = (uint8_t)(state >> 24);
    }
}

static void the_examples_of_the_rfc(void **state) {
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = 31 - i;
    }
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, sizeof ones), 0x62a8ab43);
    assert_int_equal(crc32c(0, up, sizeof up), 0x46dd794e);
    assert_int_equal(crc32c(0, down, sizeof down), 0x113fdb5c);
    assert_int_equal(crc32c(0, (const uint8_t *)"123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, up, 0), 0);
}

static void both_ways_agree_at_every_length(void **state) {
    (void)state;
    static uint8_t bytes[LEN];
    fill(bytes, LEN);
    for (size_t len = 0; len < LEN; len += 1 + len / 16)
        assert_int_equal(crc32c(7, bytes + 1, len), crc32c_by_tables(7, bytes + 1, len));
}

static void parts_give_what_the_whole_gives(void **state) {
    (void)state;
    static uint8_t bytes[LEN];
    fill(bytes, LEN);
    uint32_t whole = crc32c_by_tables(0, bytes, LEN);
    for (size_t first = 0; first < LEN; first += 997)
        assert_int_equal(crc32c(crc32c(0, bytes, first), bytes + first, LEN - first), whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(both_ways_agree_at_every_length),
        cmocka_unit_test(parts_give_what_the_whole_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
