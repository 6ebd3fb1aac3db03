#include "scripted_server.h"

#include <errno.h>
#include <maciefs/s3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SECRET "the-secret-access-key"
#define TOKEN "the-session-token"
#define PAGE                                                                                       \
    "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"           \
    "<Contents><Key>m%2F2026/a</Key><LastModified>2026-11-24T05:06:07Z</LastModified>"             \
    "<ETag>e</ETag><Size>5</Size></Contents></ListBucketResult>"
#define ERROR(code) "<Error><Code>" code "</Code><Message>a message</Message></Error>"

/* MD5 ("hello"), as in any table of examples. */
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"
#define HELLO_ETAG "etag: \"" HELLO_MD5 "\"\r\n"

struct fixture {
    struct server server;
    struct config config;
    char endpoint[64];
    struct source *source;
    struct listing page;
    struct buf body;
    unsigned restarts;
    int restart_err;
    int write_err;
    struct object object;
    struct object_sink sink;
    struct fault fault;
};

static int take(void *ctx, const uint8_t *at, size_t len) {
    struct fixture *f = ctx;
    return f->write_err ? f->write_err : buf_append(&f->body, at, len);
}

static int take_again(void *ctx) {
    struct fixture *f = ctx;
    f->restarts++;
    buf_reset(&f->body);
    return f->restart_err;
}

static void open_source(struct fixture *f) {
    source_free(f->source);
    assert_int_equal(s3_source_new(&f->config, NULL, &f->source, &f->fault), 0);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    setenv("no_proxy", "*", 1);
    unsetenv("http_proxy");
    server_start(&f->server);
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%u", f->server.port);
    f->config = (struct config){.bucket = "b",
                                .prefix = "m/",
                                .endpoint = f->endpoint,
                                .addressing = CONFIG_AUTO,
                                .region = "eu-west-1",
                                .connections = 2};
    open_source(f);
    buf_init(&f->body, 1 << 20);
    f->object = (struct object){.key = "2026/a", .size = 5, .etag = HELLO_MD5};
    f->sink = (struct object_sink){.write = take, .restart = take_again, .ctx = f};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    source_free(f->source);
    server_stop(&f->server);
    listing_free(&f->page);
    buf_free(&f->body);
    free(f);
    return 0;
}

static int list(struct fixture *f) {
    listing_free(&f->page);
    return source_list(f->source, &(struct list_query){0}, &f->page, &f->fault);
}

static int get(struct fixture *f) {
    buf_reset(&f->body);
    f->restarts = 0;
    return source_get(f->source, &f->object, &f->sink, &f->fault);
}

static void assert_said(struct fixture *f, const char *text) {
    if (!strstr(f->fault.text, text))
        print_error("'%s' is not in '%s'\n", text, f->fault.text);
    assert_non_null(strstr(f->fault.text, text));
    assert_null(strstr(f->fault.text, SECRET));
    assert_null(strstr(f->fault.text, TOKEN));
    assert_null(strstr(f->fault.text, "Signature="));
}

static void assert_line(struct fixture *f, size_t request, const char *line) {
    const char *head = f->server.requests[request];
    if (strncmp(head, line, strlen(line)) != 0)
        print_error("%s\n", head);
    assert_int_equal(strncmp(head, line, strlen(line)), 0);
}

static void tells_its_names(void **state) {
    struct fixture *f = *state;
    assert_string_equal(f->source->name, "s3://b/m/");
    assert_string_equal(f->source->bucket, "b");
    assert_string_equal(f->source->prefix, "m/");
}

static void lists(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", "Date: Tue, 24 Nov 2026 05:06:07 GMT\r\n", PAGE);
    assert_int_equal(list(f), 0);
    assert_int_equal(f->page.object_count, 1);
    assert_string_equal(f->page.objects[0].key, "2026/a");
    assert_int_equal(f->page.now, 1795496767);
    assert_line(f, 0,
                "GET /b?list-type=2&encoding-type=url&max-keys=1000&prefix=m%2F HTTP/1.1\r\n");
    const char *head = f->server.requests[0];
    assert_non_null(strcasestr(head, "\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKID/"));
    assert_non_null(strcasestr(head, "/eu-west-1/s3/aws4_request"));
    assert_non_null(strcasestr(head, "\r\nx-amz-security-token: " TOKEN "\r\n"));
    assert_null(strstr(head, SECRET));
    assert_null(strcasestr(head, "if-match"));
}

static void asks_what_the_query_says(void **state) {
    struct fixture *f = *state;
    const struct list_query queries[] = {
        {.prefix = "2026/1 +", .after = "2026/1&x", .fold = '/', .limit = 7},
        {.after = "2026/", .token = "t/=", .limit = 5000},
    };
    for (size_t i = 0; i < 2; i++) {
        server_answer(&f->server, "200 OK", "", PAGE);
        listing_free(&f->page);
        assert_int_equal(source_list(f->source, &queries[i], &f->page, &f->fault), 0);
        assert_true(f->page.now > 0);
    }
    assert_line(f, 0,
                "GET /b?list-type=2&encoding-type=url&max-keys=7&delimiter=%2F&"
                "prefix=m%2F2026%2F1%20%2B&start-after=m%2F2026%2F1%26x HTTP/1.1\r\n");
    assert_line(f, 1,
                "GET /b?list-type=2&encoding-type=url&max-keys=1000&prefix=m%2F&"
                "continuation-token=t%2F%3D HTTP/1.1\r\n");
}

/* Answers and breaks that one more try mends. */
static void tries_again(void **state) {
    static const struct {
        enum server_then then;
        const char *bytes;
    } cases[] = {
        {THEN_CLOSE, "HTTP/1.1 503 x\r\n\r\n" ERROR("SlowDown")},
        {THEN_CLOSE, "HTTP/1.1 500 x\r\n\r\n" ERROR("InternalError")},
        {THEN_CLOSE, "HTTP/1.1 502 x\r\n\r\nbad gateway"},
        {THEN_CLOSE, "HTTP/1.1 429 x\r\n\r\n"},
        {THEN_CLOSE, "HTTP/1.1 400 x\r\n\r\n" ERROR("RequestTimeout")},
        {THEN_RESET, ""},
        {THEN_CLOSE, ""},
        {THEN_CLOSE, "HTTP/1.1 200 x\r\ncontent-length: 999\r\n\r\n<ListBucketRes"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server_add(&f->server, cases[i].then, "%s", cases[i].bytes);
        server_answer(&f->server, "200 OK", "", PAGE);
        assert_int_equal(list(f), 0);
        assert_int_equal(f->page.object_count, 1);
        assert_int_equal(server_asked(&f->server), 2 * i + 2);
    }
    assert_string_equal(f->fault.text, "");
}

static void gives_up_after_five_tries(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < 6; i++)
        server_answer(&f->server, "503 x", "", ERROR("SlowDown"));
    assert_int_equal(list(f), -ENETDOWN);
    assert_said(f, "SlowDown");
    assert_int_equal(server_asked(&f->server), 5);
}

/* What is final, and what is said about it; `key` where an object was asked for. */
static const struct refusal_case {
    bool object;
    const char *status, *headers, *body;
    int err;
    const char *said;
} refusals[] = {
    {false, "403 x", "", ERROR("AccessDenied"), -EACCES,
     "s3:ListBucket on arn:aws:s3:::b: allow it"},
    {true, "403 x", "", ERROR("AccessDenied"), -EACCES,
     "s3:GetObject on arn:aws:s3:::b/m/2026/a: allow it"},
    {true, "403 x", "", "", -EACCES, "s3:GetObject on arn:aws:s3:::b/m/2026/a"},
    {false, "403 x", "", ERROR("InvalidAccessKeyId"), -EACCES, "AWS_ACCESS_KEY_ID"},
    {false, "403 x", "",
     "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>Signature=</StringToSign></Error>",
     -EACCES, "AWS_SECRET_ACCESS_KEY"},
    {false, "400 x", "", ERROR("ExpiredToken"), -EACCES, "expired"},
    {false, "400 x", "", ERROR("InvalidToken"), -EACCES, "AWS_SESSION_TOKEN"},
    {false, "403 x", "", ERROR("RequestTimeTooSkewed"), -EACCES, "clock"},
    {false, "404 x", "", ERROR("NoSuchBucket"), -ENOENT, "no bucket b:"},
    {false, "404 x", "", "", -ENOENT, "no bucket b:"},
    {true, "404 x", "", ERROR("NoSuchKey"), -ENOENT, "no object m/2026/a in b"},
    {true, "404 x", "", "<html>gone</html>", -ENOENT, "no object m/2026/a in b"},
    {true, "412 x", "", ERROR("PreconditionFailed"), -ESTALE, "m/2026/a"},
    {true, "403 x", "", ERROR("InvalidObjectState"), -EACCES, "archived"},
    {false, "301 x", "x-amz-bucket-region: eu-north-1\r\nlocation: http://127.0.0.1:1/\r\n",
     ERROR("PermanentRedirect"), -EINVAL, "mount it with -o region=eu-north-1"},
    {false, "307 x", "x-amz-bucket-region: eu-north-1\r\n", "", -EINVAL,
     "the bucket b is in eu-north-1"},
    {false, "301 x", "", "", -EINVAL, "asked for, in eu-west-1"},
    {false, "400 x", "",
     "<Error><Code>AuthorizationHeaderMalformed</Code><Region>sa-east-1</Region></Error>", -EINVAL,
     "-o region=sa-east-1"},
    {false, "400 x", "", ERROR("SomethingNew"), -EPROTO, "(400 SomethingNew) (it says: a message)"},
    {false, "418 x", "", "teapot", -EPROTO, "on arn:aws:s3:::b (418)"},
};

static void explains_refusals(void **state) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal_case *r = &refusals[i];
        /* Where it names another region, it is asked there once more. */
        size_t times = strstr(r->headers, "region") || strstr(r->body, "Region") ? 2 : 1;
        struct fixture *f;
        assert_int_equal(setup((void **)&f), 0);
        for (size_t n = 0; n < times; n++)
            server_answer(&f->server, r->status, r->headers, r->body);
        assert_int_equal(r->object ? get(f) : list(f), r->err);
        assert_said(f, r->said);
        assert_int_equal(server_asked(&f->server), times);
        teardown((void **)&f);
    }
    (void)state;
}

/* Once told, it asks there at once. */
static void goes_to_the_buckets_region(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "400 x", "",
                  "<Error><Code>AuthorizationHeaderMalformed</Code><Region>sa-east-1</Region>"
                  "</Error>");
    server_answer(&f->server, "200 OK", "", PAGE);
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    assert_int_equal(list(f), 0);
    assert_int_equal(get(f), 0);
    assert_int_equal(server_asked(&f->server), 3);
    assert_non_null(strstr(f->server.requests[0], "/eu-west-1/s3/aws4_request"));
    assert_non_null(strstr(f->server.requests[1], "/sa-east-1/s3/aws4_request"));
    assert_non_null(strstr(f->server.requests[2], "/sa-east-1/s3/aws4_request"));
}

/* A bucket that is nowhere does not send us round and round. */
static void moves_a_few_times_at_most(void **state) {
    static const char *const regions[] = {"r-1", "r-2", "r-3", "r-4", "r-5"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        char header[64];
        snprintf(header, sizeof header, "x-amz-bucket-region: %s\r\n", regions[i]);
        server_answer(&f->server, "301 x", header, "");
    }
    assert_int_equal(list(f), -EINVAL);
    assert_int_equal(server_asked(&f->server), 4);
    assert_said(f, "region=r-4");
}

static void does_not_go_to_what_is_no_region(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "301 x", "x-amz-bucket-region: evil.example/\r\n", "");
    assert_int_equal(list(f), -EINVAL);
    assert_int_equal(server_asked(&f->server), 1);
}

static void dates_requests_by_the_servers_clock(void **state) {
    static const char date[] = "date: Mon, 03 Jan 2033 04:05:06 GMT\r\n";
    struct fixture *f = *state;
    server_answer(&f->server, "403 x", date, ERROR("RequestTimeTooSkewed"));
    server_answer(&f->server, "200 OK", date, PAGE);
    server_answer(&f->server, "403 x", date, ERROR("RequestTimeTooSkewed"));
    assert_int_equal(list(f), 0);
    assert_non_null(strstr(f->server.requests[1], "x-amz-date: 20330103T0405"));
    /* A server that does not agree with its own clock is not asked again. */
    assert_int_equal(list(f), -EACCES);
    assert_said(f, "clock");
    assert_int_equal(server_asked(&f->server), 3);
}

/* A server whose clock is another each time is not asked for ever. */
static void is_not_led_on_by_a_wild_clock(void **state) {
    struct fixture *f = *state;
    for (int year = 2030; year < 2042; year++) {
        char date[64];
        snprintf(date, sizeof date, "date: Sat, 03 Jan %d 04:05:06 GMT\r\n", year);
        server_answer(&f->server, "403 x", date, ERROR("RequestTimeTooSkewed"));
    }
    assert_int_equal(list(f), -EACCES);
    assert_said(f, "clock");
    assert_int_equal(server_asked(&f->server), 6);
}

/* A profile whose process numbers the keys that it gives; each lasts, for all that it says. */
static void use_numbered_keys(struct fixture *f, const char *config, const char *count) {
    FILE *file = fopen(config, "w");
    assert_non_null(file);
    fprintf(file,
            "[profile numbered]\ncredential_process = echo >>%s; echo "
            "'{\"Version\":1,\"SecretAccessKey\":\"" SECRET "\",\"SessionToken\":\"" TOKEN
            "\",\"AccessKeyId\":\"KEY'$(wc -l <%s)'\"}'\n",
            count, count);
    assert_int_equal(fclose(file), 0);
    setenv("AWS_CONFIG_FILE", config, 1);
    f->config.profile = "numbered";
    open_source(f);
}

static void tries_again_with_other_credentials(void **state) {
    static const char *const answers[] = {ERROR("ExpiredToken"), ERROR("InvalidToken"),
                                          ERROR("InvalidAccessKeyId")};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fixture *f;
        char config[] = "/tmp/maciefs-test-XXXXXX", count[] = "/tmp/maciefs-test-XXXXXX";
        assert_int_equal(setup((void **)&f), 0);
        close(mkstemp(config));
        close(mkstemp(count));
        use_numbered_keys(f, config, count);
        server_answer(&f->server, "400 x", "", answers[i]);
        server_answer(&f->server, "200 OK", "", PAGE);
        server_answer(&f->server, "400 x", "", answers[i]);
        assert_int_equal(list(f), 0);
        assert_non_null(strstr(f->server.requests[0], "Credential=KEY1/"));
        assert_non_null(strstr(f->server.requests[1], "Credential=KEY2/"));
        /* Who gives no good ones is not asked at each request. */
        assert_int_equal(list(f), -EACCES);
        assert_int_equal(server_asked(&f->server), 3);
        assert_non_null(strstr(f->server.requests[2], "Credential=KEY2/"));
        unlink(config);
        unlink(count);
        setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
        teardown((void **)&f);
    }
    (void)state;
}

static void asks_without_credentials_where_told_to(void **state) {
    struct fixture *f = *state;
    f->config.no_sign = true;
    open_source(f);
    server_answer(&f->server, "200 OK", "", PAGE);
    assert_int_equal(list(f), 0);
    assert_null(strcasestr(f->server.requests[0], "authorization"));
    assert_null(strcasestr(f->server.requests[0], "x-amz-"));
}

static void tells_who_pays_and_whose_bucket_it_is(void **state) {
    struct fixture *f = *state;
    f->config.requester_pays = true;
    f->config.expected_bucket_owner = "111122223333";
    open_source(f);
    server_answer(&f->server, "200 OK", "", PAGE);
    assert_int_equal(list(f), 0);
    const char *request = f->server.requests[0];
    assert_non_null(strcasestr(request, "\r\nx-amz-request-payer: requester\r\n"));
    assert_non_null(strcasestr(request, "\r\nx-amz-expected-bucket-owner: 111122223333\r\n"));
    assert_non_null(strstr(request, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
                                    "x-amz-expected-bucket-owner;x-amz-request-payer;"
                                    "x-amz-security-token,"));
}

/* 32 bytes "k", and what botocore 1.43 sends of it. */
#define KEY "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define KEY_TEXT "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
#define KEY_MD5 "mT2HRsMGJ5IX5C+0rreZ8Q=="
#define SSE "x-amz-server-side-encryption-customer-"

static void write_key(char path[static 32], const char *text, size_t len, mode_t mode) {
    strcpy(path, "/tmp/maciefs-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* For objects, not for listings; and for those that are not encrypted with it, not again. */
static void shows_the_customers_key(void **state) {
    static const struct {
        const char *text;
        size_t len;
    } files[] = {{KEY, 32}, {KEY_TEXT, 44}, {KEY_TEXT "\n", 45}, {KEY_TEXT "\r\n", 46}};
    struct fixture *f = *state;
    char path[32];
    f->config.sse_customer_key = path;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_key(path, files[i].text, files[i].len, 0400);
        open_source(f);
        unlink(path);
        server_answer(&f->server, "200 OK", SSE "algorithm: AES256\r\n", "hello");
        assert_int_equal(get(f), 0);
        const char *request = f->server.requests[i];
        assert_non_null(strcasestr(request, "\r\n" SSE "algorithm: AES256\r\n"));
        assert_non_null(strcasestr(request, "\r\n" SSE "key: " KEY_TEXT "\r\n"));
        assert_non_null(strcasestr(request, "\r\n" SSE "key-MD5: " KEY_MD5 "\r\n"));
        assert_non_null(strstr(request, ";" SSE "algorithm;" SSE "key;" SSE "key-md5,"));
    }
    server_answer(&f->server, "200 OK", "", PAGE);
    server_answer(&f->server, "400 x", "",
                  "<Error><Code>InvalidRequest</Code><Message>The encryption parameters are not "
                  "applicable to this object.</Message></Error>");
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    assert_int_equal(list(f), 0);
    assert_int_equal(get(f), 0);
    assert_null(strcasestr(f->server.requests[4], SSE));
    assert_non_null(strcasestr(f->server.requests[5], SSE));
    assert_null(strcasestr(f->server.requests[6], SSE));
}

static void tells_which_key_is_wanted(void **state) {
    static const char *const missing[] = {
        "The object was stored using a form of Server Side Encryption. The correct parameters must "
        "be provided to retrieve the object.",
        "Requests specifying Server Side Encryption with Customer provided keys must provide a "
        "valid encryption algorithm."};
    struct fixture *f = *state;
    char body[512], path[32];
    for (size_t i = 0; i < 2; i++) {
        snprintf(body, sizeof body, "<Error><Code>%s</Code><Message>%s</Message></Error>",
                 i ? "InvalidArgument" : "InvalidRequest", missing[i]);
        server_answer(&f->server, "400 x", "", body);
        assert_int_equal(get(f), -EACCES);
        assert_said(f, "m/2026/a in b is encrypted with a customer's key");
    }
    write_key(path, KEY, 32, 0600);
    f->config.sse_customer_key = path;
    open_source(f);
    unlink(path);
    server_answer(&f->server, "403 x", "", ERROR("AccessDenied"));
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "check that -o sse_customer_key= has the key");
    server_answer(&f->server, "400 x", "",
                  "<Error><Code>InvalidArgument</Code><Message>The calculated MD5 hash of the key "
                  "did not match the hash that was provided.</Message></Error>");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "another key than that of -o sse_customer_key=");
    server_answer(&f->server, "403 x", "", ERROR("AccessDenied"));
    assert_int_equal(list(f), -EACCES);
    assert_null(strstr(f->fault.text, "sse_customer_key"));
}

static int open_with_key(struct fixture *f, const char *text, size_t len, mode_t mode) {
    char path[32];
    write_key(path, text, len, mode);
    f->config.sse_customer_key = path;
    source_free(f->source);
    f->source = NULL;
    int err = s3_source_new(&f->config, NULL, &f->source, &f->fault);
    unlink(path);
    f->config.sse_customer_key = NULL;
    assert_null(strstr(f->fault.text, "kkkk"));
    assert_null(strstr(f->fault.text, "a2tra2tr"));
    return err;
}

static void refuses_what_is_no_key(void **state) {
    static const struct {
        const char *text;
        size_t len;
    } files[] = {{"", 0},
                 {KEY "\n", 33},
                 {KEY, 31},
                 {KEY_TEXT "\n\n", 46},
                 {KEY_TEXT KEY_TEXT, 88},
                 {"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr", 44},
                 {"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra===", 44},
                 {"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2-=", 44},
                 {KEY_TEXT "\0", 45}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_int_equal(open_with_key(f, files[i].text, files[i].len, 0600), -EINVAL);
        assert_said(f, "holds no key");
    }
    static const mode_t open[] = {0640, 0604, 0620};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        assert_int_equal(open_with_key(f, KEY, 32, open[i]), -EACCES);
        assert_said(f, "chmod 600");
    }
    f->config.sse_customer_key = "/tmp";
    assert_int_equal(s3_source_new(&f->config, NULL, &f->source, &f->fault), -EACCES);
    f->config.sse_customer_key = "/nonexistent";
    assert_int_equal(s3_source_new(&f->config, NULL, &f->source, &f->fault), -EACCES);
    assert_said(f, "/nonexistent cannot be read");
}

/* Over plain HTTP it does not leave this machine. */
static void sends_no_key_in_the_clear(void **state) {
    static const struct {
        const char *endpoint;
        int err;
    } cases[] = {
        {"http://127.0.0.1:1", 0},      {"http://127.8.9.10", 0},
        {"http://localhost:80", 0},     {"http://s3.localhost", 0},
        {"http://[::1]:80", 0},         {"https://s3.example", 0},
        {"http://s3.example", -EINVAL}, {"http://notlocalhost", -EINVAL},
        {"http://128.0.0.1", -EINVAL},  {"http://127.0.0.1.example", -EINVAL},
        {"http://[::2]:1", -EINVAL},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(f->endpoint, sizeof f->endpoint, "%s", cases[i].endpoint);
        if (open_with_key(f, KEY, 32, 0600) != cases[i].err)
            fail_msg("%s", cases[i].endpoint);
        if (cases[i].err)
            assert_said(f, "sse_customer_key= needs https");
    }
}

static void sends_no_key_through_a_proxy_in_the_clear(void **state) {
    struct fixture *f = *state;
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", server_refusing_port());
    setenv("http_proxy", proxy, 1);
    setenv("no_proxy", "", 1);
    server_answer(&f->server, "200 OK", "", "hello");
    assert_int_equal(open_with_key(f, KEY, 32, 0600), 0);
    f->config.sse_customer_key = "was read";
    assert_int_equal(get(f), 0);
    assert_non_null(strcasestr(f->server.requests[0], SSE "key: " KEY_TEXT));
}

#define POINT "arn:aws:s3:eu-central-1:123456789012:accesspoint/my-ap"

/* By its host and its ARN's region, where it stays whatever it is told. */
static void asks_an_access_point(void **state) {
    struct fixture *f = *state;
    f->config.bucket = POINT;
    snprintf(f->endpoint, sizeof f->endpoint, "http://localhost:%u", f->server.port);
    open_source(f);
    assert_string_equal(f->source->name, "s3://" POINT "/m/");
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    server_answer(&f->server, "403 x", "", ERROR("AccessDenied"));
    server_answer(&f->server, "403 x", "", ERROR("AccessDenied"));
    server_answer(&f->server, "301 x", "x-amz-bucket-region: eu-north-1\r\n", "");
    server_answer(&f->server, "404 x", "", ERROR("NoSuchAccessPoint"));
    assert_int_equal(get(f), 0);
    assert_line(f, 0, "GET /m/2026/a HTTP/1.1\r\n");
    assert_non_null(strcasestr(f->server.requests[0], "\r\nhost: my-ap-123456789012.localhost:"));
    assert_non_null(strstr(f->server.requests[0], "/eu-central-1/s3/aws4_request"));
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "s3:GetObject on " POINT "/object/m/2026/a:");
    assert_int_equal(list(f), -EACCES);
    assert_said(f, "s3:ListBucket on " POINT ":");
    assert_int_equal(list(f), -EINVAL);
    assert_int_equal(list(f), -ENOENT);
    assert_said(f, "no access point " POINT);
    assert_int_equal(server_asked(&f->server), 5);
}

static void refuses_what_is_no_listing(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", "", "<html>Sign in to the network</html>");
    assert_int_equal(list(f), -EPROTO);
    assert_said(f, "no listing");
    assert_int_equal(server_asked(&f->server), 1);
}

static void bounds_a_listing(void **state) {
    struct fixture *f = *state;
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 OK\r\n\r\n%0*d", 9 << 20, 0);
    assert_int_equal(list(f), -EPROTO);
    assert_said(f, "longer than 8 MiB");
    assert_int_equal(server_asked(&f->server), 1);
}

static void survives_a_huge_error(void **state) {
    struct fixture *f = *state;
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 403 x\r\n\r\n<Error><Code>AccessDenied</Code>%0*d",
               4 << 20, 0);
    assert_int_equal(list(f), -EACCES);
    assert_said(f, "s3:ListBucket");
}

static void gets_an_object(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    assert_int_equal(get(f), 0);
    assert_string_equal(buf_str(&f->body), "hello");
    assert_int_equal(f->restarts, 0);
    assert_line(f, 0, "GET /b/m/2026/a HTTP/1.1\r\n");
    assert_non_null(strcasestr(f->server.requests[0], "\r\nif-match: \"" HELLO_MD5 "\"\r\n"));
}

static void asks_for_keys_as_they_are(void **state) {
    static const struct {
        const char *key, *line;
    } cases[] = {
        {"a/../../b", "GET /b/m/a/../../b HTTP/1.1\r\n"},
        {"/a//b", "GET /b/m//a//b HTTP/1.1\r\n"},
        {"a +%?#&=", "GET /b/m/a%20%2B%25%3F%23%26%3D HTTP/1.1\r\n"},
        {"\x01\r\n\xc3\xa9", "GET /b/m/%01%0D%0A%C3%A9 HTTP/1.1\r\n"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->object.key = cases[i].key;
        server_answer(&f->server, "200 OK", "", "hello");
        assert_int_equal(get(f), 0);
        assert_line(f, i, cases[i].line);
    }
}

static void gets_objects_whose_etag_is_no_md5(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *etag, *headers;
    } cases[] = {
        {"5d41402abc4b2a76b9719d911017c592-2", ""},
        {"", ""},
        {"00000000000000000000000000000000", "x-amz-server-side-encryption: aws:kms\r\n"},
        {"00000000000000000000000000000000",
         "x-amz-server-side-encryption-customer-algorithm: AES256\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(f->object.etag, sizeof f->object.etag, "%s", cases[i].etag);
        server_answer(&f->server, "200 OK", cases[i].headers, "hello");
        assert_int_equal(get(f), 0);
    }
    assert_null(strcasestr(f->server.requests[1], "if-match"));
}

static void gets_an_empty_object(void **state) {
    struct fixture *f = *state;
    f->object =
        (struct object){.key = "empty", .size = 0, .etag = "d41d8cd98f00b204e9800998ecf8427e"};
    server_answer(&f->server, "200 OK", "", "");
    assert_int_equal(get(f), 0);
    assert_int_equal(f->body.len, 0);
}

static void restarts_the_sink_when_bytes_do_not_add_up(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "503 x", "", ERROR("SlowDown"));
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 x\r\ncontent-length: 5\r\n\r\nhel");
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 x\r\n\r\nhel");
    server_answer(&f->server, "200 OK", HELLO_ETAG, "jello");
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    assert_int_equal(get(f), 0);
    assert_string_equal(buf_str(&f->body), "hello");
    assert_int_equal(f->restarts, 3); /* nothing had come before the first retry */
}

static void gives_up_a_damaged_object(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < 6; i++)
        server_answer(&f->server, "200 OK", HELLO_ETAG, "jello");
    assert_int_equal(get(f), -EIO);
    assert_said(f, "s3://b/m/2026/a");
    assert_int_equal(server_asked(&f->server), 5);
    assert_int_equal(f->restarts, 4);
}

static void tries_again_what_came_in_another_length(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hell");
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    assert_int_equal(get(f), 0);
    assert_int_equal(server_asked(&f->server), 2);
    assert_int_equal(f->body.len, 5);
}

static void knows_an_object_that_was_overwritten(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello, world");
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 x\r\n\r\nhello, world");
    server_answer(&f->server, "200 OK", "etag: \"another\"\r\n", "hello");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(get(f), -ESTALE);
        assert_said(f, "s3://b/m/2026/a is not the object");
        assert_true(f->body.len <= 5);
        assert_int_equal(server_asked(&f->server), i + 1);
    }
}

static void hands_on_the_sinks_errors(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    f->write_err = -ENOSPC;
    assert_int_equal(get(f), -ENOSPC);
    /* Not even one that looks like the network's is tried again. */
    server_answer(&f->server, "200 OK", HELLO_ETAG, "hello");
    f->write_err = -ENETDOWN;
    assert_int_equal(get(f), -ENETDOWN);
    assert_int_equal(server_asked(&f->server), 2);
    f->write_err = 0;
    server_answer(&f->server, "200 OK", HELLO_ETAG, "jello");
    f->restart_err = -EFBIG;
    assert_int_equal(get(f), -EFBIG);
    assert_int_equal(server_asked(&f->server), 3);
}

static void fails_at_once_while_the_server_is_away(void **state) {
    struct fixture *f = *state;
    unsigned port = server_refusing_port();
    char host[64];
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%u", port);
    open_source(f);
    snprintf(host, sizeof host, "127.0.0.1:%u takes no connection", port);
    assert_int_equal(list(f), -ENETDOWN);
    assert_said(f, host);
    assert_int_equal(get(f), -ENETDOWN);
    assert_said(f, "is away");
}

static void needs_credentials(void **state) {
    struct fixture *f = *state;
    unsetenv("AWS_ACCESS_KEY_ID");
    int err = list(f);
    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    assert_true(err == -EACCES || err == -EINVAL);
    assert_said(f, "credentials");
    assert_int_equal(server_asked(&f->server), 0);
}

static void *stopped_list(void *ctx) {
    return (void *)(intptr_t)list(ctx);
}

/* Once while it waits to try again, once while an answer hangs. */
static void stop_ends_calls(void **state) {
    for (int hang = 0; hang <= 1; hang++) {
        struct fixture *f;
        pthread_t thread;
        void *result;
        assert_int_equal(setup((void **)&f), 0);
        if (hang)
            server_add(&f->server, THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<");
        else
            server_answer(&f->server, "503 x", "retry-after: 20\r\n", "");
        assert_int_equal(pthread_create(&thread, NULL, stopped_list, f), 0);
        while (server_asked(&f->server) == 0)
            usleep(1000);
        source_stop(f->source);
        pthread_join(thread, &result);
        assert_int_equal((intptr_t)result, -ECANCELED);
        assert_int_equal(get(f), -ECANCELED);
        assert_int_equal(server_asked(&f->server), 1);
        teardown((void **)&f);
    }
    (void)state;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tells_its_names),
        TEST(lists),
        TEST(asks_what_the_query_says),
        TEST(tries_again),
        TEST(gives_up_after_five_tries),
        cmocka_unit_test(explains_refusals),
        TEST(goes_to_the_buckets_region),
        TEST(moves_a_few_times_at_most),
        TEST(does_not_go_to_what_is_no_region),
        TEST(dates_requests_by_the_servers_clock),
        TEST(is_not_led_on_by_a_wild_clock),
        cmocka_unit_test(tries_again_with_other_credentials),
        TEST(asks_without_credentials_where_told_to),
        TEST(tells_who_pays_and_whose_bucket_it_is),
        TEST(shows_the_customers_key),
        TEST(tells_which_key_is_wanted),
        TEST(refuses_what_is_no_key),
        TEST(sends_no_key_in_the_clear),
        TEST(sends_no_key_through_a_proxy_in_the_clear),
        TEST(asks_an_access_point),
        TEST(refuses_what_is_no_listing),
        TEST(bounds_a_listing),
        TEST(survives_a_huge_error),
        TEST(gets_an_object),
        TEST(asks_for_keys_as_they_are),
        TEST(gets_objects_whose_etag_is_no_md5),
        TEST(gets_an_empty_object),
        TEST(restarts_the_sink_when_bytes_do_not_add_up),
        TEST(gives_up_a_damaged_object),
        TEST(tries_again_what_came_in_another_length),
        TEST(knows_an_object_that_was_overwritten),
        TEST(hands_on_the_sinks_errors),
        TEST(fails_at_once_while_the_server_is_away),
        TEST(needs_credentials),
        cmocka_unit_test(stop_ends_calls),
    };
    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
    setenv("AWS_SESSION_TOKEN", TOKEN, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    unsetenv("AWS_PROFILE");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
