/* Log messages on stderr and in syslog; the counters as JSON and as Prometheus's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <maciefs/report.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- syslog, caught: these stand in for the C library's --- */

#define LOG_WARNING_PRIORITY 4 /* RFC 5424, table 2 */

static int syslog_calls;
static int syslog_priority;
static char syslog_text[8192];

void syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __syslog_chk(int priority, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void keep_syslog(int priority, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void keep_syslog(int priority, const char *format, va_list args) {
    syslog_calls++;
    syslog_priority = priority;
    vsnprintf(syslog_text, sizeof syslog_text, format, args);
}

void syslog(int priority, const char *format, ...) {
    va_list args;
    va_start(args, format);
    keep_syslog(priority, format, args);
    va_end(args);
}

/* What the call becomes under _FORTIFY_SOURCE. */
void __syslog_chk(int priority, int flag, const char *format, ...) {
    (void)flag;
    va_list args;
    va_start(args, format);
    keep_syslog(priority, format, args);
    va_end(args);
}

/* --- stderr, caught in a file --- */

struct capture {
    int saved;
    FILE *file;
};

static struct capture capture_start(void) {
    struct capture c = {.saved = dup(STDERR_FILENO), .file = tmpfile()};
    assert_true(c.saved >= 0);
    assert_non_null(c.file);
    assert_int_equal(dup2(fileno(c.file), STDERR_FILENO), STDERR_FILENO);
    return c;
}

static size_t capture_end(struct capture c, char *text, size_t size) {
    assert_int_equal(dup2(c.saved, STDERR_FILENO), STDERR_FILENO);
    close(c.saved);
    rewind(c.file);
    size_t len = fread(text, 1, size - 1, c.file);
    text[len] = '\0';
    fclose(c.file);
    return len;
}

static void message_is_one_line_on_stderr(void **state) {
    (void)state;
    char text[256];
    report_open(false, false);
    struct capture c = capture_start();
    report(REPORT_ERROR, "no such bucket: %s", "finds");
    capture_end(c, text, sizeof text);
    assert_string_equal(text, "maciefs: no such bucket: finds\n");
}

static void control_characters_cannot_forge_a_line(void **state) {
    (void)state;
    char text[256];
    report_open(false, false);
    struct capture c = capture_start();
    report(REPORT_INFO, "key %s", "a\nmaciefs: forged\r\t\x1b[2J\x7f \xc3\xa9");
    capture_end(c, text, sizeof text);
    assert_string_equal(text, "maciefs: key a?maciefs: forged???[2J? \xc3\xa9\n");
}

static void overlong_message_is_cut_and_still_a_line(void **state) {
    (void)state;
    static char longest[9000], text[9000];
    memset(longest, 'x', sizeof longest - 1);
    report_open(false, false);
    struct capture c = capture_start();
    report(REPORT_ERROR, "%s", longest);
    size_t len = capture_end(c, text, sizeof text);
    assert_in_range(len, 1100, 8000);
    assert_int_equal(text[len - 1], '\n');
}

static void debug_messages_only_where_wanted(void **state) {
    (void)state;
    char text[256];
    struct capture c = capture_start();
    report_open(false, false);
    report(REPORT_DEBUG, "unwanted");
    report_open(false, true);
    report(REPORT_DEBUG, "wanted");
    capture_end(c, text, sizeof text);
    assert_string_equal(text, "maciefs: wanted\n");
}

static void background_goes_to_syslog_alone(void **state) {
    (void)state;
    char text[256];
    syslog_calls = 0;
    struct capture c = capture_start();
    report_open(true, false);
    report(REPORT_DEBUG, "unwanted");
    report(REPORT_WARNING, "100%% of %s\n", "%s%n");
    report_open(false, false);
    assert_int_equal(capture_end(c, text, sizeof text), 0);
    assert_int_equal(syslog_calls, 1);
    assert_int_equal(syslog_priority, LOG_WARNING_PRIORITY);
    assert_string_equal(syslog_text, "100% of %s%n?");
}

/* --- status.json --- */

static cJSON *status_of(struct counters *counters, const char *source) {
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(report_status(counters, source, &out), 0);
    assert_int_equal(out.at[out.len - 1], '\n');
    cJSON *status = cJSON_Parse(buf_str(&out));
    assert_non_null(status);
    buf_free(&out);
    return status;
}

static void status_names_source_and_version(void **state) {
    (void)state;
    struct counters counters = {0};
    cJSON *status = status_of(&counters, "s3://bucket/\"quoted\"\n\\");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(status, "source")),
                        "s3://bucket/\"quoted\"\n\\");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(status, "version")),
                        MACIEFS_VERSION);
    cJSON_Delete(status);
}

/* Each member is another number, so that a mix-up of two shows. */
static void status_has_every_counter(void **state) {
    (void)state;
    struct counters counters = {
        .objects = 1,
        .events = 2,
        .text_lines = 3,
        .stored_bytes = 4,
        .log_bytes = 5,
        .damaged = 6,
        .overwritten = 7,
        .late = 8,
        .hidden = 9,
        .lists = 10,
        .gets = 11,
        .failures = 12,
        .evicted = 13,
        .restarts = 14,
        .last_poll = 15,
        .newest_object = 16,
        .mounted = 17,
        .cache_bytes_now = 18,
        .offline_now = 19,
        .disk_full_now = 20,
        .messages = 21,
        .skipped = 22,
    };
    static const char *const names[] = {
        "objects",     "events",    "text_lines", "stored_bytes",  "log_bytes", "damaged",
        "overwritten", "late",      "hidden",     "lists",         "gets",      "failures",
        "evicted",     "restarts",  "last_poll",  "newest_object", "mounted",   "cache_bytes",
        "offline",     "disk_full", "messages",   "skipped",
    };
    size_t count = sizeof names / sizeof *names;
    cJSON *status = status_of(&counters, "file:///x");
    for (size_t i = 0; i < count; i++) {
        cJSON *item = cJSON_GetObjectItemCaseSensitive(status, names[i]);
        assert_true(cJSON_IsNumber(item));
        assert_int_equal(item->valueint, i + 1);
    }
    assert_int_equal(cJSON_GetArraySize(status), count + 2);
    cJSON_Delete(status);
}

static void numbers_keep_their_digits(void **state) {
    (void)state;
    struct counters counters = {.log_bytes = UINT64_MAX, .last_poll = INT64_MIN};
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(report_status(&counters, "file:///x", &out), 0);
    assert_non_null(strstr(buf_str(&out), "18446744073709551615"));
    assert_non_null(strstr(buf_str(&out), "-9223372036854775808"));
    buf_reset(&out);
    assert_int_equal(report_metrics(&counters, &out), 0);
    assert_non_null(strstr(buf_str(&out), "\nmaciefs_log_bytes_total 18446744073709551615\n"));
    buf_free(&out);
}

/* --- metrics --- */

static bool is_name(const char *at, size_t len) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz_";
    return len > strlen("maciefs_") && strncmp(at, "maciefs_", 8) == 0 &&
           strspn(at, allowed) >= len;
}

/* Reads the three lines of one metric, checks them against each other, returns what follows. */
static const char *check_metric(const char *at) {
    char name[128], type[16];
    const char *help = at;
    assert_int_equal(strncmp(help, "# HELP ", 7), 0);
    size_t len = strcspn(help + 7, " ");
    assert_true(len < sizeof name && is_name(help + 7, len));
    memcpy(name, help + 7, len);
    name[len] = '\0';
    const char *line = strchr(help, '\n') + 1;
    assert_int_equal(strncmp(line, "# TYPE ", 7), 0);
    assert_int_equal(strncmp(line + 7, name, len), 0);
    size_t type_len = strcspn(line + 8 + len, "\n");
    assert_true(type_len < sizeof type);
    memcpy(type, line + 8 + len, type_len);
    type[type_len] = '\0';
    bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
    assert_string_equal(type, total ? "counter" : "gauge");
    const char *value = strchr(line, '\n') + 1;
    assert_int_equal(strncmp(value, name, len), 0);
    assert_true(value[len] == ' ' || value[len] == '{');
    return strchr(value, '\n') + 1;
}

static int status_of_x(struct counters *counters, struct buf *out) {
    return report_status(counters, "file:///x", out);
}

static void metrics_are_well_formed(void **state) {
    (void)state;
    struct counters counters = {.events = 42, .offline_now = 1, .mounted = 1700000000};
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(report_metrics(&counters, &out), 0);
    size_t count = 0;
    for (const char *at = buf_str(&out); *at; at = check_metric(at))
        count++;
    assert_int_equal(count, 23);
    const char *text = buf_str(&out);
    assert_non_null(strstr(text, "\nmaciefs_events_total                   42\n"));
    assert_non_null(strstr(text, "\nmaciefs_offline                    1\n"));
    assert_non_null(strstr(text, "\nmaciefs_cache_bytes                    0\n"));
    assert_non_null(strstr(text, "\nmaciefs_mounted_timestamp_seconds           1700000000\n"));
    assert_non_null(strstr(text, "maciefs_info{version=\"" MACIEFS_VERSION "\"} 1\n"));
    buf_free(&out);
}

static int render_status(struct counters *counters, struct buf *out) {
    return report_status(counters, "s3://bucket/macie/", out);
}

/* A buffer that is too small, by however much, is left as it was. */
static void check_every_small_buffer(int (*render)(struct counters *, struct buf *)) {
    struct counters counters = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(render(&counters, &out), 0);
    size_t whole = out.len;
    buf_free(&out);
    for (size_t limit = 4; limit < whole + 4; limit++) {
        buf_init(&out, limit);
        assert_int_equal(buf_append_str(&out, "kept"), 0);
        assert_int_equal(render(&counters, &out), -EMSGSIZE);
        assert_string_equal(buf_str(&out), "kept");
        buf_free(&out);
    }
}

/* Counters that grow between the reads of one reader move nothing. */
static void texts_have_one_length(void **state) {
    (void)state;
    int (*const renderings[])(struct counters *, struct buf *) = {status_of_x, report_metrics};
    for (size_t i = 0; i < 2; i++) {
        struct counters small = {0}, large = {.events = UINT64_MAX, .last_poll = INT64_MIN};
        struct buf one, two;
        buf_init(&one, 1 << 16);
        buf_init(&two, 1 << 16);
        assert_int_equal(renderings[i](&small, &one), 0);
        assert_int_equal(renderings[i](&large, &two), 0);
        assert_int_equal(one.len, two.len);
        buf_free(&one);
        buf_free(&two);
    }
}

static void too_small_a_buffer_is_left_alone(void **state) {
    (void)state;
    check_every_small_buffer(report_metrics);
    check_every_small_buffer(render_status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_one_line_on_stderr),
        cmocka_unit_test(control_characters_cannot_forge_a_line),
        cmocka_unit_test(overlong_message_is_cut_and_still_a_line),
        cmocka_unit_test(debug_messages_only_where_wanted),
        cmocka_unit_test(background_goes_to_syslog_alone),
        cmocka_unit_test(status_names_source_and_version),
        cmocka_unit_test(status_has_every_counter),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(texts_have_one_length),
        cmocka_unit_test(metrics_are_well_formed),
        cmocka_unit_test(too_small_a_buffer_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
