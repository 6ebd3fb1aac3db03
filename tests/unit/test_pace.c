/* Who waits for new bytes, for how long, and what is remembered as given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <maciefs/clock.h>
#include <maciefs/pace.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define HOUR hour_pack(2026, 11, 24, 5)
#define OTHER hour_pack(2026, 11, 24, 6)
#define RATE 100 /* lines a second: a step is 10 */

static char folder_path[] = "/tmp/maciefs-pace.XXXXXX";
static struct {
    int folder;
    struct pace_shared shared;
    struct pace *pace;
    struct patience patience;
    uint8_t lines[400]; /* 200 lines of 2 bytes */
} at;

static void open_pace(unsigned rate, bool first) {
    pace_free(at.pace);
    assert_int_equal(pace_new(rate, at.folder, &at.shared, first, &at.pace), 0);
}

static int begin(void **state) {
    (void)state;
    strcpy(folder_path + strlen(folder_path) - 6, "XXXXXX");
    memset(&at, 0, sizeof at);
    assert_non_null(mkdtemp(folder_path));
    at.folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(at.folder >= 0);
    for (size_t i = 0; i < sizeof at.lines; i += 2)
        memcpy(at.lines + i, "x\n", 2);
    prctl(PR_SET_NAME, "wazuh-logcollector");
    open_pace(RATE, true);
    return 0;
}

static int end(void **state) {
    (void)state;
    prctl(PR_SET_NAME, "test_pace");
    pace_free(at.pace);
    unlinkat(at.folder, "given", 0);
    close(at.folder);
    rmdir(folder_path);
    return 0;
}

static ssize_t give(pid_t reader, uint64_t offset, size_t len) {
    return pace_give(at.pace, reader, HOUR, offset, at.lines, len, &at.patience);
}

static void the_collector_gets_a_step_at_a_time(void **state) {
    (void)state;
    int64_t began = clock_ms();
    assert_int_equal(give(getpid(), 0, 400), 20);
    assert_int_equal(give(getpid(), 20, 380), 20);
    assert_int_equal(give(getpid(), 40, 360), 20);
    assert_true(clock_ms() - began >= 199);
}

static void what_was_given_is_given_at_once(void **state) {
    (void)state;
    uint64_t offset = 0;
    for (int i = 0; i < 3; i++)
        offset += (uint64_t)give(getpid(), offset, 400);
    assert_int_equal(give(getpid(), 0, 60), 60);
    assert_int_equal(give(getpid(), 10, 400), 70); /* 50 old bytes and a step */
}

static void others_are_not_held_up(void **state) {
    (void)state;
    prctl(PR_SET_NAME, "cat");
    assert_int_equal(give(getpid(), 0, 400), 400);
    prctl(PR_SET_NAME, "wazuh-logcollec");
    assert_int_equal(give(getpid(), 0, 400), 20); /* what others read is new to it */
}

static void the_unknown_count_as_the_collector(void **state) {
    (void)state;
    assert_int_equal(give(0, 0, 400), 20);
    assert_int_equal(give(1 << 30, 20, 380), 20);
}

static void no_rate_is_no_limit(void **state) {
    (void)state;
    open_pace(0, false);
    assert_int_equal(give(getpid(), 0, 400), 400);
}

static void a_slow_rate_gives_single_lines(void **state) {
    (void)state;
    open_pace(3, false);
    assert_int_equal(give(getpid(), 0, 400), 2);
}

static void a_piece_of_a_line_costs_nothing(void **state) {
    (void)state;
    memset(at.lines, 'x', sizeof at.lines);
    for (uint64_t offset = 0; offset < 4000; offset += 400)
        assert_int_equal(give(getpid(), offset, 400), 400);
    assert_int_equal(give(getpid(), 4000, 0), 0);
}

static void the_impatient_go(void **state) {
    (void)state;
    open_pace(1, false);
    assert_int_equal(give(getpid(), 0, 400), 2);
    atomic_store(&at.patience.lost, true);
    int64_t began = clock_ms();
    assert_int_equal(give(getpid(), 2, 398), -EINTR);
    assert_true(clock_ms() - began < 900);
    atomic_store(&at.patience.lost, false);
    assert_int_equal(give(getpid(), 0, 400), 4); /* it was not given: the line is still new */
}

static void the_next_server_remembers(void **state) {
    (void)state;
    assert_int_equal(give(getpid(), 0, 400), 20);
    open_pace(RATE, false);
    assert_int_equal(give(getpid(), 0, 20), 20);
    assert_int_equal(at.shared.at[0].given, 20);
}

static void the_next_mount_remembers(void **state) {
    (void)state;
    assert_int_equal(give(getpid(), 0, 400), 20);
    assert_int_equal(pace_give(at.pace, getpid(), OTHER, 0, at.lines, 10, &at.patience), 10);
    pace_free(at.pace);
    at.pace = NULL;
    memset(&at.shared, 0, sizeof at.shared);
    open_pace(RATE, true);
    assert_int_equal(give(getpid(), 0, 20), 20);
    assert_int_equal(at.shared.at[0].given, 20);
    assert_int_equal(at.shared.at[1].hour, OTHER);
    assert_int_equal(at.shared.at[1].given, 10);
}

static void write_given(const char *text) {
    int fd = openat(at.folder, "given", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void a_file_that_is_none_is_passed_over(void **state) {
    (void)state;
    write_given("nonsense\n\n2026/11/24/05\n2026/11/24/05 \n2026/13/24/05 7\n2026/11/24/05 -7\n"
                "2026/11/24/05 99999999999999999999999\n2026/11/24/06 12\n2026/11/24/05 400");
    open_pace(RATE, true);
    size_t known = 0;
    for (size_t i = 0; i < PACE_HOURS_MAX; i++)
        known += at.shared.at[i].hour != 0;
    assert_int_equal(known, 1);
    assert_int_equal(give(getpid(), 0, 400), 20);
}

/* The oldest hour gives way, and is new again at worst. */
static void there_is_room_for_the_newest_hours(void **state) {
    (void)state;
    open_pace(1000000, false);
    hour_t hour = HOUR;
    for (int i = 0; i < PACE_HOURS_MAX + 10; i++, hour = hour_add(hour, 1))
        assert_int_equal(pace_give(at.pace, getpid(), hour, 0, at.lines, 2, &at.patience), 2);
    hour_t oldest = hour;
    for (size_t i = 0; i < PACE_HOURS_MAX; i++)
        if (at.shared.at[i].hour < oldest)
            oldest = at.shared.at[i].hour;
    assert_int_equal(oldest, hour_add(HOUR, 10));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_collector_gets_a_step_at_a_time),
        TEST(what_was_given_is_given_at_once),
        TEST(others_are_not_held_up),
        TEST(the_unknown_count_as_the_collector),
        TEST(no_rate_is_no_limit),
        TEST(a_slow_rate_gives_single_lines),
        TEST(a_piece_of_a_line_costs_nothing),
        TEST(the_impatient_go),
        TEST(the_next_server_remembers),
        TEST(the_next_mount_remembers),
        TEST(a_file_that_is_none_is_passed_over),
        TEST(there_is_room_for_the_newest_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
