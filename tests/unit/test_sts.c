/* STS: its answers, its errors, and what is asked, byte for byte. */
#include "../../fs/credentials/sts.h"
#include "scripted_server.h"
#include <maciefs/server_clock.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The parser. */

#define KEY_ID "<AccessKeyId>ASIA1</AccessKeyId>"
#define SECRET "<SecretAccessKey>secret/+</SecretAccessKey>"
#define TOKEN "<SessionToken>token==</SessionToken>"
#define EXPIRES "<Expiration>2026-11-24T05:06:07Z</Expiration>"
#define EXPIRES_AT 1795496767
#define ANSWER(credentials)                                                                        \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\n" \
    "<AssumedRoleUser><Arn>arn:x</Arn></AssumedRoleUser><Credentials>" credentials                 \
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
#define WEB_ANSWER(credentials)                                                                    \
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><"                        \
    "Credentials>" credentials "</Credentials></AssumeRoleWithWebIdentityResult>"                  \
    "</AssumeRoleWithWebIdentityResponse>"
#define WHOLE KEY_ID SECRET TOKEN EXPIRES
#define ERROR(code, message)                                                                       \
    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender"       \
    "</Type><Code>" code "</Code><Message>" message "</Message></Error></ErrorResponse>"

static void assert_credentials(struct credentials *found) {
    assert_string_equal(found->access_key_id, "ASIA1");
    assert_string_equal(found->secret_access_key, "secret/+");
    assert_string_equal(found->session_token, "token==");
    assert_int_equal(found->expires, EXPIRES_AT);
    credentials_clear(found);
}

static int parse(const char *xml, struct credentials *ret) {
    *ret = (struct credentials){0};
    return sts_credentials_parse((const uint8_t *)xml, strlen(xml), ret);
}

static void reads_credentials(void **state) {
    (void)state;
    struct credentials found;
    assert_int_equal(parse(ANSWER(WHOLE), &found), 0);
    assert_credentials(&found);
    assert_int_equal(parse(WEB_ANSWER(EXPIRES TOKEN SECRET KEY_ID), &found), 0);
    assert_credentials(&found);
}

static void refuses_what_is_no_answer(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "garbage",
        "<a/>",
        ANSWER(""),
        ANSWER(SECRET TOKEN EXPIRES),
        ANSWER(KEY_ID TOKEN EXPIRES),
        ANSWER(KEY_ID SECRET EXPIRES),
        ANSWER(KEY_ID SECRET TOKEN),
        ANSWER(WHOLE KEY_ID),
        ANSWER(WHOLE EXPIRES),
        ANSWER(KEY_ID SECRET EXPIRES "<SessionToken/>"),
        ANSWER(KEY_ID SECRET TOKEN "<Expiration>tomorrow</Expiration>"),
        ANSWER(KEY_ID SECRET TOKEN "<Expiration>2026-02-30T00:00:00Z</Expiration>"),
        "<!DOCTYPE a>" ANSWER(WHOLE),
        "<!DOCTYPE a [<!ENTITY e \"x\">]>" ANSWER(WHOLE),
        "<x>" ANSWER(WHOLE) "</x>",
        "<Error><Credentials>" WHOLE "</Credentials></Error>",
    };
    struct credentials found;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parse(wrong[i], &found) != -EPROTO)
            fail_msg("taken: %s", wrong[i]);
        assert_null(found.access_key_id);
    }
    assert_int_equal(
        sts_credentials_parse((const uint8_t *)ANSWER(WHOLE), strlen(ANSWER(WHOLE)) - 1, &found),
        -EPROTO);
}

static void refuses_a_token_past_its_bound(void **state) {
    (void)state;
    char xml[8192];
    struct credentials found;
    for (int over = 0; over < 2; over++) {
        snprintf(xml, sizeof xml, ANSWER(KEY_ID SECRET EXPIRES "<SessionToken>%0*d</SessionToken>"),
                 4096 + over, 1);
        assert_int_equal(parse(xml, &found), over ? -EPROTO : 0);
        credentials_clear(&found);
    }
}

static void reads_errors(void **state) {
    (void)state;
    struct sts_error error;
    static const char xml[] = ERROR("AccessDenied", "User &lt;u&gt; may\n not\xc3\xa4");
    sts_error_parse((const uint8_t *)xml, sizeof xml - 1, &error);
    assert_string_equal(error.code, "AccessDenied");
    assert_string_equal(error.message, "User <u> may? not??");
    static const char cut[] = "<ErrorResponse><Error><Code>A</Code><Mess";
    sts_error_parse((const uint8_t *)cut, sizeof cut - 1, &error);
    assert_string_equal(error.code, "A");
    assert_string_equal(error.message, "");
    sts_error_parse((const uint8_t *)"<Code>", 6, &error);
    assert_string_equal(error.code, "");
}

/* The exchange. */

struct fixture {
    struct server server;
    struct server_clock clock;
    struct credentials_network network;
    struct credentials_role role;
    struct credentials source;
    struct credentials found;
    struct fault fault;
    char url[64];
};

/* 2015-08-30T12:36:00Z */
static int64_t fixed_now(void) {
    return 1440938160;
}

static int setup(void **state) {
    static const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 2000, .stall_timeout_ms = 300};
    struct fixture *f = calloc(1, sizeof *f);
    unsetenv("http_proxy");
    unsetenv("AWS_ENDPOINT_URL_STS");
    unsetenv("AWS_ENDPOINT_URL");
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    server_start(&f->server);
    f->clock.now = fixed_now;
    f->network.aws = http_pool_new(&options);
    f->network.clock = &f->clock;
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", f->server.port);
    f->role = (struct credentials_role){.role_arn = "arn:aws:iam::123456789012:role/audit",
                                        .sts_endpoint = f->url,
                                        .region = "eu-west-1"};
    f->source = (struct credentials){.access_key_id = (char *)"AKIDEXAMPLE",
                                     .secret_access_key =
                                         (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
    *state = f;
    return f->network.aws ? 0 : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    http_pool_free(f->network.aws);
    server_stop(&f->server);
    credentials_clear(&f->found);
    free(f);
    return 0;
}

static int assume(struct fixture *f) {
    const struct sts_call call = {.role = &f->role, .network = &f->network};
    credentials_clear(&f->found);
    return sts_assume_role(&call, &f->source, &f->found, &f->fault);
}

static void assert_asked(struct fixture *f, size_t request, const char *text) {
    if (!strcasestr(f->server.requests[request], text))
        fail_msg("'%s' is not in '%s'", text, f->server.requests[request]);
}

static void assert_told(struct fixture *f, const char *text) {
    if (!strstr(f->fault.text, text))
        fail_msg("'%s' is not in '%s'", text, f->fault.text);
}

#define SCOPE "Credential=AKIDEXAMPLE/20150830/eu-west-1/sts/aws4_request, SignedHeaders="

/* The server plays a proxy, so that host and signature stay the same. The signatures are those of
 * botocore 1.43 (SigV4Auth) for the same body, headers and clock. */
static void signs_as_botocore_does(void **state) {
    struct fixture *f = *state;
    setenv("http_proxy", f->url, 1);
    f->role.sts_endpoint = "http://sts.example.com";
    f->role.duration_s = 900;
    f->role.external_id = "a&b=c +";
    server_answer(&f->server, "200 OK", "", ANSWER(WHOLE));
    server_answer(&f->server, "200 OK", "", ANSWER(WHOLE));
    assert_int_equal(assume(f), 0);
    assert_asked(f, 0, "POST http://sts.example.com/ HTTP/1.1\r\n");
    assert_asked(f, 0, "\r\nhost: sts.example.com\r\n");
    assert_asked(f, 0, "\r\ncontent-type: application/x-www-form-urlencoded; charset=utf-8\r\n");
    assert_asked(f, 0, "\r\nx-amz-date: 20150830T123600Z\r\n");
    assert_asked(f, 0,
                 "\r\nauthorization: AWS4-HMAC-SHA256 " SCOPE "content-type;host;x-amz-date, "
                 "Signature=3dd38145e0a048bada71989d3206e3cc908b1d5cb9a23c72cd52d5dbc90d5e67\r\n");
    assert_asked(f, 0,
                 "\r\n\r\nAction=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
                 "123456789012%3Arole%2Faudit&RoleSessionName=maciefs-1440938160&"
                 "DurationSeconds=900&ExternalId=a%26b%3Dc%20%2B");
    assert_credentials(&f->found);

    f->source.session_token = (char *)"token/+=";
    assert_int_equal(assume(f), 0);
    assert_asked(f, 1, "\r\nx-amz-security-token: token/+=\r\n");
    assert_asked(f, 1,
                 SCOPE
                 "content-type;host;x-amz-date;x-amz-security-token, "
                 "Signature=0eb996a0ff42d031fc8d5335e4a879660be6c919d49e821ecb6c5896e9ec9bb2\r\n");
    f->source.session_token = NULL;
    unsetenv("http_proxy");
}

static void leaves_out_what_is_not_set(void **state) {
    struct fixture *f = *state;
    f->role.session_name = "me";
    server_answer(&f->server, "200 OK", "", ANSWER(WHOLE));
    assert_int_equal(assume(f), 0);
    assert_asked(f, 0, "&RoleSessionName=me");
    assert_null(strstr(f->server.requests[0], "DurationSeconds"));
    assert_null(strstr(f->server.requests[0], "ExternalId"));
    assert_null(strstr(f->server.requests[0], "x-amz-content-sha256"));
    assert_null(strstr(f->server.requests[0], "x-amz-security-token"));
}

static void shows_a_token_unsigned(void **state) {
    struct fixture *f = *state;
    const struct sts_call call = {.role = &f->role, .network = &f->network};
    struct buf token;
    buf_init(&token, 64);
    assert_int_equal(buf_append_str(&token, "a.b/c+d=&"), 0);
    server_answer(&f->server, "200 OK", "", WEB_ANSWER(WHOLE));
    assert_int_equal(sts_assume_role_with_web_identity(&call, &token, &f->found, &f->fault), 0);
    assert_asked(f, 0, "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&");
    assert_asked(f, 0, "&WebIdentityToken=a.b%2Fc%2Bd%3D%26");
    assert_null(strcasestr(f->server.requests[0], "authorization"));
    assert_credentials(&f->found);
    buf_free(&token);
}

static void tells_why_STS_refuses(void **state) {
    static const struct {
        const char *status, *body;
        int err;
        const char *told;
    } cases[] = {
        {"403 Forbidden", ERROR("AccessDenied", "no"), -EACCES,
         "arn:aws:iam::123456789012:role/audit cannot be assumed: AccessDenied: no: allow "
         "sts:AssumeRole on it"},
        {"403 Forbidden", ERROR("ExpiredToken", "old"), -EACCES, "renew the session"},
        {"400 Bad Request", ERROR("ExpiredTokenException", "old"), -EACCES, "must renew it"},
        {"400 Bad Request", ERROR("InvalidIdentityToken", "x"), -EACCES, "issuer"},
        {"400 Bad Request", ERROR("IDPCommunicationError", "x"), -ENETDOWN, "issuer"},
        {"403 Forbidden", ERROR("SignatureDoesNotMatch", "x"), -EACCES, "clock"},
        {"400 Bad Request", ERROR("Throttling", "Rate exceeded"), -ENETDOWN, "slow down"},
        {"429 Too Many", "", -ENETDOWN, "status 429: STS cannot serve now"},
        {"503 Unavailable", "<html>", -ENETDOWN, "status 503: STS cannot serve now"},
        {"500 Oops", ERROR("InternalFailure", "x"), -ENETDOWN, "InternalFailure: x: STS cannot"},
        {"501 No", "", -EACCES, "status 501"},
        {"302 Found", "", -EACCES, "status 302"},
        {"200 OK", "<html/>", -EPROTO, "holds no credentials"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        server_answer(&f->server, cases[i].status, "", cases[i].body);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(assume(f), cases[i].err);
        assert_told(f, cases[i].told);
        assert_null(f->found.access_key_id);
    }
}

static void tells_that_STS_is_away(void **state) {
    struct fixture *f = *state;
    server_add(&f->server, THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<");
    assert_int_equal(assume(f), -ENETDOWN);
    assert_told(f, "audit cannot be assumed: 127.0.0.1");
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<");
    assert_int_equal(assume(f), -ENETDOWN);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", server_refusing_port());
    assert_int_equal(assume(f), -ENETDOWN);
    http_pool_stop(f->network.aws);
    assert_int_equal(assume(f), -ECANCELED);
}

static void refuses_an_answer_without_end(void **state) {
    struct fixture *f = *state;
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 OK\r\n\r\n" ANSWER(WHOLE) "%*s", 64 << 10, "");
    assert_int_equal(assume(f), -EPROTO);
}

static void refuses_addresses_that_are_none(void **state) {
    static const char *const wrong[] = {"ftp://h",     "h",           "http://",    "http://u:p@h",
                                        "http://h/?q", "http://h/#f", "https://h:x"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        f->role.sts_endpoint = wrong[i];
        if (assume(f) != -EINVAL)
            fail_msg("taken: %s", wrong[i]);
        assert_told(f, wrong[i]);
    }
    f->role.sts_endpoint = f->url;
    f->role.region = "evil.example/";
    assert_int_equal(assume(f), -EINVAL);
    assert_told(f, "no region");
    assert_int_equal(server_asked(&f->server), 0);
}

/* The proxy that is asked tells the host; https is asked with CONNECT. */
static void goes_to_the_regions_endpoint(void **state) {
    struct fixture *f = *state;
    f->role.sts_endpoint = NULL;
    setenv("https_proxy", f->url, 1);
    server_answer(&f->server, "403 No", "connection: close\r\n", "");
    server_answer(&f->server, "403 No", "connection: close\r\n", "");
    assert_true(assume(f) < 0);
    assert_asked(f, 0, "CONNECT sts.eu-west-1.amazonaws.com:443 ");
    f->role.region = "cn-north-1";
    assert_true(assume(f) < 0);
    assert_asked(f, 1, "CONNECT sts.cn-north-1.amazonaws.com.cn:443 ");
    f->role.region = "us-isob-east-1";
    server_answer(&f->server, "403 No", "connection: close\r\n", "");
    assert_true(assume(f) < 0);
    assert_asked(f, 2, "CONNECT sts.us-isob-east-1.sc2s.sgov.gov:443 ");
    setenv("AWS_ENDPOINT_URL", f->url, 1);
    setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
    server_answer(&f->server, "403 No", "connection: close\r\n", "");
    assert_true(assume(f) < 0);
    assert_asked(f, 3, "CONNECT sts.us-isob-east-1.sc2s.sgov.gov:443 ");
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    server_answer(&f->server, "200 OK", "", ANSWER(WHOLE));
    assert_int_equal(assume(f), 0);
    setenv("AWS_ENDPOINT_URL", "http://nowhere.invalid", 1);
    setenv("AWS_ENDPOINT_URL_STS", f->url, 1);
    server_answer(&f->server, "200 OK", "", ANSWER(WHOLE));
    assert_int_equal(assume(f), 0);
    unsetenv("https_proxy");
}

/* 2033-01-03T04:05:06Z */
#define STS_DATE "date: Mon, 03 Jan 2033 04:05:06 GMT\r\n"
#define STS_NOW 1988337906
#define STALE "Signature expired: 20150830T123600Z is now earlier than 20330103T040006Z"

/* At once, and from then on. */
static void dates_requests_by_the_clock_of_STS(void **state) {
    static const char *const codes[] = {"SignatureDoesNotMatch", "RequestExpired",
                                        "InvalidSignatureException"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        char body[512];
        f->clock.ahead = 0;
        snprintf(body, sizeof body, ERROR("%s", STALE), codes[i]);
        server_answer(&f->server, "403 Forbidden", STS_DATE, body);
        server_answer(&f->server, "200 OK", STS_DATE, ANSWER(WHOLE));
        server_answer(&f->server, "200 OK", STS_DATE, ANSWER(WHOLE));
        assert_int_equal(assume(f), 0);
        assert_asked(f, 3 * i, "\r\nx-amz-date: 20150830T123600Z\r\n");
        assert_asked(f, 3 * i + 1, "\r\nx-amz-date: 20330103T040506Z\r\n");
        assert_int_equal(assume(f), 0);
        assert_asked(f, 3 * i + 2, "\r\nx-amz-date: 20330103T040506Z\r\n");
        assert_int_equal(server_clock_now(&f->clock), STS_NOW);
    }
}

/* Not where the date was right, nor over and over, nor for what is no matter of the date. */
static void asks_again_once_at_most(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "403 x", "date: Sun, 30 Aug 2015 12:36:20 GMT\r\n",
                  ERROR("SignatureDoesNotMatch", "wrong secret"));
    assert_int_equal(assume(f), -EACCES);
    assert_int_equal(server_asked(&f->server), 1);
    assert_int_equal(f->clock.ahead, 0);
    server_answer(&f->server, "403 x", STS_DATE, ERROR("RequestExpired", STALE));
    server_answer(&f->server, "403 x", "date: Mon, 03 Jan 2034 04:05:06 GMT\r\n",
                  ERROR("RequestExpired", STALE));
    assert_int_equal(assume(f), -EACCES);
    assert_told(f, "this machine's clock");
    assert_int_equal(server_asked(&f->server), 3);
    f->clock.ahead = 0;
    server_answer(&f->server, "403 x", STS_DATE, ERROR("AccessDenied", "no"));
    assert_int_equal(assume(f), -EACCES);
    assert_int_equal(server_asked(&f->server), 4);
    server_answer(&f->server, "403 x", "", ERROR("RequestExpired", STALE));
    assert_int_equal(assume(f), -EACCES);
    assert_int_equal(server_asked(&f->server), 5);
}

/* A token is not refused for this machine's clock, by which its credentials would have ended. */
static void learns_the_time_from_what_is_granted(void **state) {
    struct fixture *f = *state;
    const struct sts_call call = {.role = &f->role, .network = &f->network};
    struct buf token;
    buf_init(&token, 64);
    assert_int_equal(buf_append_str(&token, "a"), 0);
    server_answer(&f->server, "200 OK", STS_DATE, WEB_ANSWER(WHOLE));
    assert_int_equal(sts_assume_role_with_web_identity(&call, &token, &f->found, &f->fault), 0);
    assert_int_equal(server_clock_now(&f->clock), STS_NOW);
    buf_free(&token);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_credentials),
        cmocka_unit_test(refuses_what_is_no_answer),
        cmocka_unit_test(refuses_a_token_past_its_bound),
        cmocka_unit_test(reads_errors),
        TEST(signs_as_botocore_does),
        TEST(leaves_out_what_is_not_set),
        TEST(shows_a_token_unsigned),
        TEST(tells_why_STS_refuses),
        TEST(tells_that_STS_is_away),
        TEST(refuses_an_answer_without_end),
        TEST(refuses_addresses_that_are_none),
        TEST(goes_to_the_regions_endpoint),
        TEST(dates_requests_by_the_clock_of_STS),
        TEST(asks_again_once_at_most),
        TEST(learns_the_time_from_what_is_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
