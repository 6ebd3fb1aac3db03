#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shape_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define VECTORS "tests/vectors/wazuh-shape.jsonl"
#define EVENT_MAX ((size_t)80 << 20)

static const struct shape_origin origin = {.bucket = "b", .key = "k", .account_alias = ""};

/* The message's parts that are the same in most tests. */
#define LOG_INFO "\"log_info\":{\"aws_account_alias\":\"\",\"log_file\":\"k\",\"s3bucket\":\"b\"}"
#define MESSAGE(before, after) "{\"integration\":\"aws\",\"aws\":{" before LOG_INFO after "}}"

/* --- Shaping one event ------------------------------------------------------------------------ */

/* One for all tests: nothing may be left of the event before. */
static struct shaper *shaper;

static int set_up(void **state) {
    (void)state;
    shaper = shaper_new();
    return shaper ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    shaper_free(shaper);
    return 0;
}

/* Shapes a copy of exactly its size, so that the sanitizer sees every byte read beyond. */
static int shape_copy(const void *event, size_t len, struct buf *line) {
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, event, len);
    buf_init(line, 2 * SHAPE_LINE_MAX);
    int became = shape_event(shaper, &origin, copy, len, line);
    free(copy);
    if (became == 0)
        assert_true(is_message(line));
    else
        assert_int_equal(line->len, 0);
    return became;
}

static void check(const char *event, size_t len, const char *message) {
    struct buf line;
    assert_int_equal(shape_copy(event, len, &line), 0);
    assert_string_equal(buf_str(&line), message);
    buf_free(&line);
}

static void check_skipped(const char *event, size_t len) {
    struct buf line;
    assert_int_equal(shape_copy(event, len, &line), SHAPE_SKIPPED);
    buf_free(&line);
}

#define EVENT(source, detail) "{\"source\":\"" source "\",\"detail\":" detail "}"
#define CHECK(event, message) check(event, sizeof(event) - 1, message)
#define CHECK_SKIPPED(event) check_skipped(event, sizeof(event) - 1)

/* A detail, and what of it stands behind log_info; from Macie and from something else. */
#define CHECK_MACIE(detail, after)                                                                 \
    CHECK(EVENT("aws.macie", detail), MESSAGE("\"source\":\"macie\",", after))
#define CHECK_OTHER(detail, after)                                                                 \
    CHECK(EVENT("aws.x", detail), MESSAGE("\"source\":\"x\",", after))
#define CHECK_REFUSED(detail) CHECK_SKIPPED(EVENT("aws.macie", detail))

/* --- The vectors ------------------------------------------------------------------------------ */

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text(const cJSON *object, const char *name) {
    const char *value = cJSON_GetStringValue(member(object, name));
    assert_non_null(value);
    return value;
}

static const cJSON *calls_of(const cJSON *detail) {
    return member(member(detail, "summary"), "Events");
}

/* The counts that the module loses are expected as what they are in the event. */
static void mend_counts(const char *event, const cJSON *message) {
    cJSON *parsed = parse_exactly(event);
    assert_non_null(parsed);
    const cJSON *calls = calls_of(member(parsed, "detail"));
    const cJSON *call;
    cJSON_ArrayForEach(call, calls_of(member(message, "aws"))) {
        cJSON *lost = cJSON_GetArrayItem(member(call, "count"), 0);
        const char *count = cJSON_GetStringValue(member(member(calls, call->string), "count"));
        if (!lost || !count)
            continue;
        assert_string_equal(lost->valuestring, "");
        assert_non_null(cJSON_SetValuestring(lost, count + 1));
    }
    cJSON_Delete(parsed);
}

static void check_vector(const cJSON *vector) {
    const struct shape_origin from = {text(vector, "bucket"), text(vector, "key"), ""};
    const char *event = text(vector, "event");
    struct buf line;
    buf_init(&line, SHAPE_LINE_MAX);
    assert_int_equal(shape_event(shaper, &from, (const uint8_t *)event, strlen(event), &line), 0);
    assert_true(is_message(&line));
    cJSON *message = parse_exactly(buf_str(&line));
    mend_counts(event, member(vector, "message"));
    assert_true(cJSON_Compare(message, member(vector, "message"), true));
    cJSON_Delete(message);
    buf_free(&line);
}

/* Calls for each vector; returns how many there are. */
static int each_vector(void (*call)(const cJSON *vector), int most) {
    FILE *file = fopen(VECTORS, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t size = 0;
    int count = 0;
    for (; count < most && getline(&line, &size, file) > 0; count++) {
        line[strcspn(line, "\n")] = '\0';
        cJSON *vector = parse_exactly(line);
        assert_non_null(vector);
        call(vector);
        cJSON_Delete(vector);
    }
    free(line);
    fclose(file);
    return count;
}

static void test_vectors(void **state) {
    (void)state;
    assert_int_equal(each_vector(check_vector, 1000), 144);
}

/* --- The message's frame ---------------------------------------------------------------------- */

static void test_what_rules_look_at_comes_first(void **state) {
    (void)state;
    CHECK("{\"detail\":{\"a\":1,\"title\":\"t\",\"log\":2,\"type\":[3],\"severity\":{\"s\":4},"
          "\"z\":5},\"x\":6,\"source\":\"aws.macie\"}",
          MESSAGE("\"source\":\"macie\",\"severity\":{\"s\":4},\"type\":3,\"title\":\"t\",",
                  ",\"a\":1,\"log\":2,\"z\":5"));
}

static void test_the_source_overwrites_the_details(void **state) {
    (void)state;
    CHECK("{\"source\":\"aws.aws.xaws.y\",\"detail\":{\"source\":\"z\",\"a\":1}}",
          MESSAGE("\"source\":\"xy\",", ",\"a\":1"));
    CHECK(EVENT("aaws.ws.b", "{}"), MESSAGE("\"source\":\"aws.b\",", ""));
    CHECK(EVENT("\\u0061ws.\\\"\\n\\u00e9\\ud83d\\ude00\\u0000", "{}"),
          MESSAGE("\"source\":\"\\\"\\u000a\xc3\xa9\xf0\x9f\x98\x80\\u0000\",", ""));
    CHECK(EVENT("", "{}"), MESSAGE("\"source\":\"\",", ""));
}

static void test_without_a_source_the_detail_keeps_its_own(void **state) {
    (void)state;
    CHECK("{\"detail\":{\"source\":\"macie\",\"trigger\":1,\"a\":2}}",
          MESSAGE("\"source\":\"macie\",", ",\"a\":2"));
    CHECK("{\"source\":null,\"detail\":{\"source\":[\"m\\u0061cie\"],\"trigger\":1}}",
          MESSAGE("\"source\":\"m\\u0061cie\",", ""));
    CHECK("{\"source\":7,\"detail\":{\"trigger\":1}}", MESSAGE("", ",\"trigger\":1"));
    CHECK("{\"detail\":{\"source\":{\"a\":[1]}}}", MESSAGE("\"source\":{\"a\":1},", ""));
}

static void test_no_detail_no_message(void **state) {
    (void)state;
    CHECK_SKIPPED("{}");
    CHECK_SKIPPED("{\"source\":\"aws.macie\"}");
    CHECK_SKIPPED("{\"source\":\"aws.macie\",\"Detail\":{}}");
    CHECK_REFUSED("null");
    CHECK_REFUSED("7");
    CHECK_REFUSED("\"{}\"");
    CHECK_REFUSED("[{}]");
    CHECK_MACIE("{}", "");
    CHECK("{\"source\":\"aws.macie\",\"d\\u0065tail\":{\"a\":1}}",
          MESSAGE("\"source\":\"macie\",", ",\"a\":1"));
}

static void test_a_log_info_of_the_detail_takes_the_place(void **state) {
    (void)state;
    CHECK(EVENT("aws.macie", "{\"log_info\":[\"x\"],\"a\":1}"),
          "{\"integration\":\"aws\",\"aws\":{\"source\":\"macie\",\"log_info\":\"x\",\"a\":1}}");
    CHECK_MACIE("{\"log_info\":null}", "");
}

static void test_the_origin_is_escaped(void **state) {
    (void)state;
    const struct shape_origin from = {"b\"", "a\\b\n\x01\xff\x7f/", "al\tias"};
    const char event[] = EVENT("aws.macie", "{}");
    struct buf line;
    buf_init(&line, SHAPE_LINE_MAX);
    assert_int_equal(shape_event(shaper, &from, (const uint8_t *)event, strlen(event), &line), 0);
    assert_string_equal(buf_str(&line),
                        "{\"integration\":\"aws\",\"aws\":{\"source\":\"macie\",\"log_info\":{"
                        "\"aws_account_alias\":\"al\\u0009ias\",\"log_file\":\"a\\\\b\\u000a"
                        "\\u0001\xff\x7f/\",\"s3bucket\":\"b\\\"\"}}}");
    buf_free(&line);
}

static void test_a_damaged_object(void **state) {
    (void)state;
    struct buf line;
    buf_init(&line, SHAPE_LINE_MAX);
    assert_int_equal(shape_error(shaper, &origin, "its \"checksum\" is wrong", &line), 0);
    assert_string_equal(buf_str(&line),
                        "{\"integration\":\"aws\",\"aws\":{" LOG_INFO
                        "},\"error_msg\":\"Failed to decompress file k: its \\\"checksum\\\" is "
                        "wrong\"}");
    assert_int_equal(shape_error(shaper, &origin, "x", &line), 0);
    buf_free(&line);
}

static void test_no_origin_is_too_long(void **state) {
    (void)state;
    char *key = malloc(100001);
    assert_non_null(key);
    memset(key, 1, 100000);
    key[100000] = '\0';
    const struct shape_origin from = {key, key, key};
    const char event[] = EVENT("aws.macie", "{\"type\":\"t\"}");
    struct buf line;
    buf_init(&line, 2 * SHAPE_LINE_MAX);
    assert_int_equal(shape_event(shaper, &from, (const uint8_t *)event, strlen(event), &line), 0);
    assert_true(is_message(&line));
    assert_null(strstr(buf_str(&line), "truncated"));
    buf_reset(&line);
    assert_int_equal(shape_error(shaper, &from, key, &line), 0);
    assert_true(is_message(&line));
    buf_free(&line);
    free(key);
}

static void test_messages_are_appended(void **state) {
    (void)state;
    const char event[] = EVENT("aws.macie", "{}");
    const char message[] = MESSAGE("\"source\":\"macie\",", "");
    struct buf line;
    buf_init(&line, strlen(message) + 1);
    assert_int_equal(buf_append_str(&line, "x"), 0);
    assert_int_equal(shape_event(shaper, &origin, (const uint8_t *)event, strlen(event), &line), 0);
    assert_string_equal(buf_str(&line) + 1, message);
    assert_int_equal(shape_event(shaper, &origin, (const uint8_t *)event, strlen(event), &line),
                     -EMSGSIZE);
    assert_int_equal(line.len, strlen(message) + 1);
    buf_free(&line);
    shaper_free(NULL);
}

/* --- The steps -------------------------------------------------------------------------------- */

static void test_nulls_go_from_objects_alone(void **state) {
    (void)state;
    CHECK_OTHER("{\"a\":null,\"b\":{\"c\":null,\"d\":{\"e\":null}},\"f\":[null,{\"g\":null}]}",
                ",\"b\":{\"d\":{}},\"f\":[null,{\"g\":null}]");
    CHECK_OTHER("{\"severity\":null,\"type\":null,\"title\":null,\"source\":null}", "");
}

static void test_arrays_of_one(void **state) {
    (void)state;
    CHECK_OTHER("{\"a\":[1],\"b\":{\"c\":[\"x\"]},\"d\":[],\"e\":[1,2]}",
                ",\"a\":1,\"b\":{\"c\":\"x\"},\"d\":[],\"e\":[1,2]");
    CHECK_OTHER("{\"a\":[null],\"b\":[[1]],\"c\":[{\"d\":[1],\"e\":null}]}",
                ",\"a\":null,\"b\":[1],\"c\":{\"d\":[1],\"e\":null}");
    CHECK_OTHER("{\"a\":[{\"b\":[2]},{\"b\":[3]}]}", ",\"a\":[{\"b\":[2]},{\"b\":[3]}]");
    CHECK_OTHER("{ \"a\" : [ [ 1 , [ 2 ] ] ] }", ",\"a\":[1,[2]]");
}

static void test_the_callers_address_is_copied(void **state) {
    (void)state;
    CHECK_OTHER("{\"sourceIPAddress\":\"1.22.3.4\",\"a\":1}",
                ",\"sourceIPAddress\":\"1.22.3.4\",\"a\":1,\"source_ip_address\":\"1.22.3.4\"");
    CHECK_OTHER("{\"source_ip_address\":7,\"sourceIPAddress\":[\"\\u0031.2.3.4x\"],\"a\":1}",
                ",\"source_ip_address\":\"\\u0031.2.3.4x\",\"sourceIPAddress\":\"\\u0031.2.3.4x\","
                "\"a\":1");
    CHECK_OTHER("{\"source_ip_address\":null,\"sourceIPAddress\":\"1.2.3.4\"}",
                ",\"sourceIPAddress\":\"1.2.3.4\",\"source_ip_address\":\"1.2.3.4\"");
    CHECK_OTHER("{\"sourceIPAddress\":\"1.2.3.\"}", ",\"sourceIPAddress\":\"1.2.3.\"");
    CHECK_OTHER("{\"sourceIPAddress\":\"s3.amazonaws.com\"}",
                ",\"sourceIPAddress\":\"s3.amazonaws.com\"");
    CHECK_OTHER("{\"sourceIPAddress\":1.2}", ",\"sourceIPAddress\":1.2");
}

static void test_tags_become_an_object(void **state) {
    (void)state;
    CHECK_OTHER("{\"tags\":[]}", ",\"tags\":{\"value\":[]}");
    CHECK_OTHER("{\"tags\":[1]}", ",\"tags\":{\"value\":1}");
    CHECK_OTHER("{\"tags\":[null]}", ",\"tags\":{\"value\":null}");
    CHECK_OTHER("{\"tags\":[[1 ,2]]}", ",\"tags\":{\"value\":[1,2]}");
    CHECK_OTHER("{\"tags\":[{\"a\":[1]}]}", ",\"tags\":{\"a\":[1]}");
    CHECK_OTHER("{\"tags\":{\"a\":[1]}}", ",\"tags\":{\"a\":1}");
    CHECK_OTHER("{\"t\\u0061gs\":\"x\"}", ",\"t\\u0061gs\":{\"value\":\"x\"}");
    CHECK_OTHER("{\"tags\":null,\"a\":{\"tags\":1}}", ",\"a\":{\"tags\":1}");
}

#define SERVICE(unusual) "{\"service\":{\"additionalInfo\":{\"unusual\":" unusual "}}}"
#define SHAPED_SERVICE(unusual) ",\"service\":{\"additionalInfo\":{\"unusual\":" unusual "}}"

static void test_what_is_unusual_becomes_an_object(void **state) {
    (void)state;
    CHECK_OTHER(SERVICE("\"x\""), SHAPED_SERVICE("{\"value\":\"x\"}"));
    CHECK_OTHER(SERVICE("[\"x\"]"), SHAPED_SERVICE("{\"value\":\"x\"}"));
    CHECK_OTHER(SERVICE("[1,2]"), SHAPED_SERVICE("{\"value\":[1,2]}"));
    CHECK_OTHER(SERVICE("{\"y\":1}"), SHAPED_SERVICE("{\"y\":1}"));
    CHECK_OTHER("{\"service\":[{\"additionalInfo\":{\"unusual\":[1]}}]}",
                SHAPED_SERVICE("{\"value\":[1]}"));
    CHECK_OTHER("{\"service\":{\"additionalInfo\":[{\"unusual\":null}]}}",
                SHAPED_SERVICE("{\"value\":null}"));
    CHECK_OTHER(SERVICE("null"), ",\"service\":{\"additionalInfo\":{}}");
    CHECK_OTHER("{\"service\":\"additionalInfo\"}", ",\"service\":\"additionalInfo\"");
}

static void test_the_trigger_goes_from_macie_alone(void **state) {
    (void)state;
    CHECK_MACIE("{\"trigger\":{\"a\":1},\"b\":{\"trigger\":2}}", ",\"b\":{\"trigger\":2}");
    CHECK_OTHER("{\"trigger\":{\"a\":1}}", ",\"trigger\":{\"a\":1}");
}

#define SUMMARY(members) "{\"summary\":{" members "}}"
#define SHAPED_SUMMARY(members) ",\"summary\":{" members "}"

static void test_summaries_become_their_keys(void **state) {
    (void)state;
    CHECK_MACIE(SUMMARY("\"IP\":{\"1.2\":3,\"4\":5},\"Owner\":{},\"Other\":{\"a\":1}"),
                SHAPED_SUMMARY("\"IP\":[\"1.2\",\"4\"],\"Owner\":[],\"Other\":{\"a\":1}"));
    CHECK_MACIE(SUMMARY("\"Bucket\":{\"a\":{\"b\":1,\"c\":{\"d\":2}},\"e\":{},\"f\":null,\"g\":3}"),
                SHAPED_SUMMARY("\"Bucket\":[\"a.b\",\"a.c.d\",\"g\"]"));
    CHECK_MACIE(SUMMARY("\"Object\":[{\"a\":null,\"b\":{\"c\":[1]}}]"),
                SHAPED_SUMMARY("\"Object\":[\"a\",\"b.c\"]"));
    CHECK_MACIE(SUMMARY("\"Themes\":\"x\",\"Timestamps\":[1,2],\"DLP risk\":[7]"),
                SHAPED_SUMMARY("\"Themes\":\"x\",\"Timestamps\":[1,2],\"DLP risk\":7"));
    CHECK_MACIE(SUMMARY("\"Location\":{\"\\u0041\\\"\":1,\"\":2}"),
                SHAPED_SUMMARY("\"Location\":[\"\\u0041\\\"\",\"\"]"));
    CHECK_MACIE("{\"summary\":[{\"recipientAccountId\":{\"1\":2}}]}",
                SHAPED_SUMMARY("\"recipientAccountId\":[\"1\"]"));
    CHECK_MACIE("{\"summary\":\"IP\"}", ",\"summary\":\"IP\"");
    CHECK_OTHER(SUMMARY("\"IP\":{\"1\":3}"), SHAPED_SUMMARY("\"IP\":{\"1\":3}"));
}

static void test_calls_become_keys_and_keep_their_count(void **state) {
    (void)state;
    CHECK_MACIE(SUMMARY("\"Events\":{\"Put\":{\"count\":3,\"ISP\":{\"a\":1,\"b\":2}}}"),
                SHAPED_SUMMARY("\"Events\":{\"Put\":{\"count\":[\"3\"],\"ISP\":[\"a\",\"b\"]}}"));
    CHECK_MACIE(
        SUMMARY("\"Events\":{\"P\":{\"count\":[12345678901234567890]},\"Q\":{\"x\":\"y\"}}"),
        SHAPED_SUMMARY("\"Events\":{\"P\":{\"count\":[\"12345678901234567890\"]},"
                       "\"Q\":{\"x\":[\"\"]}}"));
    CHECK_MACIE(SUMMARY("\"Events\":{\"P\":{\"count\":\"3\"},\"Q\":{\"count\":{\"a\":1}}}"),
                SHAPED_SUMMARY("\"Events\":{\"P\":{\"count\":[\"3\"]},\"Q\":{\"count\":[\"a\"]}}"));
    CHECK_MACIE(SUMMARY("\"Events\":{\"P\":7,\"Q\":[1,2]}"),
                SHAPED_SUMMARY("\"Events\":{\"P\":7,\"Q\":[1,2]}"));
    CHECK_MACIE(SUMMARY("\"Events\":[]"), SHAPED_SUMMARY("\"Events\":[]"));
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void test_numbers_keep_their_digits(void **state) {
    (void)state;
    CHECK_OTHER("{\"a\":18446744073709551616,\"b\":-0,\"c\":1.10,\"d\":0.1E+03,\"e\":1e-400}",
                ",\"a\":18446744073709551616,\"b\":-0,\"c\":1.10,\"d\":0.1E+03,\"e\":1e-400");
    CHECK_OTHER("{\"a\":[3.14159265358979323846264338327950288 ,null]}",
                ",\"a\":[3.14159265358979323846264338327950288,null]");
}

static void test_leading_zeros_of_a_place(void **state) {
    (void)state;
    CHECK_OTHER("{\"lat\":0048.50,\"lon\":-002.0,\"a\":[{\"lat\":00,\"lon\":0.5}]}",
                ",\"lat\":48.50,\"lon\":-2.0,\"a\":{\"lat\":0,\"lon\":0.5}");
    CHECK_REFUSED("{\"a\":007}");
    CHECK_REFUSED("{\"lat\":[007]}");
    CHECK_REFUSED("{\"lat\":00.}");
}

static void test_names_that_occur_twice(void **state) {
    (void)state;
    CHECK_OTHER("{\"a\":1,\"b\":2,\"a\":3}", ",\"a\":3,\"b\":2");
    CHECK_OTHER("{\"a\":{\"x\":1},\"\\u0061\":{\"y\":[2]},\"c\":3}", ",\"a\":{\"y\":2},\"c\":3");
    CHECK_OTHER("{\"a\":1,\"a\":null,\"b\":[{\"c\":1,\"c\":2},{\"c\":1,\"c\":null}]}",
                ",\"b\":[{\"c\":2},{\"c\":null}]");
    CHECK_OTHER("{\"a\":[1,2],\"a\":[3],\"a\":[4]}", ",\"a\":4");
    CHECK_OTHER("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", ",\"\\ud83d\\ude00\":2");
    CHECK("{\"source\":\"aws.x\",\"detail\":1,\"detail\":{\"type\":1,\"type\":2},\"source\":\"y\"}",
          MESSAGE("\"source\":\"y\",\"type\":2,", ""));
    CHECK_SKIPPED("{\"detail\":{},\"detail\":1}");
}

static void test_one_of_many_names_occurs_twice(void **state) {
    (void)state;
    struct buf event, message;
    buf_init(&event, EVENT_MAX);
    buf_init(&message, EVENT_MAX);
    assert_int_equal(buf_append_str(&event, "{\"source\":\"x\",\"detail\":{\"m\":{"), 0);
    assert_int_equal(buf_append_str(&message, MESSAGE("\"source\":\"x\",", ",\"m\":{")), 0);
    message.len -= 2;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_printf(&event, "\"member-%03d-of-many\":%d,", i, i), 0);
        assert_int_equal(
            buf_printf(&message, "%s\"member-%03d-of-many\":%d", i ? "," : "", i, i == 7 ? 9 : i),
            0);
    }
    assert_int_equal(buf_append_str(&event, "\"member-007-of-many\":9}}}"), 0);
    assert_int_equal(buf_append_str(&message, "}}}"), 0);
    check((const char *)event.at, event.len, buf_str(&message));
    buf_free(&event);
    buf_free(&message);
}

static void test_strings_keep_their_bytes(void **state) {
    (void)state;
    CHECK_OTHER("{\"a\":\"\\/\\u00e9\\u0000\xc3\xa9\xff\x7f\"}",
                ",\"a\":\"\\/\\u00e9\\u0000\xc3\xa9\xff\x7f\"");
    CHECK_OTHER("{\"a\":\"\\ud83d\\ude00\\ud83d\",\"b\":\"\\udc00x\\ud800\\ud800\\udc00\"}",
                ",\"a\":\"\\ud83d\\ude00\\ufffd\",\"b\":\"\\ufffdx\\ufffd\\ud800\\udc00\"");
    CHECK_OTHER("{\"a\":[[\"\\ud800\"],{\"\\ud800\":1}]}",
                ",\"a\":[[\"\\ufffd\"],{\"\\ufffd\":1}]");
}

static void test_white_space_between_tokens_goes(void **state) {
    (void)state;
    CHECK(
        " {\t\"source\" : \"aws.x\" ,\r\n\"detail\"\n:{ \"a\":[ ],\"b\" :{\t},\"c\":[ 1 ,\t2 ]} } ",
        MESSAGE("\"source\":\"x\",", ",\"a\":[],\"b\":{},\"c\":[1,2]"));
}

static void test_what_is_no_json_is_refused(void **state) {
    (void)state;
    static const char *const values[] = {
        "",         "nul",        "nulll",     "tru",         "True",     "NaN",
        "Infinity", "-Infinity",  "+1",        "-",           ".5",       "1.",
        "1e",       "1e+",        "0x1",       "'a'",         "\"",       "\"\\\"",
        "\"\\",     "\"\\x\"",    "\"\\u12\"", "\"\\u12g4\"", "\"\t\"",   "\"\n\"",
        "[1,]",     "[,1]",       "[1 2]",     "[1",          "]",        "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{,}",       "{\"a\" 1}",   "{a:1}",    "{1:1}",
        "[1}",      "1,",         "1}",        "/**/1",       "\"\x1f\"",
    };
    struct buf event;
    buf_init(&event, EVENT_MAX);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        buf_reset(&event);
        assert_int_equal(buf_printf(&event, "{\"source\":\"x\",\"detail\":{\"a\":%s}}", values[i]),
                         0);
        check_skipped((const char *)event.at, event.len);
    }
    buf_free(&event);
    CHECK_SKIPPED("");
    CHECK_SKIPPED(" ");
    CHECK_SKIPPED("[]");
    CHECK_SKIPPED("{\"detail\":{}} x");
    CHECK_SKIPPED("{\"detail\":{}}{}");
    CHECK_SKIPPED("{\"detail\":{}}\0");
    CHECK_SKIPPED("\xef\xbb\xbf{\"detail\":{}}");
}

/* --- What is too long ------------------------------------------------------------------------- */

#define RULES "\"severity\":{\"score\":3,\"description\":\"High\"},\"type\":\"t\",\"title\":\"u\""
#define TRUNCATED ",\"maciefs\":{\"truncated\":true}"
#define SLIMMED                                                                                    \
    "{\"integration\":\"aws\",\"aws\":{\"source\":\"macie\"," RULES "," LOG_INFO TRUNCATED

static void append(struct buf *buf, const char *part) {
    assert_int_equal(buf_append_str(buf, part), 0);
}

static void append_times(struct buf *buf, size_t times, const char *part) {
    while (times--)
        append(buf, part);
}

/* Begins an event whose detail has what the rules use. */
static void begin_event(struct buf *event) {
    buf_init(event, EVENT_MAX);
    append(event, "{\"source\":\"aws.macie\",\"detail\":{\"first\":1," RULES);
}

/* Ends the event, shapes it twice, and frees it. */
static void shape_long(struct buf *event, struct buf *line) {
    struct buf again;
    append(event, ",\"last\":[1,2,3]}}");
    assert_int_equal(shape_copy(event->at, event->len, line), 0);
    check("{\"detail\":{}}", 13, MESSAGE("", ""));
    assert_int_equal(shape_copy(event->at, event->len, &again), 0);
    assert_string_equal(buf_str(line), buf_str(&again));
    buf_free(&again);
    buf_free(event);
}

static void assert_begins(struct buf *line, const char *with) {
    assert_int_equal(strncmp(buf_str(line), with, strlen(with)), 0);
}

static void append_cells(struct buf *event, size_t count) {
    append(event, ",\"cells\":[");
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buf_printf(event, "%s{\"row\":%06zu1}", i ? "," : "", 100000 + i), 0);
    append(event, "]");
}

static void check_cells(size_t size) {
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"text\":\"");
    append_times(&event, 8000, "x");
    append(&event, "\"");
    append_cells(&event, size / sizeof "{\"row\":1234567}");
    append(&event, ",\"short\":[1,2,3,4,5,6,7,8,9]");
    assert_true(event.len > size);
    shape_long(&event, &line);
    assert_begins(&line, SLIMMED ",\"first\":1,\"text\":\"xxx");
    assert_non_null(
        strstr(buf_str(&line), "xxx\",\"cells\":[{\"row\":1000001},{\"row\":1000011},"));
    assert_non_null(strstr(buf_str(&line), "}],\"short\":[1,2,3,4,5,6,7,8,9],\"last\":[1,2,3]}}"));
    assert_true(line.len > SHAPE_LINE_MAX - 20);
    cJSON *message = cJSON_Parse(buf_str(&line));
    assert_int_equal(strlen(text(member(message, "aws"), "text")), 8000);
    cJSON_Delete(message);
    buf_free(&line);
}

static void test_the_longest_arrays_are_cut_first(void **state) {
    (void)state;
    check_cells(70 << 10);
    check_cells(300 << 10);
    check_cells(1 << 20);
}

static void test_long_arrays_are_cut_to_one_length(void **state) {
    (void)state;
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"a\":{\"x\":[[0");
    append_times(&event, 9000, ",\"one\"");
    append(&event, "],[0");
    append_times(&event, 99000, ",\"one\"");
    append(&event, "],[0,1]]}");
    shape_long(&event, &line);
    cJSON *message = cJSON_Parse(buf_str(&line));
    const cJSON *arrays = member(member(member(message, "aws"), "a"), "x");
    assert_int_equal(cJSON_GetArraySize(arrays), 3);
    int longest = cJSON_GetArraySize(cJSON_GetArrayItem(arrays, 0));
    assert_in_range(longest, 5000, 6000);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(arrays, 1)), longest);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(arrays, 2)), 2);
    cJSON_Delete(message);
    buf_free(&line);
}

static void check_long_string(const char *part) {
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"text\":\"");
    append_times(&event, 200000 / strlen(part), part);
    append(&event, "\",\"other\":\"o\"");
    shape_long(&event, &line);
    assert_begins(&line, SLIMMED ",\"first\":1,\"text\":\"");
    const char *end = strstr(buf_str(&line), "\",\"other\":\"o\",\"last\":[1,2,3]}}");
    assert_non_null(end);
    assert_memory_equal(end - strlen(part), part, strlen(part));
    assert_true(line.len > SHAPE_LINE_MAX - 13);
    buf_free(&line);
}

static void test_long_strings_are_cut_between_characters(void **state) {
    (void)state;
    check_long_string("x");
    check_long_string("\\n");
    check_long_string("\\u00e9");
    check_long_string("\\ud83d\\ude00");
    check_long_string("\xc3\xa9");
    check_long_string("\xf0\x9f\x98\x80");
}

static void test_names_alone_are_too_long(void **state) {
    (void)state;
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"a\":{");
    for (int i = 0; i < 20000; i++)
        assert_int_equal(buf_printf(&event, "%s\"name-%d\":%d", i ? "," : "", i, i % 10), 0);
    append(&event, "}");
    shape_long(&event, &line);
    assert_begins(&line, SLIMMED ",\"first\":1,\"a\":{\"name-0\":0,\"name-1\":1,");
    assert_non_null(strstr(buf_str(&line), "},\"last\":[]}}"));
    buf_free(&line);
    begin_event(&event);
    append(&event, ",\"");
    append_times(&event, 70000, "n");
    append(&event, "\":1");
    shape_long(&event, &line);
    assert_string_equal(buf_str(&line), SLIMMED ",\"first\":1}}");
    buf_free(&line);
}

static void test_keys_are_cut_like_arrays(void **state) {
    (void)state;
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"summary\":{\"Object\":{\"deep\":{");
    for (int i = 0; i < 20000; i++)
        assert_int_equal(buf_printf(&event, "%s\"%d\":%d", i ? "," : "", i, i), 0);
    append(&event, "}},\"IP\":{\"1\":1,\"2\":2}}");
    shape_long(&event, &line);
    assert_begins(&line, SLIMMED ",\"first\":1,\"summary\":{\"Object\":[\"deep.0\",\"deep.1\",");
    assert_non_null(strstr(buf_str(&line), "\"],\"IP\":[\"1\",\"2\"]},\"last\":[1,2,3]}}"));
    assert_true(line.len > SHAPE_LINE_MAX - 13);
    buf_free(&line);
}

/* The longest title that is not cut. */
static void test_the_limit_itself(void **state) {
    (void)state;
    static const char frame[] = MESSAGE("\"title\":\"\",", "");
    for (size_t over = 0; over < 2; over++) {
        struct buf event, line;
        buf_init(&event, EVENT_MAX);
        append(&event, "{\"detail\":{\"title\":\"");
        append_times(&event, SHAPE_LINE_MAX - (sizeof frame - 1) + over, "x");
        append(&event, "\"}}");
        assert_int_equal(shape_copy(event.at, event.len, &line), 0);
        assert_int_equal(line.len == SHAPE_LINE_MAX, !over);
        assert_int_equal(strstr(buf_str(&line), "truncated") != NULL, over);
        buf_free(&line);
        buf_free(&event);
    }
}

static void test_a_mark_in_the_detail_is_replaced(void **state) {
    (void)state;
    CHECK_OTHER("{\"maciefs\":{\"truncated\":0}}", ",\"maciefs\":{\"truncated\":0}");
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"maciefs\":{\"truncated\":false}");
    append_cells(&event, 10000);
    shape_long(&event, &line);
    assert_begins(&line, SLIMMED ",\"first\":1,\"cells\":[{");
    assert_null(strstr(buf_str(&line), "\"truncated\":false"));
    buf_free(&line);
}

/* What the rules use stays whole whatever else has to go, and alone is cut. */
static void test_what_rules_use_is_cut_last(void **state) {
    (void)state;
    struct buf event, line;
    buf_init(&event, EVENT_MAX);
    append(&event, "{\"source\":\"aws.macie\",\"detail\":{\"a\":1,\"type\":\"");
    append_times(&event, 30000, "t");
    append(&event, "\",\"title\":[");
    append_times(&event, 10000, "1,");
    append(&event, "1],\"severity\":{\"description\":\"High\",\"x\":\"");
    append_times(&event, 10000, "s");
    append(&event, "\"}");
    append_cells(&event, 100);
    size_t len = event.len;
    append(&event, "}}");
    assert_int_equal(shape_copy(event.at, event.len, &line), 0);
    assert_true(line.len > 60000);
    assert_non_null(strstr(buf_str(&line), ",1,1],\"log_info\""));
    buf_free(&line);
    event.len = len;
    append(&event, ",\"log_info\":[\"");
    append_times(&event, 20000, "l");
    append(&event, "\",2]}}");
    assert_int_equal(shape_copy(event.at, event.len, &line), 0);
    assert_begins(&line, "{\"integration\":\"aws\",\"aws\":{\"source\":\"macie\",\"severity\":{"
                         "\"description\":\"High\"},\"type\":\"tttt");
    assert_non_null(strstr(buf_str(&line), "t\"," LOG_INFO TRUNCATED "}}"));
    buf_free(&line);
    buf_free(&event);
}

/* --- What is too large for a tree ------------------------------------------------------------- */

static void check_picked(struct buf *event) {
    struct buf line;
    assert_int_equal(shape_copy(event->at, event->len, &line), 0);
    assert_string_equal(
        buf_str(&line),
        "{\"integration\":\"aws\",\"aws\":{\"source\":\"macie\",\"severity\":{"
        "\"description\":\"High\",\"score\":3},\"type\":\"t\",\"title\":\"u\"," LOG_INFO TRUNCATED
        "}}");
    buf_free(&line);
    buf_free(event);
}

static void test_events_too_large_for_a_tree(void **state) {
    (void)state;
    struct buf event;
    begin_event(&event);
    append(&event, ",\"severity\":{\"x\":[],\"description\":\"High\",\"score\":3},\"a\":\"");
    append_times(&event, 1 << 20, "0123456789abcdef");
    append(&event, "\"}}");
    check_picked(&event);
    begin_event(&event);
    append(&event, ",\"a\":[0");
    append_times(&event, 300000, ",{}");
    append(&event, "]}}");
    check_picked(&event);
    begin_event(&event);
    append(&event, ",\"a\":");
    append_times(&event, 100000, "{\"type\":[");
    append_times(&event, 100000, "]}");
    append(&event, "}}");
    check_picked(&event);
}

static void test_large_events_without_a_detail(void **state) {
    (void)state;
    static const char *const ends[] = {"",
                                       "}",
                                       ",\"detail\":7}",
                                       ",\"detail\":{\"type\":x}}",
                                       ",\"detail\":{}",
                                       ",\"detail\":{}}}"};
    struct buf event;
    buf_init(&event, EVENT_MAX);
    append(&event, "{\"a\":");
    append_times(&event, 1000, "[");
    append_times(&event, 1000, "]");
    size_t len = event.len;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        event.len = len;
        append(&event, ends[i]);
        check_skipped((const char *)event.at, event.len);
    }
    buf_free(&event);
}

static void test_large_events_with_large_strings(void **state) {
    (void)state;
    struct buf event, line;
    buf_init(&event, EVENT_MAX);
    append(&event, "{\"source\":\"aws.macie\",\"detail\":{\"type\":\"");
    append_times(&event, 6 << 20, "\\n\\t");
    append(&event, "\",\"title\":");
    append_times(&event, 100000, "1");
    append(&event, ",\"severity\":[1]}}");
    assert_int_equal(shape_copy(event.at, event.len, &line), 0);
    assert_begins(&line,
                  "{\"integration\":\"aws\",\"aws\":{\"source\":\"macie\",\"type\":\"\\n\\t");
    assert_non_null(strstr(buf_str(&line), "\\n\\t\"," LOG_INFO TRUNCATED "}}"));
    buf_free(&line);
    buf_free(&event);
}

static void test_the_deepest_tree(void **state) {
    (void)state;
    struct buf event, line;
    buf_init(&event, EVENT_MAX);
    /* Together with the event's two, as deep as a tree may be; wrapping adds one. */
    append(&event, "{\"detail\":{\"tags\":[0,");
    append_times(&event, 987, "[");
    append_times(&event, 987, "]");
    append(&event, "]}}");
    assert_int_equal(shape_copy(event.at, event.len, &line), 0);
    assert_null(strstr(buf_str(&line), "truncated"));
    buf_free(&line);
    buf_free(&event);
}

/* --- Hostile events --------------------------------------------------------------------------- */

/* Whatever the bytes are, there is a message, or there is none. */
static void shape_any(const void *event, size_t len) {
    struct buf line;
    int became = shape_copy(event, len, &line);
    assert_true(became == 0 || became == SHAPE_SKIPPED);
    buf_free(&line);
}

static void cut_and_flip(const cJSON *vector) {
    const char *event = text(vector, "event");
    size_t len = strlen(event);
    char *copy = strdup(event);
    assert_non_null(copy);
    for (size_t i = 0; i < len; i++) {
        check_skipped(event, i);
        copy[i] = (char)(event[i] ^ 1 << i % 8);
        shape_any(copy, len);
        copy[i] = (char)("\"\\{}[],:0"[i % 9]);
        shape_any(copy, len);
        copy[i] = event[i];
    }
    free(copy);
}

static void test_cut_or_changed_anywhere(void **state) {
    (void)state;
    each_vector(cut_and_flip, 12);
}

static void test_names_with_one_hash(void **state) {
    (void)state;
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"a\":{\"\":0");
    for (int i = 0; i < 60000; i++)
        assert_int_equal(buf_printf(&event, ",\"beginning%08dand-end\":%d", i / 2, i), 0);
    append(&event, "}");
    shape_long(&event, &line);
    assert_begins(&line, SLIMMED ",\"first\":1,\"a\":{\"\":0,\"beginning00000000and-end\":1,"
                                 "\"beginning00000001and-end\":3,");
    buf_free(&line);
}

/* --- Events as they are ----------------------------------------------------------------------- */

static int plain(const char *event, struct buf *line) {
    buf_init(line, 2 * SHAPE_LINE_MAX);
    return shape_plain(shaper, (const uint8_t *)event, strlen(event), line);
}

static void test_plain_events_are_as_they_are(void **state) {
    (void)state;
    static const char *const kept[] = {
        "{\"source\":\"aws.macie\",\"detail\":{ \"a\":[1],\"n\":null,\"d\":1.50}}",
        "{\"x\":[null], \"detail\":{}}",
    };
    static const char *const left_out[] = {"{\"detail\":[1]}", "{\"a\":1}", "text", "",
                                           "{\"detail\":"};
    struct buf line;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        assert_int_equal(plain(kept[i], &line), 0);
        assert_string_equal(buf_str(&line), kept[i]);
        buf_free(&line);
    }
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        assert_int_equal(plain(left_out[i], &line), SHAPE_SKIPPED);
        assert_int_equal(line.len, 0);
    }
}

static void check_long_plain(size_t cells) {
    struct buf event, line;
    begin_event(&event);
    append(&event, ",\"one\":[1],\"none\":null");
    append_cells(&event, cells);
    append(&event, "}}");
    assert_int_equal(plain(buf_str(&event), &line), 0);
    assert_true(is_message(&line));
    assert_true(line.len > SHAPE_LINE_MAX - 40);
    assert_begins(&line, "{\"maciefs\":{\"truncated\":true},\"source\":\"aws.macie\","
                         "\"detail\":{\"first\":1," RULES ",\"one\":[1],\"none\":null,\"cells\":[");
    buf_free(&line);
    buf_free(&event);
}

static void test_long_plain_events_are_slimmed(void **state) {
    (void)state;
    check_long_plain(6000);
    check_long_plain(60000);
}

/* What the rules use is looked for in an event too large for a tree, here as well. */
static void test_plain_events_too_large_for_a_tree(void **state) {
    (void)state;
    struct buf event, line;
    begin_event(&event);
    append_cells(&event, 200000);
    append(&event, "}}");
    assert_int_equal(plain(buf_str(&event), &line), 0);
    assert_true(is_message(&line));
    assert_begins(&line, "{\"maciefs\":{\"truncated\":true},\"source\":\"aws.macie\",\"detail\":{"
                         "\"severity\":{\"description\":\"High\",\"score\":3},\"type\":\"t\",");
    buf_free(&line);
    buf_free(&event);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_what_rules_look_at_comes_first),
        cmocka_unit_test(test_the_source_overwrites_the_details),
        cmocka_unit_test(test_without_a_source_the_detail_keeps_its_own),
        cmocka_unit_test(test_no_detail_no_message),
        cmocka_unit_test(test_a_log_info_of_the_detail_takes_the_place),
        cmocka_unit_test(test_the_origin_is_escaped),
        cmocka_unit_test(test_a_damaged_object),
        cmocka_unit_test(test_no_origin_is_too_long),
        cmocka_unit_test(test_messages_are_appended),
        cmocka_unit_test(test_nulls_go_from_objects_alone),
        cmocka_unit_test(test_arrays_of_one),
        cmocka_unit_test(test_the_callers_address_is_copied),
        cmocka_unit_test(test_tags_become_an_object),
        cmocka_unit_test(test_what_is_unusual_becomes_an_object),
        cmocka_unit_test(test_the_trigger_goes_from_macie_alone),
        cmocka_unit_test(test_summaries_become_their_keys),
        cmocka_unit_test(test_calls_become_keys_and_keep_their_count),
        cmocka_unit_test(test_numbers_keep_their_digits),
        cmocka_unit_test(test_leading_zeros_of_a_place),
        cmocka_unit_test(test_names_that_occur_twice),
        cmocka_unit_test(test_one_of_many_names_occurs_twice),
        cmocka_unit_test(test_strings_keep_their_bytes),
        cmocka_unit_test(test_white_space_between_tokens_goes),
        cmocka_unit_test(test_what_is_no_json_is_refused),
        cmocka_unit_test(test_the_longest_arrays_are_cut_first),
        cmocka_unit_test(test_long_arrays_are_cut_to_one_length),
        cmocka_unit_test(test_long_strings_are_cut_between_characters),
        cmocka_unit_test(test_names_alone_are_too_long),
        cmocka_unit_test(test_keys_are_cut_like_arrays),
        cmocka_unit_test(test_the_limit_itself),
        cmocka_unit_test(test_a_mark_in_the_detail_is_replaced),
        cmocka_unit_test(test_what_rules_use_is_cut_last),
        cmocka_unit_test(test_events_too_large_for_a_tree),
        cmocka_unit_test(test_large_events_without_a_detail),
        cmocka_unit_test(test_large_events_with_large_strings),
        cmocka_unit_test(test_the_deepest_tree),
        cmocka_unit_test(test_cut_or_changed_anywhere),
        cmocka_unit_test(test_names_with_one_hash),
        cmocka_unit_test(test_plain_events_are_as_they_are),
        cmocka_unit_test(test_long_plain_events_are_slimmed),
        cmocka_unit_test(test_plain_events_too_large_for_a_tree),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
