/*
 * The signer, against the examples of the S3 API Reference ("Signature Calculations for the
 * Authorization Header") and the vectors of AWS's Signature Version 4 test suite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <maciefs/sigv4.h>
#include <maciefs/uri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S3_TIME 1369353600    /* 2013-05-24T00:00:00Z */
#define SUITE_TIME 1440938160 /* 2015-08-30T12:36:00Z */
#define MAX_HEADERS 4

static struct credentials s3_credentials = {
    .access_key_id = (char *)"AKIAIOSFODNN7EXAMPLE",
    .secret_access_key = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

static struct credentials suite_credentials = {
    .access_key_id = (char *)"AKIDEXAMPLE",
    .secret_access_key = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

struct vector {
    const char *name;
    const char *method;
    const char *path;
    const char *query;
    struct sigv4_header headers[MAX_HEADERS]; /* ends with the first without a name */
    const char *signed_names;
    const char *signature;
};

static size_t count_headers(const struct sigv4_header *headers) {
    size_t count = 0;
    while (count < MAX_HEADERS && headers[count].name)
        count++;
    return count;
}

static struct sigv4_request s3_request(const struct vector *vector) {
    return (struct sigv4_request){.method = vector->method,
                                  .path = vector->path,
                                  .query = vector->query,
                                  .headers = vector->headers,
                                  .header_count = count_headers(vector->headers),
                                  .payload_sha256 = SIGV4_EMPTY_SHA256,
                                  .region = "us-east-1",
                                  .service = "s3",
                                  .now = S3_TIME};
}

static struct sigv4_request suite_request(const struct vector *vector) {
    struct sigv4_request request = s3_request(vector);
    request.service = "service";
    request.now = SUITE_TIME;
    request.omit_content_sha256 = true;
    return request;
}

static void assert_authorization(const struct sigv4_request *request,
                                 const struct credentials *credentials, const char *scope,
                                 const struct vector *vector) {
    struct sigv4_signed lines = {0};
    assert_int_equal(sigv4_sign(request, credentials, &lines), 0);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
             credentials->access_key_id, scope, vector->signed_names, vector->signature);
    print_message("%s\n", vector->name);
    assert_string_equal(buf_str(&lines.authorization), expected);
    sigv4_free(&lines);
}

#define S3_HOST                                                                                    \
    { "host", "examplebucket.s3.amazonaws.com" }
#define S3_NAMES "host;x-amz-content-sha256;x-amz-date"

static const struct vector s3_vectors[] = {
    {"GET Object",
     "GET",
     "/test.txt",
     "",
     {{"range", "bytes=0-9"}, S3_HOST},
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"GET Bucket Lifecycle",
     "GET",
     "/",
     "lifecycle",
     {S3_HOST},
     S3_NAMES,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"Get Bucket (List Objects)",
     "GET",
     "/",
     "prefix=J&max-keys=2",
     {S3_HOST},
     S3_NAMES,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void signs_as_s3_documents(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof s3_vectors / sizeof *s3_vectors; i++) {
        struct sigv4_request request = s3_request(&s3_vectors[i]);
        assert_authorization(&request, &s3_credentials, "20130524/us-east-1/s3/aws4_request",
                             &s3_vectors[i]);
    }
}

static void signs_the_hash_of_a_body(void **state) {
    (void)state;
    static const struct vector put = {
        "PUT Object",
        "PUT",
        "/test%24file.text",
        "",
        {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
         {"date", "Fri, 24 May 2013 00:00:00 GMT"},
         S3_HOST},
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"};
    struct sigv4_request request = s3_request(&put);
    request.payload_sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    assert_authorization(&request, &s3_credentials, "20130524/us-east-1/s3/aws4_request", &put);
}

#define SUITE_HOST                                                                                 \
    { "host", "example.amazonaws.com" }
#define SUITE_NAMES "host;x-amz-date"
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const struct vector suite_vectors[] = {
    {"get-vanilla",
     "GET",
     "/",
     "",
     {SUITE_HOST},
     SUITE_NAMES,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     "Param1=value1",
     {SUITE_HOST},
     SUITE_NAMES,
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param2=value2&Param1=value1",
     {SUITE_HOST},
     SUITE_NAMES,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-encoded",
     "GET",
     "/",
     "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
     {SUITE_HOST},
     SUITE_NAMES,
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     UNRESERVED "=" UNRESERVED,
     {SUITE_HOST},
     SUITE_NAMES,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "%E1%88%B4=bar",
     {SUITE_HOST},
     SUITE_NAMES,
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-unreserved",
     "GET",
     "/" UNRESERVED,
     "",
     {SUITE_HOST},
     SUITE_NAMES,
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/%E1%88%B4",
     "",
     {SUITE_HOST},
     SUITE_NAMES,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space-unnormalized",
     "GET",
     "/example%20space/",
     "",
     {SUITE_HOST},
     SUITE_NAMES,
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-slash-dot-slash-unnormalized",
     "GET",
     "/./",
     "",
     {SUITE_HOST},
     SUITE_NAMES,
     "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {SUITE_HOST, {"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
};

static void signs_as_the_test_suite(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof suite_vectors / sizeof *suite_vectors; i++) {
        struct sigv4_request request = suite_request(&suite_vectors[i]);
        assert_authorization(&request, &suite_credentials,
                             "20150830/us-east-1/service/aws4_request", &suite_vectors[i]);
    }
}

static void signs_the_session_token(void **state) {
    (void)state;
    static const struct vector vector = {
        "get-vanilla-with-session-token",
        "GET",
        "/",
        "",
        {SUITE_HOST},
        "host;x-amz-date;x-amz-security-token",
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"};
    struct credentials credentials = suite_credentials;
    credentials.session_token =
        (char *)"6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    struct sigv4_request request = suite_request(&vector);
    assert_authorization(&request, &credentials, "20150830/us-east-1/service/aws4_request",
                         &vector);
}

static void writes_the_lines_to_send(void **state) {
    (void)state;
    struct credentials credentials = s3_credentials;
    credentials.session_token = (char *)"token/+=";
    struct sigv4_request request = s3_request(&s3_vectors[0]);
    struct sigv4_signed lines = {0};
    assert_int_equal(sigv4_sign(&request, &credentials, &lines), 0);
    assert_string_equal(buf_str(&lines.amz_date), "x-amz-date: 20130524T000000Z");
    assert_string_equal(buf_str(&lines.content_sha256),
                        "x-amz-content-sha256: " SIGV4_EMPTY_SHA256);
    assert_string_equal(buf_str(&lines.security_token), "x-amz-security-token: token/+=");
    sigv4_free(&lines);
    assert_null(lines.authorization.at);
    sigv4_free(&lines);
    sigv4_free(NULL);
}

static void leaves_out_what_is_not_wanted(void **state) {
    (void)state;
    struct sigv4_request request = suite_request(&suite_vectors[0]);
    struct sigv4_signed lines = {0};
    assert_int_equal(sigv4_sign(&request, &suite_credentials, &lines), 0);
    assert_int_equal(lines.content_sha256.len, 0);
    assert_int_equal(lines.security_token.len, 0);
    sigv4_free(&lines);
}

/* The path, as services other than S3 sign it. */
static void encodes_the_path_twice_on_demand(void **state) {
    (void)state;
    struct vector once = suite_vectors[7], twice = suite_vectors[7];
    once.path = "/%25E1%2588%25B4";
    struct sigv4_request a = suite_request(&once), b = suite_request(&twice);
    b.encode_path_twice = true;
    struct sigv4_signed a_lines = {0}, b_lines = {0};
    assert_int_equal(sigv4_sign(&a, &suite_credentials, &a_lines), 0);
    assert_int_equal(sigv4_sign(&b, &suite_credentials, &b_lines), 0);
    assert_string_equal(buf_str(&a_lines.authorization), buf_str(&b_lines.authorization));
    sigv4_free(&a_lines);
    sigv4_free(&b_lines);
}

static void assert_same_signature(const char *query, const char *other) {
    struct vector vector = s3_vectors[1];
    char *text[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        vector.query = i ? other : query;
        struct sigv4_request request = s3_request(&vector);
        struct sigv4_signed lines = {0};
        assert_int_equal(sigv4_sign(&request, &s3_credentials, &lines), 0);
        text[i] = strdup(buf_str(&lines.authorization));
        sigv4_free(&lines);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

static void orders_the_query(void **state) {
    (void)state;
    assert_same_signature("a=2&a=1&a&a=10", "a=&a=1&a=10&a=2");
    assert_same_signature("ab=1&a=2", "a=2&ab=1");
    assert_same_signature("b=1=2&&a&", "a=&b=1=2");
}

static void refuse(const struct sigv4_request *request, const struct credentials *credentials) {
    struct sigv4_signed lines = {0};
    assert_int_equal(sigv4_sign(request, credentials, &lines), -EINVAL);
    assert_null(lines.authorization.at);
}

static void refuses_too_many_parts(void **state) {
    (void)state;
    struct sigv4_header headers[65];
    for (int i = 0; i < 65; i++)
        headers[i] = (struct sigv4_header){"host", "h"};
    struct sigv4_request request = s3_request(&s3_vectors[0]);
    request.headers = headers;
    request.header_count = 65;
    refuse(&request, &s3_credentials);

    struct buf query;
    buf_init(&query, 4096);
    for (int i = 0; i < 64; i++)
        assert_int_equal(buf_printf(&query, "p%d=&", i), 0);
    request = s3_request(&s3_vectors[0]);
    request.query = buf_str(&query);
    struct sigv4_signed lines = {0};
    assert_int_equal(sigv4_sign(&request, &s3_credentials, &lines), 0);
    sigv4_free(&lines);
    assert_int_equal(buf_append_str(&query, "one-more"), 0);
    request.query = buf_str(&query);
    refuse(&request, &s3_credentials);
    buf_free(&query);
}

static void refuses_line_ends_in_header_lines(void **state) {
    (void)state;
    struct sigv4_request request = s3_request(&s3_vectors[0]);
    struct credentials credentials = s3_credentials;
    credentials.session_token = (char *)"t\r\nx-evil: 1";
    refuse(&request, &credentials);
    credentials = s3_credentials;
    credentials.access_key_id = (char *)"AKIA\n";
    refuse(&request, &credentials);
    request.region = "eu\nx";
    refuse(&request, &s3_credentials);
}

static void refuses_a_year_of_five_digits(void **state) {
    (void)state;
    struct sigv4_request request = s3_request(&s3_vectors[0]);
    request.now = 253402300800; /* 10000-01-01 */
    refuse(&request, &s3_credentials);
}

static void encodes_uris(void **state) {
    (void)state;
    struct buf out;
    buf_init(&out, 64);
    const char text[] = "a/b c+~%\xe1\x88\xb4\0\x7f";
    assert_int_equal(uri_encode(&out, text, sizeof text - 1, true), 0);
    assert_string_equal(buf_str(&out), "a/b%20c%2B~%25%E1%88%B4%00%7F");
    buf_reset(&out);
    assert_int_equal(uri_encode(&out, "a/b", 3, false), 0);
    assert_string_equal(buf_str(&out), "a%2Fb");
    buf_free(&out);
    buf_init(&out, 4);
    assert_int_equal(uri_encode(&out, "ab ", 3, false), -EMSGSIZE);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_s3_documents),
        cmocka_unit_test(signs_the_hash_of_a_body),
        cmocka_unit_test(signs_as_the_test_suite),
        cmocka_unit_test(signs_the_session_token),
        cmocka_unit_test(writes_the_lines_to_send),
        cmocka_unit_test(leaves_out_what_is_not_wanted),
        cmocka_unit_test(encodes_the_path_twice_on_demand),
        cmocka_unit_test(orders_the_query),
        cmocka_unit_test(refuses_too_many_parts),
        cmocka_unit_test(refuses_line_ends_in_header_lines),
        cmocka_unit_test(refuses_a_year_of_five_digits),
        cmocka_unit_test(encodes_uris),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
