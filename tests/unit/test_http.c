#include "scripted_server.h"

#include <errno.h>
#include <maciefs/http.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const no_headers[] = {NULL};

struct fixture {
    struct server server;
    struct http_pool *pool;
    struct buf body;
    struct http_answer answer;
    struct fault fault;
    char url[512];
};

/* One whose timers do not end an exchange. */
static struct http_pool *patient_pool(void) {
    const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 60000, .stall_timeout_ms = 600000};
    return http_pool_new(&options);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    server_start(&f->server);
    const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 2000, .stall_timeout_ms = 300};
    f->pool = http_pool_new(&options);
    buf_init(&f->body, 8 << 20);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/a", f->server.port);
    *state = f;
    return f->pool ? 0 : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    http_pool_free(f->pool);
    server_stop(&f->server);
    buf_free(&f->body);
    buf_free(&f->answer.error_body);
    free(f);
    return 0;
}

static int ask(struct fixture *f, const char *url) {
    buf_reset(&f->body);
    buf_free(&f->answer.error_body);
    f->answer = (struct http_answer){0};
    return http_get(f->pool, url, no_headers, buf_sink, &f->body, &f->answer, &f->fault);
}

static void assert_body(struct fixture *f, const char *text) {
    assert_string_equal(buf_str(&f->body), text);
}

static void brings_body_and_headers(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK",
                  "ETag: \"abc\"\r\nDate: Tue, 24 Nov 2026 05:06:07 GMT\r\nRetry-After: 7\r\n"
                  "x-amz-bucket-region: eu-west-1\r\n",
                  "hello");
    assert_int_equal(ask(f, f->url), 0);
    assert_body(f, "hello");
    assert_int_equal(f->answer.status, 200);
    assert_int_equal(f->answer.content_length, 5);
    assert_int_equal(f->answer.date, 1795496767);
    assert_int_equal(f->answer.retry_after_s, 7);
    assert_string_equal(f->answer.etag, "abc");
    assert_string_equal(f->answer.bucket_region, "eu-west-1");
    assert_false(f->answer.etag_opaque);
}

static void lacks_what_the_answer_lacks(void **state) {
    struct fixture *f = *state;
    server_add(&f->server, THEN_CLOSE, "HTTP/1.1 200 OK\r\n\r\nhello");
    assert_int_equal(ask(f, f->url), 0);
    assert_body(f, "hello");
    assert_int_equal(f->answer.content_length, -1);
    assert_int_equal(f->answer.date, 0);
    assert_int_equal(f->answer.retry_after_s, 0);
    assert_string_equal(f->answer.etag, "");
}

static void drops_header_values_that_do_not_fit(void **state) {
    struct fixture *f = *state;
    char headers[400];
    snprintf(headers, sizeof headers, "etag: \"%0*d\"\r\ndate: yesterday\r\nretry-after: 9x\r\n",
             200, 0);
    server_answer(&f->server, "200 OK", headers, "");
    assert_int_equal(ask(f, f->url), 0);
    assert_string_equal(f->answer.etag, "");
    assert_int_equal(f->answer.date, 0);
    assert_int_equal(f->answer.retry_after_s, 0);
}

static void reads_a_date_to_retry_after(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "503 Slow Down",
                  "Date: Tue, 24 Nov 2026 05:06:07 GMT\r\n"
                  "Retry-After: Tue, 24 Nov 2026 05:06:19 GMT\r\n",
                  "");
    assert_int_equal(ask(f, f->url), 0);
    assert_int_equal(f->answer.retry_after_s, 12);
}

static void knows_etags_that_are_no_md5(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", "x-amz-server-side-encryption: AES256\r\n", "");
    server_answer(&f->server, "200 OK", "x-amz-server-side-encryption: aws:kms\r\n", "");
    server_answer(&f->server, "200 OK", "x-amz-server-side-encryption: aws:kms:dsse\r\n", "");
    server_answer(&f->server, "200 OK",
                  "x-amz-server-side-encryption-customer-algorithm: AES256\r\n", "");
    const bool opaque[] = {false, true, true, true};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ask(f, f->url), 0);
        assert_int_equal(f->answer.etag_opaque, opaque[i]);
    }
}

static void sends_the_path_as_it_is_and_the_headers(void **state) {
    struct fixture *f = *state;
    const char *const headers[] = {"host: the-host", "x-amz-date: now", NULL};
    char url[600];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/a/../b//c/./%%2E%%2e/+%%20?x=%%2F..",
             f->server.port);
    server_answer(&f->server, "200 OK", "", "");
    assert_int_equal(http_get(f->pool, url, headers, buf_sink, &f->body, &f->answer, &f->fault), 0);
    const char *head = f->server.requests[0];
    const char *line = "GET /a/../b//c/./%2E%2e/+%20?x=%2F.. HTTP/1.1\r\n";
    assert_int_equal(strncmp(head, line, strlen(line)), 0);
    assert_non_null(strcasestr(head, "\r\nhost: the-host\r\n"));
    assert_non_null(strstr(head, "\r\nx-amz-date: now\r\n"));
    assert_non_null(strstr(head, "\r\nUser-Agent: maciefs/" MACIEFS_VERSION "\r\n"));
    assert_null(strcasestr(head, "accept-encoding"));
}

static void does_not_decode(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", "content-encoding: gzip\r\n", "not gzip at all");
    assert_int_equal(ask(f, f->url), 0);
    assert_body(f, "not gzip at all");
}

static void follows_no_redirect(void **state) {
    struct fixture *f = *state;
    char location[600];
    snprintf(location, sizeof location, "location: %s\r\n", f->url);
    server_answer(&f->server, "301 Moved", location, "elsewhere");
    assert_int_equal(ask(f, f->url), 0);
    assert_int_equal(f->answer.status, 301);
    assert_int_equal(f->body.len, 0);
    assert_string_equal(buf_str(&f->answer.error_body), "elsewhere");
    assert_int_equal(server_asked(&f->server), 1);
}

static void keeps_its_connection(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < 5; i++)
        server_answer(&f->server, i % 2 ? "404 Not Found" : "200 OK", "", "x");
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(f, f->url), 0);
    assert_int_equal(server_connections(&f->server), 1);
}

static void keeps_nothing_where_answers_are_secrets(void **state) {
    struct fixture *f = *state;
    const struct http_options options = {.connections = 1,
                                         .connect_timeout_ms = 60000,
                                         .stall_timeout_ms = 600000,
                                         .forgetful = true};
    http_pool_free(f->pool);
    f->pool = http_pool_new(&options);
    for (unsigned i = 1; i <= 2; i++) {
        server_answer(&f->server, "200 OK", "", "hello");
        assert_int_equal(ask(f, f->url), 0);
        assert_body(f, "hello");
        assert_int_equal(server_connections(&f->server), i);
    }
}

static void keeps_only_the_beginning_of_a_huge_error(void **state) {
    struct fixture *f = *state;
    char *bytes = NULL;
    int len = asprintf(&bytes, "HTTP/1.1 500 No\r\n\r\n%0*d", 4 << 20, 0);
    server_add_bytes(&f->server, THEN_HANG, bytes, (size_t)len);
    assert_int_equal(ask(f, f->url), 0);
    assert_int_equal(f->answer.status, 500);
    assert_int_equal(f->answer.error_body.len, 64 << 10);
}

static void refuses_headers_without_end(void **state) {
    struct fixture *f = *state;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    buf_append_str(&bytes, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < 5000; i++)
        buf_append_str(&bytes, "x-filler: filler filler\r\n");
    server_add_bytes(&f->server, THEN_HANG, (char *)bytes.at, bytes.len);
    assert_int_equal(ask(f, f->url), -EPROTO);
    assert_non_null(strstr(f->fault.text, "headers without end"));
}

static void tells_how_an_answer_broke(void **state) {
    static const struct {
        enum server_then then;
        const char *bytes;
        int err;
        const char *said;
    } cases[] = {
        {THEN_RESET, "", -ECONNRESET, "connection"},
        {THEN_CLOSE, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", -ECONNRESET, "short"},
        {THEN_RESET, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", -ECONNRESET, ""},
        {THEN_CLOSE, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", -ECONNRESET,
         ""},
        {THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", -ETIMEDOUT, "silent"},
        {THEN_HANG, "HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nhalf", -ETIMEDOUT, "silent"},
        {THEN_HANG, "", -ENETDOWN, "silent"},
        {THEN_CLOSE, "SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, "HTTP"},
        {THEN_CLOSE, "HTTP/1.1 999 What\r\n\r\n", -EPROTO, "999"},
    };
    struct fixture *f = *state;
    char host[64];
    snprintf(host, sizeof host, "127.0.0.1:%u ", f->server.port);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server_add(&f->server, cases[i].then, "%s", cases[i].bytes);
        assert_int_equal(ask(f, f->url), cases[i].err);
        assert_non_null(strstr(f->fault.text, cases[i].said));
        assert_int_equal(strncmp(f->fault.text, host, strlen(host)), 0);
    }
}

static void tells_why_nobody_answers(void **state) {
    struct fixture *f = *state;
    char url[600], host[64];
    unsigned port = server_refusing_port();
    snprintf(url, sizeof url, "http://name:pass@127.0.0.1:%u/", port);
    snprintf(host, sizeof host, "127.0.0.1:%u takes no connection", port);
    assert_int_equal(ask(f, url), -ENETDOWN);
    assert_non_null(strstr(f->fault.text, host));
    assert_null(strstr(f->fault.text, "pass"));

    assert_int_equal(ask(f, "http://nowhere.invalid/"), -ENETDOWN);
    assert_non_null(strstr(f->fault.text, "nowhere.invalid:80 has no address"));
    assert_int_equal(ask(f, "https://nowhere.invalid/"), -ENETDOWN);
    assert_non_null(strstr(f->fault.text, "nowhere.invalid:443 has no address"));

    assert_int_equal(ask(f, "file:///etc/passwd"), -EPROTO);
    assert_int_equal(f->body.len, 0);
}

/* Answers a TLS greeting with what no TLS server says. */
static void *speak_plainly(void *ctx) {
    int fd = accept(*(int *)ctx, NULL, NULL);
    char greeting[4096];
    if (recv(fd, greeting, sizeof greeting, 0) > 0)
        server_send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    close(fd);
    return NULL;
}

/* A port that speaks no TLS, for one connection. */
struct plain_port {
    int fd;
    pthread_t thread;
    char url[64];
};

static void plain_port_open(struct plain_port *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    port->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(bind(port->fd, (struct sockaddr *)&address, len), errno);
    assert_return_code(listen(port->fd, 1), errno);
    assert_return_code(getsockname(port->fd, (struct sockaddr *)&address, &len), errno);
    assert_int_equal(pthread_create(&port->thread, NULL, speak_plainly, &port->fd), 0);
    snprintf(port->url, sizeof port->url, "https://127.0.0.1:%u/", ntohs(address.sin_port));
}

static void plain_port_close(struct plain_port *port) {
    pthread_join(port->thread, NULL);
    close(port->fd);
}

static void tells_that_a_port_speaks_no_tls(void **state) {
    struct fixture *f = *state;
    struct plain_port port;
    /* Reading the machine's certificates takes its time. */
    http_pool_free(f->pool);
    f->pool = patient_pool();
    plain_port_open(&port);
    assert_int_equal(ask(f, port.url), -ENETDOWN);
    assert_non_null(strstr(f->fault.text, "does not agree on TLS"));
    plain_port_close(&port);
}

static void reaches_without_a_request(void **state) {
    struct fixture *f = *state;
    struct http_reach reach;
    char address[64];
    assert_int_equal(http_reach(f->pool, f->url, &reach, &f->fault), 0);
    assert_true(reach.connected);
    snprintf(address, sizeof address, "127.0.0.1, port %u", f->server.port);
    assert_string_equal(reach.address, address);
    assert_string_equal(reach.expires, "");
    assert_int_equal(server_asked(&f->server), 0);
}

static void tells_a_server_that_is_away_from_one_without_tls(void **state) {
    struct fixture *f = *state;
    struct http_reach reach;
    struct plain_port port;
    char url[64];
    http_pool_free(f->pool);
    f->pool = patient_pool();
    plain_port_open(&port);
    assert_int_equal(http_reach(f->pool, port.url, &reach, &f->fault), -ENETDOWN);
    assert_true(reach.connected);
    assert_non_null(strstr(f->fault.text, "does not agree on TLS"));
    plain_port_close(&port);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", server_refusing_port());
    assert_int_equal(http_reach(f->pool, url, &reach, &f->fault), -ENETDOWN);
    assert_false(reach.connected);
    assert_string_equal(reach.address, "");
    assert_non_null(strstr(f->fault.text, "takes no connection"));
    assert_int_equal(http_reach(f->pool, "http://no-such-host.invalid/", &reach, &f->fault),
                     -ENETDOWN);
    assert_false(reach.connected);
    assert_non_null(strstr(f->fault.text, "no-such-host.invalid:80"));
}

/* A listener whose queue is full drops who comes, like a network that is away. */
static void does_not_wait_long_to_connect(void **state) {
    struct fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fds[4];
    for (size_t i = 0; i < 4; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_return_code(bind(fds[0], (struct sockaddr *)&address, len), errno);
    assert_return_code(listen(fds[0], 0), errno);
    assert_return_code(getsockname(fds[0], (struct sockaddr *)&address, &len), errno);
    for (size_t i = 1; i < 4; i++)
        (void)connect(fds[i], (struct sockaddr *)&address, len);
    const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 200, .stall_timeout_ms = 600000};
    http_pool_free(f->pool);
    f->pool = http_pool_new(&options);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    assert_int_equal(ask(f, url), -ENETDOWN);
    assert_non_null(strstr(f->fault.text, "does not answer in time"));
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
}

static int full_sink(void *ctx, const uint8_t *at, size_t len) {
    (void)ctx, (void)at, (void)len;
    return -ENOSPC;
}

static void hands_on_the_sinks_error(void **state) {
    struct fixture *f = *state;
    server_answer(&f->server, "200 OK", "", "hello");
    assert_int_equal(http_get(f->pool, f->url, no_headers, full_sink, NULL, &f->answer, &f->fault),
                     -ENOSPC);
}

struct caller {
    struct http_pool *pool;
    const char *url;
    pthread_t thread;
    int err;
    struct fault fault;
};

static void *call(void *ctx) {
    struct caller *caller = ctx;
    struct buf body;
    struct http_answer answer = {0};
    buf_init(&body, 100);
    caller->err =
        http_get(caller->pool, caller->url, no_headers, buf_sink, &body, &answer, &caller->fault);
    buf_free(&body);
    buf_free(&answer.error_body);
    return NULL;
}

static void callers_take_turns(void **state) {
    struct fixture *f = *state;
    struct caller callers[8];
    for (size_t i = 0; i < 8; i++)
        server_answer(&f->server, "200 OK", "", "hello");
    for (size_t i = 0; i < 8; i++) {
        callers[i] = (struct caller){.pool = f->pool, .url = f->url};
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].err, 0);
    }
    assert_int_equal(server_connections(&f->server), 1);
}

/* One exchange hangs, one waits for its connection, one comes later. */
static void stop_ends_all(void **state) {
    struct fixture *f = *state;
    struct http_pool *pool = patient_pool();
    struct caller callers[2];
    server_add(&f->server, THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
    for (size_t i = 0; i < 2; i++) {
        callers[i] = (struct caller){.pool = pool, .url = f->url};
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
    }
    while (server_asked(&f->server) == 0)
        usleep(1000);
    http_pool_stop(pool);
    assert_true(http_pool_stopped(pool));
    for (size_t i = 0; i < 2; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].err, -ECANCELED);
    }
    assert_int_equal(http_get(pool, f->url, no_headers, buf_sink, &f->body, &f->answer, &f->fault),
                     -ECANCELED);
    http_pool_free(pool);
}

static void accepts_null(void **state) {
    (void)state;
    http_pool_free(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(brings_body_and_headers),
        TEST(lacks_what_the_answer_lacks),
        TEST(drops_header_values_that_do_not_fit),
        TEST(reads_a_date_to_retry_after),
        TEST(knows_etags_that_are_no_md5),
        TEST(sends_the_path_as_it_is_and_the_headers),
        TEST(does_not_decode),
        TEST(follows_no_redirect),
        TEST(keeps_its_connection),
        TEST(keeps_nothing_where_answers_are_secrets),
        TEST(keeps_only_the_beginning_of_a_huge_error),
        TEST(refuses_headers_without_end),
        TEST(tells_how_an_answer_broke),
        TEST(tells_why_nobody_answers),
        TEST(tells_that_a_port_speaks_no_tls),
        TEST(reaches_without_a_request),
        TEST(tells_a_server_that_is_away_from_one_without_tls),
        TEST(does_not_wait_long_to_connect),
        TEST(hands_on_the_sinks_error),
        TEST(callers_take_turns),
        TEST(stop_ends_all),
        cmocka_unit_test(accepts_null),
    };
    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
