/* Logs that grow in the background, and whatever fails on the way: each object arrives once. */
#include "hours_kit.h"

#include <signal.h>
#include <sys/resource.h>

static struct bench bench;

static int begin(void **state) {
    (void)state;
    bench_begin(&bench, 8, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    bench_end(&bench);
    return 0;
}

static bool log_is(hour_t hour, const char *names) {
    return strcmp(bench_log(&bench, hour), names) == 0;
}

/* -- Offers ------------------------------------------------------------------------------------ */

static int offer(void *ctx, struct hour_listing *listing) {
    int64_t *held = ctx;
    int64_t due = hours_offer(bench.hours, listing);
    if (due > 0 && (!*held || due < *held))
        *held = due;
    return due < 0 ? (int)due : 0;
}

/* One look of a watcher, at an hour and the next. Returns when the earliest held back is due. */
static int64_t look(hour_t hour) {
    int64_t held = 0;
    struct fault fault;
    int err = catalog_sweep(bench.catalog, hour, hour_add(hour, 1), offer, &held, &fault);
    hours_source_result(bench.hours, err, &fault);
    return held;
}

static void what_is_offered_is_appended(void **state) {
    (void)state;
    hours_watching(bench.hours, HOUR);
    bench_put(&bench, HOUR, "b", MODIFIED);
    bench_put(&bench, hour_add(HOUR, 1), "a", MODIFIED);
    bench_put(&bench, HOUR, "c", bench.source.now + 1);
    bench_put(&bench, HOUR, "d", bench.source.now);
    assert_int_equal(look(HOUR), bench.source.now + 1);
    AWAIT(log_is(HOUR, "b") && log_is(hour_add(HOUR, 1), "a"));
    /* The log shows a moment before its batch is over, during which an offer is passed over. */
    AWAIT(look(HOUR) == bench.source.now + 1);
    bench.source.now += 2;
    assert_int_equal(look(HOUR), 0);
    AWAIT(log_is(HOUR, "b d c"));
    /* A watched hour is what its log says. */
    unsigned lists = scripted_lists(&bench.source);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_int_equal(scripted_lists(&bench.source), lists);
    assert_int_equal(bench.source.gets, 4);
}

static void a_log_begins_with_all_there_is(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    bench_put(&bench, HOUR, "b", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "b"), 0, true);
    hours_watching(bench.hours, HOUR);
    look(HOUR);
    scripted_await_held(&bench.source, 1);
    assert_false(disk_state(&bench.disk, HOUR).known);
    scripted_set(&bench.source, key_of(HOUR, "b"), 0, false);
    AWAIT(log_is(HOUR, "a b"));
    /* Nothing stands in for it: the disk has it. */
    assert_int_equal(faccessat(bench.disk.folder, "stored", F_OK, 0), -1);
}

/* From then on each object is shown as soon as it can be, also where one between is refused. */
static void a_log_that_grows_waits_for_no_other_object(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    hours_watching(bench.hours, HOUR);
    look(HOUR);
    AWAIT(log_is(HOUR, "a"));
    bench_put(&bench, HOUR, "b", MODIFIED + 1);
    bench_put(&bench, HOUR, "c", MODIFIED + 2);
    bench_put(&bench, HOUR, "d", MODIFIED + 3);
    scripted_set(&bench.source, key_of(HOUR, "c"), -EACCES, true);
    scripted_set(&bench.source, key_of(HOUR, "d"), 0, true);
    AWAIT((look(HOUR), scripted_held(&bench.source) == 2));
    scripted_set(&bench.source, key_of(HOUR, "c"), -EACCES, false);
    AWAIT(log_is(HOUR, "a b"));
    scripted_set(&bench.source, key_of(HOUR, "d"), 0, false);
    AWAIT(log_is(HOUR, "a b d"));
}

static void what_was_refused_is_left_alone_for_a_while(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    bench_put(&bench, HOUR, "b", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), -EACCES, false);
    hours_watching(bench.hours, HOUR);
    look(HOUR);
    AWAIT(log_is(HOUR, "b"));
    for (int i = 0; i < 3; i++)
        look(HOUR);
    assert_int_equal(scripted_gets(&bench.source, key_of(HOUR, "a")), 1);
    assert_int_equal(told_times("2021/11/24/05/a"), 1);
}

/* Someone takes away data that is watched: it comes back, and then it grows. */
static void watched_data_that_is_gone_comes_back(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    hours_watching(bench.hours, HOUR);
    look(HOUR);
    AWAIT(log_is(HOUR, "a"));
    unlinkat(bench.disk.folder, disk_file(HOUR, "ndjson"), 0);
    bench_again(&bench);
    hours_watching(bench.hours, HOUR);
    bench_put(&bench, HOUR, "b", MODIFIED);
    look(HOUR);
    AWAIT(disk_state(&bench.disk, HOUR).present);
    AWAIT((look(HOUR), log_is(HOUR, "a b")));

    /* Where it cannot, that is tried once in a while. */
    unlinkat(bench.disk.folder, disk_file(HOUR, "ndjson"), 0);
    scripted_remove(&bench.source, key_of(HOUR, "a"));
    bench_again(&bench);
    unsigned gets = bench.source.gets;
    look(HOUR);
    AWAIT(told_times("is gone") == 1);
    for (int i = 0; i < 5; i++) {
        look(HOUR);
        usleep(2000);
    }
    assert_true(bench.source.gets <= gets + 2);
}

static void readers_join_what_was_offered(void **state) {
    (void)state;
    bench_put(&bench, HOUR, "a", MODIFIED);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, true);
    hours_watching(bench.hours, HOUR);
    look(HOUR);
    scripted_await_held(&bench.source, 1);
    struct patience lost = {.lost = true};
    assert_int_equal(hours_ready(bench.hours, HOUR, true, &lost), -EINTR);
    scripted_set(&bench.source, key_of(HOUR, "a"), 0, false);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a");
    assert_int_equal(bench.source.gets, 1);
}

/* -- The disk ---------------------------------------------------------------------------------- */

static void a_disk_that_fails_is_told_once_and_loses_nothing(void **state) {
    (void)state;
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    bench_put(&bench, HOUR, "a", MODIFIED);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    for (int i = 0; i < 5; i++)
        bench_put(&bench, HOUR, (char[]){(char)('b' + i), '\0'}, MODIFIED + 1);
    getrlimit(RLIMIT_FSIZE, &before);
    /* The log has 10 bytes, its journal some 170. */
    for (rlim_t room = 5; room < 700; room += 40) {
        const struct rlimit limit = {room, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        assert_int_equal(bench_ready(&bench, HOUR, true), 0); /* what is known */
        setrlimit(RLIMIT_FSIZE, &before);
        usleep(2000);
        const char *log = bench_log(&bench, HOUR);
        assert_memory_equal(log, "a b c d e f", strlen(log));
    }
    assert_true(told_times("cannot be written to the cache folder") == 1);
    assert_int_equal(bench_ready(&bench, HOUR, true), 0);
    assert_string_equal(bench_log(&bench, HOUR), "a b c d e f");
    bench_again(&bench);
    assert_string_equal(bench_log(&bench, HOUR), "a b c d e f");
    assert_int_equal(bench.disk.counters.objects, 6);
}

/* -- Everything fails once --------------------------------------------------------------------- */

#define TORTURED 3

static void put_tortured(void) {
    for (int h = 0; h < TORTURED; h++)
        for (int i = 0; i < 4; i++)
            bench_put(&bench, hour_add(HOUR, h), (char[]){(char)('a' + i), '\0'}, MODIFIED);
}

/* All objects, each once, in whatever order. */
static bool is_whole(hour_t hour) {
    const char *log = bench_log(&bench, hour);
    return strlen(log) == 7 && strchr(log, 'a') && strchr(log, 'b') && strchr(log, 'c') &&
           strchr(log, 'd');
}

/* The n-th call fails. Returns whether there was one. */
static bool torture(unsigned n, int err, bool evicted) {
    bench_begin(&bench, 1 + n % 4, 0);
    bench.source.page = 3;
    put_tortured();
    if (evicted) {
        assert_int_equal(bench_ready(&bench, HOUR, true), 0);
        bench_evict(&bench, HOUR);
    }
    scripted_fail(&bench.source, n, err);
    for (int h = 0; h < TORTURED; h++)
        (void)bench_ready(&bench, hour_add(HOUR, h), true);
    bool failed = scripted_mend(&bench.source);
    for (int round = 0; round < 2; round++) {
        usleep(2000);
        hours_source_result(bench.hours, 0, NULL);
        for (int h = 0; h < TORTURED; h++)
            assert_int_equal(bench_ready(&bench, hour_add(HOUR, h), true), 0);
        for (int h = 0; h < TORTURED; h++)
            assert_true(is_whole(hour_add(HOUR, h)));
        bench_again(&bench);
    }
    assert_int_equal(bench.disk.counters.objects, TORTURED * 4);
    assert_int_equal(bench.disk.counters.offline_now, 0);
    bench_end(&bench);
    return failed;
}

static void whichever_call_fails_all_arrive_once(void **state) {
    (void)state;
    static const int errs[] = {-ENETDOWN, -EACCES, -ENOMEM};
    for (size_t e = 0; e < sizeof errs / sizeof *errs; e++)
        for (int evicted = 0; evicted < 2; evicted++) {
            unsigned n = 1;
            while (torture(n, errs[e], evicted))
                n++;
            assert_true(n > TORTURED * 5);
        }
}

/* -- The watcher ------------------------------------------------------------------------------- */

static struct watcher *watcher;

static void start_watcher(void) {
    bench.config.poll_ms = 5;
    assert_int_equal(watcher_start(&bench.options, bench.hours, &watcher), 0);
}

/* An hour of today, and times that are over. */
static time_t began;

static hour_t hour_ago(int hours) {
    return hour_add(hour_at(began), -hours);
}

static int begin_watching(void **state) {
    begin(state);
    began = time(NULL);
    bench.source.now = began;
    return 0;
}

static void the_watcher_finds_what_is_new(void **state) {
    (void)state;
    bench_put(&bench, hour_ago(0), "a", began - 1);
    bench_put(&bench, hour_ago(20), "late", began - 2);
    bench_put(&bench, hour_ago(40), "old", began - 3);
    start_watcher();
    AWAIT(log_is(hour_ago(0), "a") && log_is(hour_ago(20), "late"));
    bench_put(&bench, hour_ago(1), "c", began - 1);
    AWAIT(log_is(hour_ago(1), "c"));
    AWAIT(hours_is_watched(bench.hours, hour_ago(0)));
    assert_false(disk_state(&bench.disk, hour_ago(40)).known);
    assert_false(hours_is_watched(bench.hours, hour_ago(40)));
    assert_int_equal(bench.disk.counters.newest_object, began - 1);
    assert_true(bench.disk.counters.last_poll >= began);
    watcher_stop(watcher);
}

static void the_watcher_goes_on_when_the_source_is_back(void **state) {
    (void)state;
    scripted_set_err(&bench.source, -EHOSTUNREACH);
    start_watcher();
    AWAIT(bench.disk.counters.failures > 3);
    assert_int_equal(bench.disk.counters.offline_now, 1);
    bench_put(&bench, hour_ago(0), "a", began - 1);
    scripted_set_err(&bench.source, 0);
    AWAIT(log_is(hour_ago(0), "a"));
    assert_int_equal(told_times("the script says"), 1);
    AWAIT(bench.disk.counters.offline_now == 0);
    watcher_stop(watcher);
}

/* One journal cannot be read: its hour stands still, the others do not, and the source is well. */
static void one_broken_hour_stops_no_other(void **state) {
    (void)state;
    bench_put(&bench, hour_ago(3), "a", began - 1);
    bench_put(&bench, hour_ago(2), "b", began - 1);
    int fd = openat(bench.disk.folder, ".", O_RDONLY);
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour_ago(3), HOUR_DEPTH, path);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdirat(fd, path, 0700);
        *slash = '/';
    }
    close(fd);
    assert_int_equal(mkdirat(bench.disk.folder, disk_file(hour_ago(3), "journal"), 0700), 0);
    start_watcher();
    AWAIT(log_is(hour_ago(2), "b"));
    bench_put(&bench, hour_ago(0), "c", began - 1);
    AWAIT(log_is(hour_ago(0), "c"));
    assert_int_equal(bench.disk.counters.offline_now, 0);
    assert_int_equal(told_times("cannot grow"), 1);
    watcher_stop(watcher);
}

static void the_watcher_ends_at_once(void **state) {
    (void)state;
    bench.config.poll_ms = 3600000;
    assert_int_equal(watcher_start(&bench.options, bench.hours, &watcher), 0);
    AWAIT(hours_is_watched(bench.hours, hour_ago(0)));
    watcher_stop(watcher);
    watcher_stop(NULL);
    bench.source.stopped = false;
    scripted_hold_lists(&bench.source, true);
    start_watcher();
    scripted_await_held(&bench.source, 1);
    watcher_stop(watcher);
    scripted_hold_lists(&bench.source, false);
    assert_int_equal(bench.disk.counters.failures, 0);
    assert_int_equal(told.len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define WATCHER_TEST(name) cmocka_unit_test_setup_teardown(name, begin_watching, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_offered_is_appended),
        TEST(a_log_begins_with_all_there_is),
        TEST(a_log_that_grows_waits_for_no_other_object),
        TEST(what_was_refused_is_left_alone_for_a_while),
        TEST(watched_data_that_is_gone_comes_back),
        TEST(readers_join_what_was_offered),
        TEST(a_disk_that_fails_is_told_once_and_loses_nothing),
        cmocka_unit_test(whichever_call_fails_all_arrive_once),
        WATCHER_TEST(the_watcher_finds_what_is_new),
        WATCHER_TEST(the_watcher_goes_on_when_the_source_is_back),
        WATCHER_TEST(one_broken_hour_stops_no_other),
        WATCHER_TEST(the_watcher_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
