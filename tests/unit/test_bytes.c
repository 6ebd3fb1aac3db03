/* Bounded buffers, and the sentences of faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <maciefs/bytes.h>
#include <maciefs/fault.h>
#include <stdio.h>
#include <string.h>

static void empty_buffer_owns_nothing(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_null(buf.at);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf_append(&buf, NULL, 0), 0);
    assert_null(buf.at);
    buf_free(&buf);
    buf_free(NULL);
    buf_free_secret(NULL);
    buf_free_secret(&buf);
}

static void appends_add_up(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 100000);
    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(buf_append(&buf, "\0a", 2), 0);
        assert_int_equal(buf_printf(&buf, "%04u", i), 0);
        assert_int_equal(buf_append_str(&buf, "|"), 0);
    }
    assert_int_equal(buf.len, 5000 * 7);
    for (unsigned i = 0; i < 5000; i++) {
        char want[8];
        snprintf(want + 2, sizeof want - 2, "%04u|", i);
        memcpy(want, "\0a", 2);
        assert_memory_equal(buf.at + (size_t)i * 7, want, 7);
    }
    buf_free(&buf);
}

static void append_past_the_limit_changes_nothing(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 8);
    assert_int_equal(buf_append_str(&buf, "1234567"), 0);
    assert_int_equal(buf_append_str(&buf, "89"), -EMSGSIZE);
    assert_int_equal(buf_printf(&buf, "%d", 89), -EMSGSIZE);
    assert_int_equal(buf_append(&buf, "x", SIZE_MAX), -EMSGSIZE);
    assert_int_equal(buf.len, 7);
    assert_int_equal(buf_append_str(&buf, "8"), 0);
    assert_int_equal(buf_append_str(&buf, "9"), -EMSGSIZE);
    assert_string_equal(buf_str(&buf), "12345678");
    buf_free(&buf);
}

static void limit_of_zero_takes_nothing(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    assert_int_equal(buf_append(&buf, "", 1), -EMSGSIZE);
    assert_int_equal(buf_append_str(&buf, ""), 0);
    assert_string_equal(buf_str(&buf), "");
    assert_int_equal(buf.len, 0);
    buf_free(&buf);
}

/* The NUL is there at every length, also where the memory is full to its last byte. */
static void string_ends_at_every_length(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 2000);
    for (size_t len = 0; len < 2000; len++) {
        assert_int_equal(strlen(buf_str(&buf)), len);
        assert_int_equal(buf.len, len);
        assert_int_equal(buf_append(&buf, "x", 1), 0);
    }
    assert_int_equal(strlen(buf_str(&buf)), 2000);
    buf_free(&buf);
}

static void sink_appends(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 4);
    bytes_sink sink = buf_sink;
    assert_int_equal(sink(&buf, (const uint8_t *)"abc", 3), 0);
    assert_int_equal(sink(&buf, (const uint8_t *)"de", 2), -EMSGSIZE);
    assert_string_equal(buf_str(&buf), "abc");
    buf_free(&buf);
}

static void reset_keeps_memory_and_free_keeps_the_limit(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf, 4);
    assert_int_equal(buf_append_str(&buf, "abcd"), 0);
    uint8_t *at = buf.at;
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_ptr_equal(buf.at, at);
    assert_int_equal(buf_append_str(&buf, "efgh"), 0);
    buf_free_secret(&buf);
    assert_null(buf.at);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf_append_str(&buf, "12345"), -EMSGSIZE);
    buf_free(&buf);
}

static void a_secret_is_kept_whole_as_it_grows(void **state) {
    (void)state;
    struct buf buf, other;
    buf_init_secret(&buf, 100000);
    buf_init(&other, 100000);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(buf_printf(&buf, "%04u", i), 0);
        assert_int_equal(buf_printf(&other, "%04u", i), 0);
        assert_non_null(buf_str(&buf));
    }
    assert_string_equal(buf_str(&buf), buf_str(&other));
    buf_free(&other);
    buf_free(&buf);
    assert_null(buf.at);
    assert_true(buf.secret);
    buf_free_secret(&buf);
}

static void fault_holds_a_sentence(void **state) {
    (void)state;
    struct fault fault;
    assert_int_equal(fault_set(&fault, -ENOENT, "no bucket %s (%d)", "b", 7), -ENOENT);
    assert_string_equal(fault.text, "no bucket b (7)");
    assert_int_equal(fault_set(NULL, -EACCES, "%s", "nobody reads this"), -EACCES);
}

static void fault_is_cut_to_fit(void **state) {
    (void)state;
    char longest[3 * FAULT_TEXT_MAX];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct fault fault;
    assert_int_equal(fault_set(&fault, -EINVAL, "%s", longest), -EINVAL);
    assert_int_equal(strlen(fault.text), FAULT_TEXT_MAX - 1);
}

static void fault_cannot_steer_a_terminal(void **state) {
    (void)state;
    struct fault fault;
    fault_set(&fault, -EINVAL, "%s", "a\x1b[31m\r\n\x7f\xc3\xa9");
    assert_string_equal(fault.text, "a?[31m???\xc3\xa9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buffer_owns_nothing),
        cmocka_unit_test(appends_add_up),
        cmocka_unit_test(append_past_the_limit_changes_nothing),
        cmocka_unit_test(limit_of_zero_takes_nothing),
        cmocka_unit_test(string_ends_at_every_length),
        cmocka_unit_test(sink_appends),
        cmocka_unit_test(reset_keeps_memory_and_free_keeps_the_limit),
        cmocka_unit_test(a_secret_is_kept_whole_as_it_grows),
        cmocka_unit_test(fault_holds_a_sentence),
        cmocka_unit_test(fault_is_cut_to_fit),
        cmocka_unit_test(fault_cannot_steer_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
