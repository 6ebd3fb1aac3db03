/* The wazuh view over logs that grow: what is taken, into which hour, once, and for how long. */
#include "hours_kit.h"

#include <maciefs/wazuh.h>

static struct bench bench;
static struct {
    struct wazuh *wazuh;
    struct publishing publishing;
    struct pace_shared pace;
    hour_t now; /* the current hour */
} view;

static void open_view(void) {
    const struct wazuh_options options = {
        .config = &bench.config,
        .source = &bench.source.base,
        .logs = bench.disk.store,
        .publishing = &view.publishing,
        .pace = &view.pace,
        .first = true,
        .counters = &bench.disk.counters,
    };
    bench_stop(&bench);
    bench.source.stopped = false;
    assert_int_equal(wazuh_open(&options, &view.wazuh, NULL), 0);
    bench.catalog = catalog_new(&bench.source.base, 0, &bench.disk.counters);
    bench.options.catalog = bench.catalog;
    bench.options.store = bench.disk.store;
    bench.options.follower = wazuh_follower(view.wazuh);
    assert_int_equal(hours_new(&bench.options, &bench.hours, NULL), 0);
    assert_int_equal(wazuh_start(view.wazuh, bench.hours), 0);
}

static void close_view(void) {
    wazuh_stop(view.wazuh);
    hours_free(bench.hours);
    bench.hours = NULL;
    wazuh_close(view.wazuh);
    view.wazuh = NULL;
}

/* Another mount on the same folder, with that window. */
static void open_with(unsigned window_s) {
    close_view();
    bench.config.window_s = window_s;
    catalog_free(bench.catalog);
    disk_again(&bench.disk);
    bench_start(&bench);
    open_view();
}

static void open_again(void) {
    open_with(bench.config.window_s);
}

static int begin(void **state) {
    (void)state;
    memset(&view, 0, sizeof view);
    bench_begin(&bench, 4, 0);
    bench.config.window_s = 24 * 3600;
    bench.config.account_alias = (char *)"audit";
    bench.config.pace = 0;
    bench.source.now = time(NULL) + 100;
    view.now = hour_at(time(NULL));
    open_view();
    return 0;
}

static int end(void **state) {
    (void)state;
    close_view();
    bench_end(&bench);
    return 0;
}

/* An object of one event, which names it, delivered so many seconds ago. */
static void put(hour_t hour, const char *name, int64_t ago) {
    char text[128];
    snprintf(text, sizeof text, "{\"source\":\"aws.macie\",\"detail\":{\"n\":\"%s\"}}", name);
    scripted_put(&bench.source, key_of(hour, name), text, time(NULL) - ago, "e");
}

static int offer(void *ctx, struct hour_listing *listing) {
    (void)ctx;
    const struct hours_follower follower = wazuh_follower(view.wazuh);
    if (follower.wants(follower.ctx, listing))
        hours_offer(bench.hours, listing);
    return 0;
}

/* Looks as the watcher does: at all hours that the view wants to know of. */
static void look(void) {
    const struct hours_follower follower = wazuh_follower(view.wazuh);
    struct fault fault;
    hour_t oldest = follower.oldest(follower.ctx);
    hours_watching(bench.hours, oldest);
    assert_int_equal(
        catalog_sweep(bench.catalog, oldest, hour_add(hour_at(time(NULL)), 1), offer, NULL, &fault),
        0);
    follower.swept(follower.ctx);
}

/* The names of the events in an hour's file, in their order. */
static const char *names_in(hour_t hour) {
    static char names[4096], bytes[65536];
    struct patience patience = {0};
    ssize_t n = wazuh_read(view.wazuh, hour, 1, 0, bytes, sizeof bytes - 1, &patience);
    assert_true(n >= 0);
    bytes[n] = '\0';
    names[0] = '\0';
    for (char *at = bytes; (at = strstr(at, "\"n\":\"")); at++) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%.*s", len ? " " : "",
                 (int)strcspn(at + 5, "\""), at + 5);
    }
    return names;
}

static bool holds(hour_t hour, const char *names) {
    return strcmp(names_in(hour), names) == 0;
}

static hour_t hour_ago(int64_t ago) {
    return hour_at(time(NULL) - (time_t)ago);
}

static bool is_rest(void) {
    return !hours_are_busy(bench.hours, 0);
}

/* -- What is taken ----------------------------------------------------------------------------- */

static void a_delivery_appears_once_in_the_hour_of_its_time(void **state) {
    (void)state;
    put(hour_add(view.now, -5), "late", 60);
    put(hour_ago(2 * 3600), "b", 2 * 3600);
    put(hour_ago(2 * 3600), "a", 2 * 3600);
    look();
    AWAIT(holds(hour_ago(60), "late") && holds(hour_ago(2 * 3600), "a b"));
    look();
    AWAIT(is_rest());
    put(hour_ago(3600), "c", 2 * 3600);
    look();
    AWAIT(holds(hour_ago(2 * 3600), "a b c"));
    assert_true(holds(hour_ago(60), "late"));
    assert_int_equal(bench.disk.counters.messages, 4);
}

static void objects_of_several_logs_are_sorted_by_their_time(void **state) {
    (void)state;
    int64_t base = 3 * 3600 + (time(NULL) - 3 * 3600) % 3600; /* the hour's first second */
    put(hour_add(view.now, -6), "c", base - 3);
    put(hour_add(view.now, -5), "b", base - 2);
    put(hour_add(view.now, -4), "d", base - 4);
    put(hour_add(view.now, -3), "a", base - 1);
    look();
    AWAIT(holds(hour_ago(base), "a b c d"));
}

static void a_cold_view_begins_with_its_window(void **state) {
    (void)state;
    put(hour_add(view.now, -30), "before", 26 * 3600);
    put(hour_add(view.now, -30), "within", 20 * 3600);
    look();
    AWAIT(holds(hour_ago(20 * 3600), "within"));
    AWAIT(is_rest());
    hour_t first, last;
    wazuh_window(view.wazuh, &first, &last);
    for (hour_t hour = first; hour <= last; hour = hour_add(hour, 1))
        assert_true(hour == hour_ago(20 * 3600) || holds(hour, ""));
}

static void lines_without_place_are_counted(void **state) {
    (void)state;
    scripted_put(&bench.source, key_of(view.now, "mixed"),
                 "{\"a\":1}{\"detail\":{\"n\":\"x\"},\"source\":\"s\"}\ntext\n", time(NULL) - 5,
                 "e");
    look();
    AWAIT(holds(hour_ago(5), "x"));
    assert_int_equal(bench.disk.counters.messages, 1);
    assert_int_equal(bench.disk.counters.skipped, 2);
}

static void damage_is_told_in_a_line(void **state) {
    (void)state;
    char bytes[4096];
    struct patience patience = {0};
    scripted_put(&bench.source, key_of(view.now, "cut"),
                 "{\"detail\":{\"n\":\"x\"},\"source\":\"s\"}{\"detail\":", time(NULL) - 5, "e");
    look();
    AWAIT(holds(hour_ago(5), "x"));
    ssize_t n = wazuh_read(view.wazuh, hour_ago(5), 1, 0, bytes, sizeof bytes - 1, &patience);
    bytes[n > 0 ? n : 0] = '\0';
    assert_non_null(strstr(bytes, "\"error_msg\":"));
    assert_non_null(strstr(bytes, "/cut\""));
    assert_non_null(strstr(bytes, "\"aws_account_alias\":\"audit\""));
    assert_int_equal(bytes[n - 1], '\n');
}

/* -- What stays -------------------------------------------------------------------------------- */

static void a_restart_changes_nothing(void **state) {
    (void)state;
    struct log_state before, after;
    put(view.now, "a", 60);
    look();
    AWAIT(holds(hour_ago(60), "a"));
    assert_int_equal(wazuh_state(view.wazuh, hour_ago(60), &before), 0);
    open_again();
    assert_true(holds(hour_ago(60), "a"));
    look();
    put(view.now, "b", 50);
    look();
    AWAIT(holds(hour_ago(50), "a b") || holds(hour_ago(50), "b"));
    assert_int_equal(wazuh_state(view.wazuh, hour_ago(60), &after), 0);
    assert_true(after.size >= before.size);
}

/* The file of an hour, made as an earlier mount would have left it. */
static void write_since(const char *path) {
    int folder = openat(bench.disk.folder, "wazuh", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(folder, "since", O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, path, strlen(path)), strlen(path));
    close(fd);
    close(folder);
}

static void what_left_the_window_unseen_goes_into_the_current_hour(void **state) {
    (void)state;
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour_add(view.now, -200), HOUR_DEPTH, path);
    write_since(path);
    open_again();
    put(hour_add(view.now, -40), "missed", 30 * 3600);
    look();
    AWAIT(holds(hour_at(time(NULL)), "missed"));
    open_again();
    look();
    AWAIT(is_rest());
    put(view.now, "new", 30);
    look();
    AWAIT(holds(hour_ago(30), "missed new") || holds(hour_ago(30), "new"));
    assert_int_equal(bench.disk.counters.messages, 2);
}

static void a_since_that_is_none_begins_anew(void **state) {
    (void)state;
    write_since("nonsense");
    open_again();
    put(hour_add(view.now, -30), "before", 26 * 3600);
    put(view.now, "now", 30);
    look();
    AWAIT(holds(hour_ago(30), "now"));
    assert_int_equal(bench.disk.counters.messages, 1);
}

/* A shorter window stands for time that passes: what left it is gone, and never taken again. */
static void what_leaves_the_window_goes_and_does_not_return(void **state) {
    (void)state;
    struct log_state log;
    put(hour_ago(5 * 3600), "old", 5 * 3600);
    put(view.now, "new", 30);
    look();
    AWAIT(holds(hour_ago(5 * 3600), "old") && holds(hour_ago(30), "new"));
    open_with(2 * 3600);
    AWAIT(wazuh_state(view.wazuh, hour_ago(5 * 3600), &log) == 0 && !log.present);
    assert_false(wazuh_shows(view.wazuh, hour_ago(5 * 3600)));
    assert_true(holds(hour_ago(5 * 3600), ""));
    look();
    put(view.now, "newer", 20);
    look();
    AWAIT(bench.disk.counters.messages == 3);
    assert_null(strstr(names_in(hour_at(time(NULL))), "old"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_delivery_appears_once_in_the_hour_of_its_time),
        TEST(objects_of_several_logs_are_sorted_by_their_time),
        TEST(a_cold_view_begins_with_its_window),
        TEST(lines_without_place_are_counted),
        TEST(damage_is_told_in_a_line),
        TEST(a_restart_changes_nothing),
        TEST(what_left_the_window_unseen_goes_into_the_current_hour),
        TEST(a_since_that_is_none_begins_anew),
        TEST(what_leaves_the_window_goes_and_does_not_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
