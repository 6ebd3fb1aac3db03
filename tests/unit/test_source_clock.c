/* The source's clock: a few answers in whole seconds tell it closely. */
#include "../../fs/hours/source_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND INT64_C(1795500000)

/* Asks at `at`, of a source that is `ahead` of us, and takes 4 ms. */
static void ask(struct source_clock *clock, int64_t at, int64_t ahead) {
    source_clock_note(clock, (at + 2 + ahead) / 1000, at, at + 4);
}

static void one_answer_leaves_a_second_of_doubt(void **state) {
    (void)state;
    struct source_clock clock = {0};
    ask(&clock, 5000, SECOND * 1000 + 300);
    int64_t due = source_clock_reaches(&clock, SECOND + 7);
    /* It truly comes at 6700; the answer allows for 6000 to 7004. */
    assert_in_range(due, 6400, 6600);
}

static void asking_when_it_should_be_over_finds_it_soon(void **state) {
    (void)state;
    for (int64_t ahead = SECOND * 1000; ahead < SECOND * 1000 + 1000; ahead += 7) {
        struct source_clock clock = {0};
        int64_t now = 5000, truth = (SECOND + 6) * 1000 - ahead;
        unsigned asked = 0;
        while (now + 2 < truth) {
            ask(&clock, now, ahead);
            int64_t due = source_clock_reaches(&clock, SECOND + 6);
            now = due > now + 20 ? due : now + 20;
            assert_true(++asked < 12);
        }
        assert_true(now <= truth + 550);
    }
}

static void a_clock_that_is_known_is_met_closely(void **state) {
    (void)state;
    struct source_clock clock = {0};
    int64_t ahead = SECOND * 1000 + 345;
    for (int64_t at = 5000; at < 40000; at += 930)
        ask(&clock, at, ahead);
    int64_t due = source_clock_reaches(&clock, SECOND + 60), truth = (SECOND + 60) * 1000 - ahead;
    assert_true(due >= truth);
    assert_true(due <= truth + 100);
}

static void a_clock_that_was_set_is_learned_anew(void **state) {
    (void)state;
    struct source_clock clock = {0};
    for (int64_t at = 5000; at < 40000; at += 930)
        ask(&clock, at, SECOND * 1000);
    ask(&clock, 41000, SECOND * 1000 - 3600000);
    int64_t due = source_clock_reaches(&clock, SECOND - 3600 + 50);
    assert_in_range(due, 49000, 51000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer_leaves_a_second_of_doubt),
        cmocka_unit_test(asking_when_it_should_be_over_finds_it_soon),
        cmocka_unit_test(a_clock_that_is_known_is_met_closely),
        cmocka_unit_test(a_clock_that_was_set_is_learned_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
