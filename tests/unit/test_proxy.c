/* Proxies: which one is found, how it is asked, and what is said of one that lets nothing through.
 */
#include "../../fs/http/proxy.h"
#include "scripted_server.h"

#include <errno.h>
#include <maciefs/http.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define USER "user:hidden%20one@"
#define NO_HEADERS ((const char *const[]){NULL})

static const char *const variables[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY"};

struct fixture {
    struct server server; /* the proxy, and the server behind it */
    struct http_pool *pool;
    struct buf body;
    struct http_answer answer;
    struct fault fault;
    char name[32];
};

static int setup(void **state) {
    static const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 500, .stall_timeout_ms = 3000};
    struct fixture *f = calloc(1, sizeof *f);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    server_start(&f->server);
    snprintf(f->name, sizeof f->name, "127.0.0.1:%u", f->server.port);
    f->pool = http_pool_new(&options);
    buf_init(&f->body, 1 << 20);
    *state = f;
    return f->pool ? 0 : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    http_pool_free(f->pool);
    server_stop(&f->server);
    buf_free(&f->body);
    buf_free(&f->answer.error_body);
    free(f);
    return 0;
}

__attribute__((format(printf, 2, 3))) static void set(const char *variable, const char *format,
                                                      ...) {
    char value[256];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    assert_int_equal(setenv(variable, value, 1), 0);
}

static int ask(struct fixture *f, const char *url) {
    buf_reset(&f->body);
    buf_free(&f->answer.error_body);
    f->answer = (struct http_answer){0};
    f->fault = (struct fault){.text = ""};
    return http_get(f->pool, url, NO_HEADERS, buf_sink, &f->body, &f->answer, &f->fault);
}

static void assert_told(struct fixture *f, const char *text) {
    if (!strstr(f->fault.text, text))
        fail_msg("'%s' is not in '%s'", text, f->fault.text);
    assert_null(strstr(f->fault.text, "hidden"));
    assert_null(strstr(f->fault.text, "user:"));
}

static void assert_asked(struct fixture *f, size_t request, const char *text) {
    if (!strcasestr(f->server.requests[request], text))
        fail_msg("'%s' is not in '%s'", text, f->server.requests[request]);
}

static void assert_found(const char *url, const char *variable, const char *name, bool has_user) {
    struct proxy found;
    struct fault fault;
    assert_int_equal(proxy_find(url, &found, &fault), 0);
    if (!variable) {
        assert_null(found.url);
        return;
    }
    assert_non_null(found.url);
    assert_string_equal(found.variable, variable);
    assert_string_equal(found.name, name);
    assert_int_equal(found.has_user, has_user);
}

/* Each variable gives way to the one that is set after it; an empty one is none. */
static void finds_the_variable(void **state) {
    (void)state;
    assert_found("http://h/", NULL, NULL, false);
    set("ALL_PROXY", "socks5h://s");
    assert_found("http://h/", "ALL_PROXY", "s:1080", false);
    set("all_proxy", "https://t");
    assert_found("https://h/", "all_proxy", "t:443", false);
    set("HTTP_PROXY", "a");
    assert_found("http://h/", "HTTP_PROXY", "a:80", false);
    assert_found("https://h/", "all_proxy", "t:443", false);
    set("http_proxy", "HTTP://b:3128/");
    assert_found("http://h/", "http_proxy", "b:3128", false);
    set("http_proxy", "%s", "");
    assert_found("http://h/", "HTTP_PROXY", "a:80", false);
    set("HTTPS_PROXY", "%s", USER "c:8080");
    assert_found("https://h/", "HTTPS_PROXY", "c:8080", true);
    set("https_proxy", "%s", "http://" USER "[::1]:8080");
    assert_found("HTTPS://h/", "https_proxy", "[::1]:8080", true);
}

static void refuses_what_is_no_proxy(void **state) {
    static const char *const wrong[] = {"ftp://" USER "h",        "http://" USER,
                                        "http://" USER "h:port",  "://" USER "h",
                                        "http://" USER "h:99999", "http://"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set("HTTPS_PROXY", "%s", wrong[i]);
        if (ask(f, "https://h/") != -EPROTO)
            fail_msg("taken: %s", wrong[i]);
        assert_told(f, "HTTPS_PROXY in the environment is no address of a proxy");
    }
    assert_int_equal(server_asked(&f->server), 0);
}

static void asks_through_it(void **state) {
    struct fixture *f = *state;
    set("HTTP_PROXY", "http://%s%s", USER, f->name);
    server_answer(&f->server, "200 OK", "", "hello");
    assert_int_equal(ask(f, "http://s3.example/b/k"), 0);
    assert_asked(f, 0, "GET http://s3.example/b/k HTTP/1.1\r\n");
    assert_asked(f, 0, "\r\nproxy-authorization: Basic dXNlcjpoaWRkZW4gb25l\r\n");
    assert_string_equal(buf_str(&f->body), "hello");
}

static void goes_past_it_where_told_to(void **state) {
    static const char *const exceptions[] = {"*", "127.0.0.1", "s3.example, 127.0.0.0/8"};
    struct fixture *f = *state;
    char url[64];
    snprintf(url, sizeof url, "http://%s/a", f->name);
    set("http_proxy", "http://127.0.0.1:%u", server_refusing_port());
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++) {
        set(i % 2 ? "no_proxy" : "NO_PROXY", "%s", exceptions[i]);
        server_answer(&f->server, "200 OK", "", "");
        assert_int_equal(ask(f, url), 0);
        assert_asked(f, i, "GET /a HTTP/1.1\r\n");
        unsetenv("no_proxy");
        unsetenv("NO_PROXY");
    }
}

/* Not even by a variable that libcurl would find by itself. */
static void a_direct_pool_has_none(void **state) {
    static const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 500, .stall_timeout_ms = 3000, .direct = true};
    struct fixture *f = *state;
    char url[64];
    http_pool_free(f->pool);
    f->pool = http_pool_new(&options);
    assert_non_null(f->pool);
    set("http_proxy", "http://127.0.0.1:%u", server_refusing_port());
    set("all_proxy", "no:://proxy");
    server_answer(&f->server, "200 OK", "", "");
    snprintf(url, sizeof url, "http://%s/a", f->name);
    assert_int_equal(ask(f, url), 0);
}

/* CONNECT for https; the whole URL for http, where 407 alone is surely the proxy's. */
static void tells_why_it_lets_nothing_through(void **state) {
    static const struct {
        const char *url, *user, *status;
        int err;
        const char *told;
    } cases[] = {
        {"https://s3.example/", "", "407 Who", -EPROTO, "wants a user and a password"},
        {"https://s3.example/", USER, "407 Who", -EPROTO, "refuses the user or the password"},
        {"https://s3.example/", "", "403 No", -EPROTO,
         "does not let requests through to it "
         "(status 403)"},
        {"https://s3.example/", "", "502 Bad", -ENETDOWN, "cannot reach it (status 502)"},
        {"https://s3.example/", "", "302 Portal", -EPROTO, "status 302"},
        {"http://s3.example/", "", "407 Who", -EPROTO, "wants a user and a password"},
        {"http://s3.example/", USER, "407 Who", -EPROTO, "refuses the user or the password"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool tls = strncmp(cases[i].url, "https", 5) == 0;
        char who[128];
        set("http_proxy", "http://%s%s", cases[i].user, f->name);
        set("https_proxy", "http://%s%s", cases[i].user, f->name);
        server_answer(&f->server, cases[i].status, "connection: close\r\n", "a secret page");
        assert_int_equal(ask(f, cases[i].url), cases[i].err);
        assert_asked(f, i, tls ? "CONNECT s3.example:443 " : "GET http://s3.example/ ");
        snprintf(who, sizeof who, "s3.example:%s is asked through the proxy %s (%s), which ",
                 tls ? "443" : "80", f->name, tls ? "https_proxy" : "http_proxy");
        assert_told(f, who);
        assert_told(f, cases[i].told);
    }
    assert_int_equal(server_asked(&f->server), sizeof cases / sizeof *cases);
}

static void tells_that_it_is_away(void **state) {
    struct fixture *f = *state;
    char who[64];
    unsigned port = server_refusing_port();
    set("https_proxy", "http://%s127.0.0.1:%u", USER, port);
    snprintf(who, sizeof who, "through the proxy 127.0.0.1:%u (https_proxy), which takes no", port);
    assert_int_equal(ask(f, "https://s3.example/"), -ENETDOWN);
    assert_told(f, who);
    set("https_proxy", "http://%snowhere.invalid", USER);
    assert_int_equal(ask(f, "https://s3.example/"), -ENETDOWN);
    assert_told(f, "through the proxy nowhere.invalid:80 (https_proxy), which has no address");
    set("https_proxy", "http://%s", f->name);
    server_add(&f->server, THEN_HANG, "HTTP/1.1 200");
    assert_int_equal(ask(f, "https://s3.example/"), -ENETDOWN);
    assert_told(f, "which does not answer in time");
    /* Who is not asked through it is not said to be. */
    set("no_proxy", "*");
    assert_int_equal(ask(f, "https://nowhere.invalid/"), -ENETDOWN);
    assert_told(f, "nowhere.invalid:443 has no address");
    snprintf(who, sizeof who, "https://127.0.0.1:%u/", server_refusing_port());
    assert_int_equal(ask(f, who), -ENETDOWN);
    assert_told(f, "takes no connection: check the endpoint's");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(finds_the_variable),     TEST(refuses_what_is_no_proxy),
        TEST(asks_through_it),        TEST(goes_past_it_where_told_to),
        TEST(a_direct_pool_has_none), TEST(tells_why_it_lets_nothing_through),
        TEST(tells_that_it_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
