#include <errno.h>
#include <maciefs/s3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define URL "<EncodingType>url</EncodingType>"
#define WHOLE "<IsTruncated>false</IsTruncated>"
#define TAIL "</ListBucketResult>"
#define REST                                                                                       \
    "<LastModified>2026-11-24T05:06:07.000Z</LastModified><ETag>&quot;e&quot;</ETag>"              \
    "<Size>5</Size><StorageClass>STANDARD</StorageClass>"
#define CONTENTS(key) "<Contents><Key>" key "</Key>" REST "</Contents>"
#define FOLDER(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

static int parse(const char *xml, const char *prefix, struct listing *ret) {
    *ret = (struct listing){0};
    return s3_list_parse((const uint8_t *)xml, strlen(xml), prefix, '/', ret);
}

static void assert_parses_as(const char *xml, int expected) {
    struct listing page;
    int err = parse(xml, "", &page);
    listing_free(&page);
    if (err != expected)
        print_error("%s\n", xml);
    assert_int_equal(err, expected);
}

static void reads_a_page(void **state) {
    (void)state;
    struct listing page;
    const char *xml = HEAD
        "<Name>b</Name><Prefix>macie%2F</Prefix><KeyCount>3</KeyCount><MaxKeys>3</MaxKeys>" URL
        "<IsTruncated>true</IsTruncated><NextContinuationToken>1/+=&amp;x</NextContinuationToken>"
        "<Contents><Key>macie%2F2026/11/24/05/a.gz</Key>"
        "<LastModified>2026-11-24T05:06:07.123Z</LastModified>"
        "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e-2&quot;</ETag>"
        "<Size>9223372036854775807</Size>"
        "<Owner><ID>1</ID><DisplayName>x</DisplayName></Owner>"
        "<StorageClass>STANDARD</StorageClass></Contents>" CONTENTS("macie/2026/11/24/05/b.gz")
            FOLDER("macie%2F2027%2F") TAIL;
    assert_int_equal(parse(xml, "macie/", &page), 0);
    assert_int_equal(page.object_count, 2);
    assert_string_equal(page.objects[0].key, "2026/11/24/05/a.gz");
    assert_string_equal(page.objects[0].etag, "d41d8cd98f00b204e9800998ecf8427e-2");
    assert_int_equal(page.objects[0].size, INT64_MAX);
    assert_int_equal(page.objects[0].modified, 1795496767);
    assert_string_equal(page.objects[1].key, "2026/11/24/05/b.gz");
    assert_string_equal(page.objects[1].etag, "e");
    assert_int_equal(page.folder_count, 1);
    assert_string_equal(page.folders[0], "2027/");
    assert_string_equal(page.next, "1/+=&x");
    assert_int_equal(page.skipped, 0);
    listing_free(&page);
}

static void decodes_keys(void **state) {
    static const struct {
        const char *encoded, *key;
    } cases[] = {
        {"a%2Fb", "a/b"},
        {"a/b", "a/b"},
        {"a%2fb", "a/b"},
        {"a+b%20c", "a b c"},
        {"%2B", "+"},
        {"100%25", "100%"},
        {"%C3%A9", "\xc3\xa9"},
        {"%01%1B%0A", "\x01\x1b\n"},
        {"..%2F..%2F%2Fetc//x", "../..//etc//x"},
        {"%FF", "\xff"},
        {"a&amp;&lt;&gt;&#x41;", "a&<>A"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char xml[1000];
        struct listing page;
        snprintf(xml, sizeof xml, HEAD URL WHOLE CONTENTS("%s") TAIL, cases[i].encoded);
        assert_int_equal(parse(xml, "", &page), 0);
        assert_int_equal(page.object_count, 1);
        assert_string_equal(page.objects[0].key, cases[i].key);
        listing_free(&page);
    }
}

static void skips_keys_that_are_none(void **state) {
    static const char *const encoded[] = {"%", "a%", "%4", "%4g", "%g4", "%-1a", "%00a", "a%00b"};
    (void)state;
    for (size_t i = 0; i < sizeof encoded / sizeof *encoded; i++) {
        char xml[1000];
        struct listing page;
        snprintf(xml, sizeof xml,
                 HEAD URL WHOLE CONTENTS("m/%s") CONTENTS("m/good") FOLDER("m/%s/") TAIL,
                 encoded[i], encoded[i]);
        assert_int_equal(parse(xml, "m/", &page), 0);
        assert_int_equal(page.object_count, 1);
        assert_string_equal(page.objects[0].key, "good");
        assert_int_equal(page.folder_count, 0);
        assert_int_equal(page.skipped, 2);
        listing_free(&page);
    }
}

static void skips_what_is_not_below_the_prefix(void **state) {
    (void)state;
    struct listing page;
    const char *xml = HEAD URL WHOLE CONTENTS("m/") CONTENTS("m") CONTENTS("") CONTENTS("n/a")
        CONTENTS("m%2Fa") FOLDER("m/") FOLDER("n/b/") FOLDER("m/no-folder") FOLDER("m/b/") TAIL;
    assert_int_equal(parse(xml, "m/", &page), 0);
    assert_int_equal(page.object_count, 1);
    assert_int_equal(page.folder_count, 1);
    assert_int_equal(page.skipped, 7);
    listing_free(&page);
}

static void bounds_the_length_of_keys(void **state) {
    static const struct {
        int len;
        size_t objects;
    } cases[] = {{1024, 1}, {1025, 0}, {4096, 0}, {4097, 0}, {100000, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *xml = NULL;
        struct listing page;
        assert_true(asprintf(&xml, HEAD URL WHOLE CONTENTS("%0*d") TAIL, cases[i].len, 0) > 0);
        assert_int_equal(parse(xml, "", &page), 0);
        assert_int_equal(page.object_count, cases[i].objects);
        assert_int_equal(page.skipped, 1 - cases[i].objects);
        listing_free(&page);
        free(xml);
    }
}

static void reads_encoded_keys_of_full_length(void **state) {
    (void)state;
    struct buf xml;
    struct listing page;
    buf_init(&xml, 1 << 20);
    buf_append_str(&xml, HEAD URL WHOLE "<Contents><Key>");
    for (size_t i = 0; i < 1024; i++)
        buf_append_str(&xml, "%C3");
    buf_append_str(&xml, "</Key>" REST "</Contents>" TAIL);
    assert_int_equal(parse(buf_str(&xml), "", &page), 0);
    assert_int_equal(page.object_count, 1);
    assert_int_equal(strlen(page.objects[0].key), 1024);
    listing_free(&page);
    buf_free(&xml);
}

static void leaves_bare_keys_alone(void **state) {
    (void)state;
    struct listing page;
    assert_int_equal(parse(HEAD WHOLE CONTENTS("a+b%20c%") TAIL, "", &page), 0);
    assert_string_equal(page.objects[0].key, "a+b%20c%");
    listing_free(&page);
}

static void takes_the_encoding_wherever_it_stands(void **state) {
    (void)state;
    struct listing page;
    assert_int_equal(parse(HEAD WHOLE CONTENTS("a+b") URL TAIL, "", &page), 0);
    assert_string_equal(page.objects[0].key, "a b");
    listing_free(&page);
    /* A key's own text says nothing. */
    assert_int_equal(parse(HEAD WHOLE
                           "<Contents><EncodingType>url</EncodingType><Key>a+b</Key>" REST
                           "</Contents>" TAIL,
                           "", &page),
                     0);
    assert_string_equal(page.objects[0].key, "a+b");
    listing_free(&page);
}

static void takes_any_namespace(void **state) {
    (void)state;
    struct listing page;
    const char *prefixed =
        "<s:ListBucketResult xmlns:s=\"u\"><s:IsTruncated>false</s:IsTruncated>"
        "<s:Contents><s:Key>a</s:Key><s:LastModified>2026-01-01T00:00:00Z</s:LastModified>"
        "<s:Size>0</s:Size></s:Contents></s:ListBucketResult>";
    assert_int_equal(parse(prefixed, "", &page), 0);
    assert_int_equal(page.object_count, 1);
    assert_string_equal(page.objects[0].etag, "");
    listing_free(&page);
    assert_int_equal(parse("<ListBucketResult>" WHOLE CONTENTS("a") TAIL, "", &page), 0);
    assert_int_equal(page.object_count, 1);
    listing_free(&page);
}

static void refuses_what_is_no_answer(void **state) {
    static const char *const cases[] = {
        "",
        "garbage",
        "<html><body>Sign in</body></html>",
        "<Error><Code>InternalError</Code></Error>",
        "<ListBucketResults>" WHOLE "</ListBucketResults>",
        "<ListBucketResult/>", /* does not say whether there is more */
        HEAD WHOLE CONTENTS("a"),
        HEAD WHOLE CONTENTS("a") "</ListBucketRes",
        HEAD WHOLE TAIL "<more/>",
        HEAD "<IsTruncated>true</IsTruncated>" CONTENTS("a") TAIL,
        HEAD "<IsTruncated>maybe</IsTruncated>" TAIL,
        HEAD "<IsTruncated>true</IsTruncated><NextContinuationToken/>" TAIL,
        HEAD WHOLE "<Contents>" REST "</Contents>" TAIL,
        HEAD WHOLE "<CommonPrefixes></CommonPrefixes>" TAIL,
        "<!DOCTYPE ListBucketResult><ListBucketResult>" WHOLE TAIL,
        "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><ListBucketResult>" WHOLE CONTENTS("&a;") TAIL,
        HEAD WHOLE CONTENTS("&undeclared;") TAIL,
        HEAD WHOLE CONTENTS("\xff") TAIL,
        HEAD WHOLE "<a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>" TAIL,
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_parses_as(cases[i], -EPROTO);
    assert_parses_as(HEAD WHOLE "<a><a><a><a><a><a><a/></a></a></a></a></a></a>" TAIL, 0);
}

#define FIELDS(time, etag, size)                                                                   \
    HEAD WHOLE "<Contents><Key>a</Key><LastModified>" time "</LastModified><ETag>" etag            \
               "</ETag><Size>" size "</Size></Contents>" TAIL
#define NOON "2026-11-24T12:00:00Z"

static void refuses_malformed_sizes(void **state) {
    static const char *const sizes[] = {"",
                                        "-1",
                                        "+1",
                                        "1.5",
                                        " 1",
                                        "0x1",
                                        "1e3",
                                        "9223372036854775808",
                                        "18446744073709551616",
                                        "99999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char xml[1000];
        snprintf(xml, sizeof xml, FIELDS(NOON, "", "%s"), sizes[i]);
        assert_parses_as(xml, -EPROTO);
    }
    assert_parses_as(FIELDS(NOON, "", "0"), 0);
    assert_parses_as(HEAD WHOLE "<Contents><Key>a</Key><LastModified>" NOON
                                "</LastModified></Contents>" TAIL,
                     -EPROTO);
}

static void refuses_malformed_times(void **state) {
    static const char *const times[] = {"",
                                        "Z",
                                        "2026-11-24",
                                        "2026-11-24T12:00:00",
                                        "2026-11-24 12:00:00Z",
                                        "2026-13-24T12:00:00Z",
                                        "2026-00-24T12:00:00Z",
                                        "2026-11-31T12:00:00Z",
                                        "2025-02-29T12:00:00Z",
                                        "2100-02-29T12:00:00Z",
                                        "2026-11-00T12:00:00Z",
                                        "2026-11-24T24:00:00Z",
                                        "2026-11-24T12:60:00Z",
                                        "2026-11-24T12:00:61Z",
                                        "2026-11-24T12:00:00.Z",
                                        "2026-11-24T12:00:00.12x4Z",
                                        "2026-11-24T12:00:00+01:00",
                                        "1969-11-24T12:00:00Z",
                                        "20x6-11-24T12:00:00Z",
                                        "2026-1 -24T12:00:00Z",
                                        "-026-11-24T12:00:00Z",
                                        "2026-11-24T12:00:00ZZ"};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char xml[1000];
        snprintf(xml, sizeof xml, FIELDS("%s", "", "1"), times[i]);
        assert_parses_as(xml, -EPROTO);
    }
}

static void reads_times(void **state) {
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"1970-01-01T00:00:00Z", 0},
                 {"2024-02-29T23:59:59.999999999Z", 1709251199},
                 {"2000-02-29T00:00:00.0Z", 951782400},
                 {"9999-12-31T23:59:59Z", 253402300799}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char xml[1000];
        struct listing page;
        snprintf(xml, sizeof xml, FIELDS("%s", "", "1"), cases[i].text);
        assert_int_equal(parse(xml, "", &page), 0);
        assert_int_equal(page.objects[0].modified, cases[i].seconds);
        listing_free(&page);
    }
}

/* It goes back in a header, where a line end would begin another one. */
static void refuses_etags_that_could_forge_a_header(void **state) {
    (void)state;
    assert_parses_as(FIELDS(NOON, "a&#13;&#10;x: y", "1"), -EPROTO);
    assert_parses_as(FIELDS(NOON, "a\"b", "1"), -EPROTO);
    assert_parses_as(FIELDS(NOON, "\xc3\xa9", "1"), -EPROTO);
    char xml[1000];
    snprintf(xml, sizeof xml, FIELDS(NOON, "%0*d", "1"), OBJECT_ETAG_MAX + 1, 0);
    assert_parses_as(xml, -EPROTO);
    snprintf(xml, sizeof xml, FIELDS(NOON, "%0*d", "1"), OBJECT_ETAG_MAX, 0);
    assert_parses_as(xml, 0);
}

static void bounds_a_page(void **state) {
    (void)state;
    for (int more = 0; more <= 1; more++) {
        struct buf xml;
        buf_init(&xml, 8 << 20);
        buf_append_str(&xml, HEAD URL WHOLE);
        for (int i = 0; i < LISTING_PAGE_MAX + more; i++)
            buf_printf(&xml, CONTENTS("%d"), i);
        buf_append_str(&xml, TAIL);
        assert_parses_as(buf_str(&xml), more ? -EPROTO : 0);
        buf_free(&xml);
    }
}

static struct s3_error error_of(const char *xml) {
    struct s3_error error;
    memset(&error, 'x', sizeof error);
    s3_error_parse((const uint8_t *)xml, strlen(xml), &error);
    return error;
}

static void reads_errors(void **state) {
    (void)state;
    struct s3_error error = error_of("<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code>"
                                     "<Message>Go\n there \xc3\xa9</Message>"
                                     "<Region>eu-west-1</Region></Error>");
    assert_string_equal(error.code, "PermanentRedirect");
    assert_string_equal(error.message, "Go? there ??");
    assert_string_equal(error.region, "eu-west-1");
}

static void takes_from_errors_only_what_fits(void **state) {
    (void)state;
    char xml[4000];
    snprintf(xml, sizeof xml,
             "<Error><Code>%0*d</Code><Message>%0*d</Message><Region>a b</Region>"
             "<StorageClass>no word</StorageClass><AccessTier>%0*d</AccessTier></Error>",
             64, 0, 3000, 0, 32, 0);
    struct s3_error error = error_of(xml);
    assert_string_equal(error.code, "");
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_string_equal(error.region, "");
    assert_string_equal(error.storage_class, "");
    assert_string_equal(error.access_tier, "");
    static const char *const none[] = {"", "garbage", "<html><Code>x</Code></html>", "<Error>",
                                       "<!DOCTYPE a><Error><Code>x</Code></Error>"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_string_equal(error_of(none[i]).code, "");
    assert_string_equal(error_of("<Error><Code>SlowDown</Code><Mess").code, "SlowDown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_page),
        cmocka_unit_test(decodes_keys),
        cmocka_unit_test(skips_keys_that_are_none),
        cmocka_unit_test(skips_what_is_not_below_the_prefix),
        cmocka_unit_test(bounds_the_length_of_keys),
        cmocka_unit_test(reads_encoded_keys_of_full_length),
        cmocka_unit_test(leaves_bare_keys_alone),
        cmocka_unit_test(takes_the_encoding_wherever_it_stands),
        cmocka_unit_test(takes_any_namespace),
        cmocka_unit_test(refuses_what_is_no_answer),
        cmocka_unit_test(refuses_malformed_sizes),
        cmocka_unit_test(refuses_malformed_times),
        cmocka_unit_test(reads_times),
        cmocka_unit_test(refuses_etags_that_could_forge_a_header),
        cmocka_unit_test(bounds_a_page),
        cmocka_unit_test(reads_errors),
        cmocka_unit_test(takes_from_errors_only_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
