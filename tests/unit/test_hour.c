#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <maciefs/hour.h>

#define NO_HOUR 12345u

static hour_t at(const char *key) {
    hour_t hour = NO_HOUR;
    return hour_of_key(key, &hour) ? hour : NO_HOUR;
}

static void test_key_gives_its_hour(void **state) {
    (void)state;
    hour_t hour = at("2026/11/24/05/stream-1-2026-11-24-05-03-01-uuid.gz");
    assert_int_equal(hour_year(hour), 2026);
    assert_int_equal(hour_month(hour), 11);
    assert_int_equal(hour_day(hour), 24);
    assert_int_equal(hour_hour(hour), 5);
    assert_int_equal(at("2024/02/29/00/"), hour_pack(2024, 2, 29, 0));
    assert_int_equal(at("2000/02/29/23/x/y"), hour_pack(2000, 2, 29, 23));
    assert_int_equal(at("8191/12/31/23/"), hour_pack(8191, 12, 31, 23));
    assert_true(at("8191/12/31/23/") < 1u << HOUR_BITS);
}

static void test_key_of_no_hour(void **state) {
    (void)state;
    static const char *const KEYS[] = {
        "",
        "2",
        "2026",
        "2026/",
        "2026/11/24/05",
        "2026/11/24/5/x",
        "2026/11/24/24/x",
        "2026/11/31/00/x",
        "2026/02/29/00/x",
        "1900/02/29/00/x",
        "2026/00/10/00/x",
        "2026/13/10/00/x",
        "2026/11/00/00/x",
        "0000/11/01/00/x",
        "8192/01/01/00/x",
        "9999/01/01/00/x",
        "2026-11/24/05/x",
        "/2026/11/24/05/x",
        "2026/11/24/0x/x",
        "2026/11/24/+5/x",
        "2026/11/24/05x/",
        "20261/11/24/05/",
        "processing-failed/2026/11/24/05/x",
        "year=2026/month=11/day=24/hour=05/x",
    };
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (at(KEYS[i]) != NO_HOUR)
            fail_msg("\"%s\" was taken for an hour", KEYS[i]);
}

static void test_child_builds_the_label(void **state) {
    (void)state;
    hour_t hour = 0;
    assert_true(hour_child(hour, 0, "2024", &hour));
    assert_int_equal(hour, hour_pack(2024, 0, 0, 0));
    assert_true(hour_child(hour, 1, "02", &hour));
    assert_false(hour_child(hour, 2, "30", &hour));
    assert_true(hour_child(hour, 2, "29", &hour));
    assert_true(hour_child(hour, 3, "00", &hour));
    assert_int_equal(hour, hour_pack(2024, 2, 29, 0));
    static const char *const NAMES[] = {"", "1", "001", "1a", " 1", "24", "-1", "05/", "2026"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        assert_false(hour_child(hour_pack(2024, 2, 29, 0), 3, NAMES[i], &hour));
    assert_false(hour_child(0, 0, "202", &hour));
    assert_false(hour_child(0, 0, "0000", &hour));
    assert_false(hour_child(hour, HOUR_DEPTH, "01", &hour));
    assert_int_equal(hour, hour_pack(2024, 2, 29, 0));
}

static void test_path(void **state) {
    (void)state;
    static const char *const PATHS[] = {"", "0907", "0907/01", "0907/01/02", "0907/01/02/03"};
    char path[HOUR_PATH_LEN + 1];
    for (unsigned depth = 0; depth <= HOUR_DEPTH; depth++) {
        hour_path(hour_pack(907, 1, 2, 3), depth, path);
        assert_string_equal(path, PATHS[depth]);
    }
    hour_path(UINT32_MAX, HOUR_DEPTH, path);
    assert_int_equal(strlen(path), HOUR_PATH_LEN);
}

/* The C library's calendar is the model. */
static hour_t model_add(hour_t hour, int n) {
    struct tm tm = {.tm_year = (int)hour_year(hour) - 1900,
                    .tm_mon = (int)hour_month(hour) - 1,
                    .tm_mday = (int)hour_day(hour),
                    .tm_hour = (int)hour_hour(hour)};
    time_t when = timegm(&tm) + (time_t)n * 3600;
    gmtime_r(&when, &tm);
    return hour_pack((unsigned)(tm.tm_year + 1900), (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday,
                     (unsigned)tm.tm_hour);
}

static void test_add_follows_the_calendar(void **state) {
    (void)state;
    hour_t hour = hour_pack(1999, 12, 31, 23);
    for (int i = 0; i < 20000; i++) {
        int n = (int)((unsigned)i * 2654435761u >> 16) - 32768;
        if (hour_add(hour, n) != model_add(hour, n))
            fail_msg("%#x + %d", hour, n);
        assert_int_equal(hour_add(hour_add(hour, n), -n), hour);
        hour = hour_add(hour, 7);
    }
    assert_int_equal(hour_add(hour_pack(2024, 2, 28, 23), 1), hour_pack(2024, 2, 29, 0));
    assert_int_equal(hour_add(hour_pack(2026, 3, 1, 0), -1), hour_pack(2026, 2, 28, 23));
}

static void test_add_ends_with_the_calendar(void **state) {
    (void)state;
    assert_int_equal(hour_add(hour_pack(8191, 12, 31, 23), 1), hour_pack(8191, 12, 31, 23));
    assert_int_equal(hour_add(hour_pack(1, 1, 1, 0), -1), hour_pack(1, 1, 1, 0));
    assert_int_equal(hour_add(hour_pack(2026, 1, 1, 0), INT_MAX), hour_pack(8191, 12, 31, 23));
    assert_int_equal(hour_add(hour_pack(2026, 1, 1, 0), INT_MIN), hour_pack(1, 1, 1, 0));
}

static void set_zone(const char *zone) {
    struct fault fault = {0};
    if (hour_zone_set(zone, &fault) != 0)
        fail_msg("%s: %s", zone, fault.text);
}

#define NOON ((time_t)1795521600) /* 2026-11-24 12:00 UTC */

static void test_offsets(void **state) {
    (void)state;
    static const struct {
        const char *zone;
        hour_t hour;
    } CASES[] = {
        {"UTC", 2026u << 14 | 11 << 10 | 24 << 5 | 12},
        {"+02:00", 2026u << 14 | 11 << 10 | 24 << 5 | 14},
        {"+2", 2026u << 14 | 11 << 10 | 24 << 5 | 14},
        {"+02", 2026u << 14 | 11 << 10 | 24 << 5 | 14},
        {"-0930", 2026u << 14 | 11 << 10 | 24 << 5 | 2},
        {"+05:45", 2026u << 14 | 11 << 10 | 24 << 5 | 17},
        {"-00:30", 2026u << 14 | 11 << 10 | 24 << 5 | 11},
        {"+14:00", 2026u << 14 | 11 << 10 | 25 << 5 | 2},
        {"-12:00", 2026u << 14 | 11 << 10 | 24 << 5 | 0},
        {"Europe/Berlin", 2026u << 14 | 11 << 10 | 24 << 5 | 13},
        {"Asia/Kathmandu", 2026u << 14 | 11 << 10 | 24 << 5 | 17},
        {"Etc/GMT-2", 2026u << 14 | 11 << 10 | 24 << 5 | 14},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        set_zone(CASES[i].zone);
        if (hour_at(NOON) != CASES[i].hour)
            fail_msg("%s", CASES[i].zone);
        assert_int_equal(hour_at(hour_start(CASES[i].hour)), CASES[i].hour);
        assert_true(hour_start(CASES[i].hour) <= NOON);
        assert_true(NOON - hour_start(CASES[i].hour) < 3600);
    }
}

static void test_zones_refused(void **state) {
    (void)state;
    static const char *const ZONES[] = {
        "",
        "utc+2",
        "Mars/Olympus",
        "../zoneinfo/UTC",
        "/usr/share/zoneinfo/UTC",
        "Europe/",
        "Europe",
        ".",
        "zone.tab",
        "Europe/../Europe/Berlin",
        "+",
        "+14:01",
        "-12:01",
        "+15",
        "+2:60",
        "+02:0",
        "+2:",
        "+0a",
        "+ 2",
        "+020",
        "+02:000",
        "2",
        "--2",
        "+02:00 ",
        "Europe/Berlin\n",
        "<X>-2",
        ":UTC",
    };
    set_zone("+02:00");
    for (size_t i = 0; i < sizeof ZONES / sizeof *ZONES; i++) {
        struct fault fault = {0};
        if (hour_zone_set(ZONES[i], &fault) != -EINVAL)
            fail_msg("\"%s\" was taken", ZONES[i]);
        assert_non_null(strstr(fault.text, "timezone="));
        assert_non_null(strstr(fault.text, "Europe/Berlin"));
        assert_int_equal(hour_at(NOON), hour_pack(2026, 11, 24, 14));
    }
}

/* mktime's choice where it has one follows what it was asked before. */
static void each_month_before(hour_t hour, time_t start) {
    for (unsigned i = 0; i < 24; i++) {
        hour_t before = hour_pack(2026, 1 + i * 5 % 12, 15, 12);
        assert_int_equal(hour_at(hour_start(before)), before);
        assert_int_equal(hour_start(hour), start);
    }
}

/* In Berlin on 2026-10-25 the clock shows 02:00 at 00:00 UTC and again at 01:00 UTC. */
static void test_start_of_an_hour_that_comes_twice(void **state) {
    (void)state;
    set_zone("Europe/Berlin");
    time_t midnight = 1792886400; /* 2026-10-25 00:00 UTC */
    hour_t two = hour_pack(2026, 10, 25, 2);
    assert_int_equal(hour_at(midnight), two);
    assert_int_equal(hour_at(midnight + 3600), two);
    each_month_before(two, midnight);
    assert_int_equal(hour_start(hour_pack(2026, 10, 25, 1)), midnight - 3600);
    assert_int_equal(hour_start(hour_pack(2026, 10, 25, 3)), midnight + 7200);
}

/* On 2026-03-29 the clock goes from 02:00 to 03:00 at 01:00 UTC. */
static void test_start_of_an_hour_that_is_left_out(void **state) {
    (void)state;
    set_zone("Europe/Berlin");
    time_t change = 1774746000;
    assert_int_equal(hour_at(change), hour_pack(2026, 3, 29, 3));
    assert_int_equal(hour_at(change - 1), hour_pack(2026, 3, 29, 1));
    each_month_before(hour_pack(2026, 3, 29, 2), change);
    assert_int_equal(hour_start(hour_pack(2026, 3, 29, 3)), change);
    /* Where winter counts as the time that is shifted, mktime errs to the other side. */
    set_zone("Europe/Dublin");
    each_month_before(hour_pack(2026, 3, 29, 1), change);
}

/* Lord Howe Island's clock is put back by half an hour, from 02:00 to 01:30. */
static void test_start_around_half_an_hour(void **state) {
    (void)state;
    set_zone("Australia/Lord_Howe");
    for (hour_t hour = hour_pack(2026, 4, 4, 20); hour < hour_pack(2026, 4, 5, 6);
         hour = hour_add(hour, 1)) {
        assert_int_equal(hour_at(hour_start(hour)), hour);
        assert_true(hour_at(hour_start(hour) - 1) < hour);
    }
}

static void test_times_without_a_label(void **state) {
    (void)state;
    set_zone("UTC");
    assert_int_equal(hour_at(INT64_MAX), hour_pack(8191, 12, 31, 23));
    assert_int_equal(hour_at(INT64_MIN), hour_pack(1, 1, 1, 0));
    assert_int_equal(hour_at(-62135596800 - 1), hour_pack(1, 1, 1, 0));
    assert_int_equal(hour_at(196347369600), hour_pack(8191, 12, 31, 23));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_gives_its_hour),
        cmocka_unit_test(test_key_of_no_hour),
        cmocka_unit_test(test_child_builds_the_label),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_add_follows_the_calendar),
        cmocka_unit_test(test_add_ends_with_the_calendar),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_zones_refused),
        cmocka_unit_test(test_start_of_an_hour_that_comes_twice),
        cmocka_unit_test(test_start_of_an_hour_that_is_left_out),
        cmocka_unit_test(test_start_around_half_an_hour),
        cmocka_unit_test(test_times_without_a_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
