/* The cache of credentials: over a provider that counts how often it is asked, and a set clock. */
#include <maciefs/server_clock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <maciefs/credentials.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic int64_t clock_now;

static int64_t now(void) {
    return atomic_load(&clock_now);
}

/* Gives keys that are numbered by how often it was asked, or an error. */
struct counting_provider {
    struct credentials_provider base;
    atomic_int asked;
    atomic_int err;
    atomic_int lifetime_s; /* 0: for ever */
    atomic_bool held;      /* it answers when this is over */
};

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct counting_provider *provider = (struct counting_provider *)base;
    int asked = atomic_fetch_add(&provider->asked, 1) + 1;
    while (atomic_load(&provider->held))
        usleep(1000);
    if (atomic_load(&provider->err))
        return fault_set(fault, atomic_load(&provider->err), "asked %d times", asked);
    int lifetime = atomic_load(&provider->lifetime_s);
    *ret = (struct credentials){.secret_access_key = strdup("secret"),
                                .session_token = strdup("token"),
                                .expires = lifetime ? now() + lifetime : 0};
    return asprintf(&ret->access_key_id, "key-%d", asked) < 0 ? -ENOMEM : 0;
}

static void free_provider(struct credentials_provider *base) {
    free(base);
}

struct fixture {
    struct counting_provider *provider;
    struct server_clock clock;
    struct credentials_provider *cache;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->provider = calloc(1, sizeof *fixture->provider);
    assert_non_null(fixture->provider);
    fixture->provider->base =
        (struct credentials_provider){.name = "a count", .get = get, .free = free_provider};
    fixture->provider->lifetime_s = 3600;
    fixture->clock.now = now;
    fixture->cache = credentials_cache_new(&fixture->provider->base, &fixture->clock);
    assert_non_null(fixture->cache);
    clock_now = 1000000;
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    credentials_provider_free(fixture->cache);
    free(fixture);
    return 0;
}

static void expect_key(struct fixture *fixture, const char *key) {
    struct credentials found;
    struct fault fault = {.text = ""};
    assert_int_equal(credentials_get(fixture->cache, &found, &fault), 0);
    assert_string_equal(found.access_key_id, key);
    assert_string_equal(found.session_token, "token");
    credentials_clear(&found);
}

static void expect_error(struct fixture *fixture, int err, const char *text) {
    struct credentials found;
    struct fault fault = {.text = ""};
    assert_int_equal(credentials_get(fixture->cache, &found, &fault), err);
    assert_string_equal(fault.text, text);
}

static void asks_once_and_again_five_minutes_ahead(void **state) {
    struct fixture *fixture = *state;
    assert_string_equal(fixture->cache->name, "a count");
    expect_key(fixture, "key-1");
    clock_now += 3299;
    expect_key(fixture, "key-1");
    clock_now += 1;
    expect_key(fixture, "key-2");
    expect_key(fixture, "key-2");
}

/* Credentials end by AWS's clock, which this machine's may be far from. */
static void goes_by_the_servers_clock(void **state) {
    struct fixture *fixture = *state;
    fixture->clock.ahead = -7200; /* this machine's is two hours ahead */
    clock_now += 7200;
    fixture->provider->lifetime_s = 3600 - 7200; /* by this machine's */
    expect_key(fixture, "key-1");
    clock_now += 3299;
    expect_key(fixture, "key-1");
    clock_now += 1;
    expect_key(fixture, "key-2");
    /* It is found out that they have ended already. */
    fixture->clock.ahead = 0;
    fixture->provider->lifetime_s = 3600;
    expect_key(fixture, "key-3");
}

static void goes_on_with_the_old_while_they_last(void **state) {
    struct fixture *fixture = *state;
    expect_key(fixture, "key-1");
    fixture->provider->err = -ENETDOWN;
    clock_now += 3301;
    expect_key(fixture, "key-1");
    assert_int_equal(fixture->provider->asked, 2);
    clock_now += 29;
    expect_key(fixture, "key-1");
    assert_int_equal(fixture->provider->asked, 2);
    clock_now += 1;
    expect_key(fixture, "key-1");
    assert_int_equal(fixture->provider->asked, 3);
    clock_now += 269;
    expect_error(fixture, -ENETDOWN, "asked 4 times");
    fixture->provider->err = 0;
    expect_key(fixture, "key-5");
}

static void those_that_never_expire_are_looked_at_again(void **state) {
    struct fixture *fixture = *state;
    fixture->provider->lifetime_s = 0;
    expect_key(fixture, "key-1");
    clock_now += 299;
    expect_key(fixture, "key-1");
    clock_now += 1;
    fixture->provider->err = -EACCES;
    expect_key(fixture, "key-1");
    clock_now += 30;
    fixture->provider->err = 0;
    expect_key(fixture, "key-3");
}

static void what_has_expired_is_not_given(void **state) {
    struct fixture *fixture = *state;
    fixture->provider->lifetime_s = -1;
    expect_error(fixture, -EACCES,
                 "the AWS credentials from a count have expired already: check what gives them, "
                 "and this machine's clock (timedatectl set-ntp true)");
}

/* Those that are given shortly before they end serve to their end, without a request each. */
static void a_short_rest_is_used(void **state) {
    struct fixture *fixture = *state;
    fixture->provider->lifetime_s = 60;
    expect_key(fixture, "key-1");
    clock_now += 29;
    expect_key(fixture, "key-1");
    clock_now += 1;
    expect_key(fixture, "key-2");
}

static void nothing_to_say_is_handed_on(void **state) {
    struct fixture *fixture = *state;
    fixture->provider->err = -ENOENT;
    expect_error(fixture, -ENOENT, "asked 1 times");
    clock_now += 29;
    expect_error(fixture, -ENOENT, "asked 1 times");
    clock_now += 1;
    expect_error(fixture, -ENOENT, "asked 2 times");
    fixture->provider->err = 0;
    clock_now += 30;
    expect_key(fixture, "key-3");
}

enum { CALLERS = 64 };

struct callers {
    struct fixture *fixture;
    pthread_t threads[CALLERS];
    atomic_int good, bad;
};

static void *call(void *ctx) {
    struct callers *callers = ctx;
    struct credentials found = {0};
    struct fault fault;
    bool good = credentials_get(callers->fixture->cache, &found, &fault) == 0;
    atomic_fetch_add(good ? &callers->good : &callers->bad, 1);
    credentials_clear(&found);
    return NULL;
}

static void start(struct callers *callers, struct fixture *fixture) {
    *callers = (struct callers){.fixture = fixture};
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers->threads[i], NULL, call, callers), 0);
}

static void join(struct callers *callers) {
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers->threads[i], NULL);
}

static void wait_for(atomic_int *count, int value) {
    while (atomic_load(count) < value)
        usleep(1000);
}

static void many_at_once_ask_once(void **state) {
    struct fixture *fixture = *state;
    struct callers callers;
    fixture->provider->held = true;
    start(&callers, fixture);
    wait_for(&fixture->provider->asked, 1);
    usleep(50000);
    assert_int_equal(callers.good + callers.bad, 0);
    fixture->provider->held = false;
    join(&callers);
    assert_int_equal(callers.good, CALLERS);
    assert_int_equal(fixture->provider->asked, 1);
}

/* Nobody but the one who asks waits while there is something to go on with. */
static void a_refresh_holds_nobody_up(void **state) {
    struct fixture *fixture = *state;
    struct callers callers;
    expect_key(fixture, "key-1");
    clock_now += 3400;
    fixture->provider->held = true;
    start(&callers, fixture);
    wait_for(&callers.good, CALLERS - 1);
    fixture->provider->held = false;
    join(&callers);
    assert_int_equal(callers.good, CALLERS);
    assert_int_equal(fixture->provider->asked, 2);
    expect_key(fixture, "key-2");
}

/* Who waited for an answer that is an error takes that, rather than to ask one after another. */
static void many_at_once_fail_together(void **state) {
    struct fixture *fixture = *state;
    struct callers callers;
    fixture->provider->err = -EACCES;
    fixture->provider->held = true;
    start(&callers, fixture);
    wait_for(&fixture->provider->asked, 1);
    usleep(200000);
    fixture->provider->held = false;
    join(&callers);
    assert_int_equal(callers.bad, CALLERS);
    assert_true(fixture->provider->asked < CALLERS / 2);
}

static bool renew(struct fixture *fixture, const char *key) {
    const struct credentials refused = {
        .access_key_id = (char *)key, .secret_access_key = "secret", .session_token = "token"};
    return credentials_renew(fixture->cache, &refused);
}

static void those_that_are_refused_are_asked_for_anew(void **state) {
    struct fixture *fixture = *state;
    expect_key(fixture, "key-1");
    assert_true(renew(fixture, "key-1"));
    expect_key(fixture, "key-2");
    /* Requests that were out with the first are no reason to ask again. */
    assert_true(renew(fixture, "key-1"));
    expect_key(fixture, "key-2");
    assert_int_equal(fixture->provider->asked, 2);
}

static void a_server_that_refuses_all_has_them_asked_for_seldom(void **state) {
    struct fixture *fixture = *state;
    expect_key(fixture, "key-1");
    assert_true(renew(fixture, "key-1"));
    assert_false(renew(fixture, "key-2"));
    clock_now += 29;
    assert_false(renew(fixture, "key-2"));
    expect_key(fixture, "key-2");
    clock_now += 1;
    assert_true(renew(fixture, "key-2"));
    expect_key(fixture, "key-3");
}

static void why_there_are_no_others_is_told(void **state) {
    struct fixture *fixture = *state;
    expect_key(fixture, "key-1");
    fixture->provider->err = -ENETDOWN;
    assert_true(renew(fixture, "key-1"));
    expect_error(fixture, -ENETDOWN, "asked 3 times");
    fixture->provider->err = 0;
    expect_key(fixture, "key-4");
}

static void *call_renew(void *ctx) {
    struct callers *callers = ctx;
    atomic_fetch_add(renew(callers->fixture, "key-1") ? &callers->good : &callers->bad, 1);
    return NULL;
}

static void many_that_were_refused_at_once_ask_once(void **state) {
    struct fixture *fixture = *state;
    struct callers callers = {.fixture = fixture};
    expect_key(fixture, "key-1");
    fixture->provider->held = true;
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers.threads[i], NULL, call_renew, &callers), 0);
    wait_for(&fixture->provider->asked, 2);
    fixture->provider->held = false;
    join(&callers);
    assert_int_equal(callers.good, CALLERS);
    assert_int_equal(fixture->provider->asked, 2);
}

static void without_memory_or_provider_there_is_none(void **state) {
    (void)state;
    assert_null(credentials_cache_new(NULL, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks_once_and_again_five_minutes_ahead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(goes_by_the_servers_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(goes_on_with_the_old_while_they_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_that_never_expire_are_looked_at_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_has_expired_is_not_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_rest_is_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_to_say_is_handed_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once_ask_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refresh_holds_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once_fail_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_that_are_refused_are_asked_for_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_refuses_all_has_them_asked_for_seldom, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(why_there_are_no_others_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_that_were_refused_at_once_ask_once, set_up, tear_down),
        cmocka_unit_test(without_memory_or_provider_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
