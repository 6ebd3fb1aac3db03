#include "../../fs/s3/retry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static int setup(void **state) {
    static struct retry retry;
    retry_init(&retry);
    *state = &retry;
    return 0;
}

static int teardown(void **state) {
    retry_destroy(*state);
    return 0;
}

/* How often a request is sent whose tries all end so. */
static unsigned tries_of(struct retry *retry, enum try_end end) {
    for (unsigned tries = 1;; tries++) {
        assert_int_equal(retry_admit(retry), 0);
        if (!retry_go_on(retry, end, tries))
            return tries;
    }
}

static void bounds_the_tries(void **state) {
    assert_int_equal(tries_of(*state, TRY_DONE), 1);
    assert_int_equal(tries_of(*state, TRY_NONE), 1);
    assert_int_equal(tries_of(*state, TRY_BUSY), 5);
    assert_int_equal(tries_of(*state, TRY_SILENT), 3);
    assert_int_equal(tries_of(*state, TRY_AWAY), 3);
}

static void go_away(struct retry *retry) {
    assert_int_equal(tries_of(retry, TRY_AWAY), 3);
    assert_int_equal(retry_admit(retry), -ENETDOWN);
}

/* As if the second until the next probe were over. */
static void let_time_pass(struct retry *retry) {
    retry->probe_at_ms = 0;
}

static void refuses_while_the_server_is_away(void **state) {
    struct retry *retry = *state;
    go_away(retry);
    let_time_pass(retry);
    assert_int_equal(retry_admit(retry), 0);
    assert_int_equal(retry_admit(retry), -ENETDOWN); /* one probe at a time */
    assert_false(retry_go_on(retry, TRY_AWAY, 1));   /* and one try a probe */
    assert_int_equal(retry_admit(retry), -ENETDOWN);
}

static void an_answer_brings_the_server_back(void **state) {
    static const enum try_end answers[] = {TRY_DONE, TRY_BUSY, TRY_SILENT};
    struct retry *retry = *state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        go_away(retry);
        let_time_pass(retry);
        assert_int_equal(retry_admit(retry), 0);
        retry_go_on(retry, answers[i], 1);
        assert_int_equal(retry_admit(retry), 0);
        assert_int_equal(retry_admit(retry), 0);
    }
}

static void a_probe_that_was_not_sent_leaves_the_next_one(void **state) {
    struct retry *retry = *state;
    go_away(retry);
    let_time_pass(retry);
    assert_int_equal(retry_admit(retry), 0);
    assert_false(retry_go_on(retry, TRY_NONE, 1));
    assert_int_equal(retry_admit(retry), 0);
    assert_int_equal(retry_admit(retry), -ENETDOWN);
}

static void others_give_up_as_well(void **state) {
    struct retry *retry = *state;
    assert_int_equal(retry_admit(retry), 0);
    go_away(retry);
    assert_false(retry_go_on(retry, TRY_AWAY, 1));
}

static void waits_at_least_as_long_as_asked(void **state) {
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(retry_wait(*state, 1, 1), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(ms >= 999);
}

static void *wait_long(void *ctx) {
    return (void *)(intptr_t)retry_wait(ctx, 5, UINT32_MAX);
}

static void stop_ends_waits(void **state) {
    struct retry *retry = *state;
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, wait_long, retry), 0);
    retry_stop(retry);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, -ECANCELED);
    assert_int_equal(retry_wait(retry, 1, 20), -ECANCELED);
    assert_int_equal(retry_admit(retry), -ECANCELED);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bounds_the_tries),
        TEST(refuses_while_the_server_is_away),
        TEST(an_answer_brings_the_server_back),
        TEST(a_probe_that_was_not_sent_leaves_the_next_one),
        TEST(others_give_up_as_well),
        TEST(waits_at_least_as_long_as_asked),
        TEST(stop_ends_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
