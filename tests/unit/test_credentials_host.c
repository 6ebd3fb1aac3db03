/* The providers that ask this machine's host, or a program: against a server that plays a script,
 * and shell commands. */
#include "credentials_kit.h"

#include "../../fs/credentials/credentials_json.h"

#define KEYS "\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\""
#define WHOLE "{" KEYS ",\"Token\":\"T\",\"Expiration\":\"2026-11-24T12:00:00Z\"}"
#define EXPIRES 1795521600

/* ---- The JSON ---- */

static void expect_parsed(const char *text, const char *token, int64_t expires) {
    struct credentials found;
    assert_int_equal(credentials_json_parse(text, strlen(text), &found), 0);
    assert_string_equal(found.access_key_id, "AK");
    assert_string_equal(found.secret_access_key, "SK");
    if (token)
        assert_string_equal(found.session_token, token);
    else
        assert_null(found.session_token);
    assert_int_equal(found.expires, expires);
    credentials_clear(&found);
}

static void reads_what_services_write(void **state) {
    (void)state;
    expect_parsed(WHOLE, "T", EXPIRES);
    expect_parsed("{" KEYS "}", NULL, 0);
    expect_parsed("{\"Version\":1," KEYS ",\"SessionToken\":\"S\",\"Expiration\":null}", "S", 0);
    expect_parsed("{\"Code\":\"Success\"," KEYS ",\"Expiration\":\"2026-11-24T12:00:00.5Z\"}", NULL,
                  EXPIRES);
    expect_parsed("{" KEYS ",\"Expiration\":\"2026-11-24T12:00:00+00:00\"}", NULL, EXPIRES);
    expect_parsed("{" KEYS ",\"Expiration\":\"2026-11-24T13:30:00+01:30\"}", NULL, EXPIRES);
    expect_parsed("{" KEYS ",\"Expiration\":\"2026-11-24T07:00:00-05:00\"}", NULL, EXPIRES);
}

static void refuses_what_are_no_credentials(void **state) {
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "\"AK\"",
        "{}",
        "{\"AccessKeyId\":\"AK\"}",
        "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"SK\"}",
        "{\"AccessKeyId\":1,\"SecretAccessKey\":\"SK\"}",
        "{\"Code\":\"AssumeRoleUnauthorizedAccess\"," KEYS "}",
        "{\"Version\":2," KEYS "}",
        "{\"Version\":\"1\"," KEYS "}",
        "{" KEYS ",\"Expiration\":1795521600}",
        "{" KEYS ",\"Expiration\":\"tomorrow\"}",
        "{" KEYS ",\"Expiration\":\"2026-11-24T12:00:00+0100\"}",
        "{" KEYS ",\"Expiration\":\"2026-13-24T12:00:00Z\"}",
    };
    struct credentials found;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(credentials_json_parse(texts[i], strlen(texts[i]), &found), -EPROTO);
    char *deep = malloc(70000);
    assert_non_null(deep);
    memset(deep, '[', 70000);
    assert_int_equal(credentials_json_parse(deep, 60000, &found), -EPROTO);
    assert_int_equal(credentials_json_parse(deep, 70000, &found), -EPROTO);
    free(deep);
}

/* ---- The providers ---- */

struct fixture {
    struct server server;
    struct credentials_network network;
    struct credentials_provider *provider;
    struct credentials found;
    struct fault fault;
    char url[64];
    char file[32];
};

static int setup(void **state) {
    static const char *const variables[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                            "AWS_EC2_METADATA_DISABLED",
                                            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                            "AWS_PROFILE"};
    static const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 1000, .stall_timeout_ms = 300, .direct = true};
    struct fixture *f = calloc(1, sizeof *f);
    unset_all(variables, sizeof variables / sizeof *variables);
    server_start(&f->server);
    f->network.host = http_pool_new(&options);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", f->server.port);
    make_file(f->file);
    setenv("AWS_CONFIG_FILE", f->file, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    credentials_provider_free(f->provider);
    credentials_clear(&f->found);
    http_pool_free(f->network.host);
    server_stop(&f->server);
    unlink(f->file);
    free(f);
    return 0;
}

static int get(struct fixture *f) {
    credentials_clear(&f->found);
    f->fault.text[0] = '\0';
    return credentials_get(f->provider, &f->found, &f->fault);
}

static void expect_whole(struct fixture *f) {
    int err = get(f);
    if (err)
        print_error("%s\n", f->fault.text);
    assert_int_equal(err, 0);
    assert_string_equal(f->found.access_key_id, "AK");
    assert_string_equal(f->found.session_token, "T");
    assert_int_equal(f->found.expires, EXPIRES);
}

static void assert_said(struct fixture *f, const char *text) {
    assert_holds(f->fault.text, text);
}

static void start_container(struct fixture *f, const char *path) {
    char url[128];
    snprintf(url, sizeof url, "%s%s", f->url, path);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    f->provider = credentials_container_new(&f->network);
    assert_non_null(f->provider);
}

static void a_container_is_asked(void **state) {
    struct fixture *f = *state;
    start_container(f, "/creds?x=1");
    server_answer(&f->server, "200 OK", "", WHOLE);
    expect_whole(f);
    assert_asked(&f->server, 0, "GET /creds?x=1 HTTP/1.1\r\n");
    assert_null(strcasestr(f->server.requests[0], "\r\nauthorization:"));
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
    server_answer(&f->server, "200 OK", "", WHOLE);
    expect_whole(f);
    assert_asked(&f->server, 1, "\r\nAuthorization: Basic abc\r\n");
}

static void a_containers_token_file_is_read_each_time(void **state) {
    struct fixture *f = *state;
    start_container(f, "/");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other", 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", f->file, 1);
    write_file(f->file, "one\n");
    server_answer(&f->server, "200 OK", "", WHOLE);
    server_answer(&f->server, "200 OK", "", WHOLE);
    expect_whole(f);
    write_file(f->file, "two");
    expect_whole(f);
    assert_asked(&f->server, 0, "\r\nAuthorization: one\r\n");
    assert_asked(&f->server, 1, "\r\nAuthorization: two\r\n");
    write_file(f->file, "two\r\nx-evil: 1\r\n");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "line end");
    assert_null(strstr(f->fault.text, "evil"));
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent/token", 1);
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "/nonexistent/token");
    assert_int_equal(server_asked(&f->server), 2);
}

static void a_container_may_refuse(void **state) {
    struct fixture *f = *state;
    start_container(f, "/");
    server_answer(&f->server, "403 x", "", "no");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "(403)");
    server_answer(&f->server, "500 x", "", "");
    assert_int_equal(get(f), -ENETDOWN);
    server_answer(&f->server, "200 OK", "", "<html>");
    assert_int_equal(get(f), -EACCES);
    server_add(&f->server, THEN_HANG, "%s", "");
    assert_int_equal(get(f), -ENETDOWN);
}

static void a_container_is_asked_safely_alone(void **state) {
    static const char *const urls[] = {"http://example.com/",           "http://10.0.0.1/",
                                       "http://127.0.0.1.example.com/", "ftp://127.0.0.1/",
                                       "http://u:p@127.0.0.1/",         "http://1270.0.1/",
                                       "http://169.254.170.3/",         "no url"};
    struct fixture *f = *state;
    f->provider = credentials_container_new(&f->network);
    assert_int_equal(get(f), -ENOENT);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i], 1);
        assert_int_equal(get(f), -EACCES);
        assert_said(f, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    }
    /* Not the end of a host's name. */
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ".example.com/", 1);
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
}

static void start_metadata(struct fixture *f) {
    char url[128];
    snprintf(url, sizeof url, "%s/", f->url);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
    f->provider = credentials_metadata_new(&f->network);
    assert_non_null(f->provider);
}

static void an_instance_is_asked_in_a_session(void **state) {
    struct fixture *f = *state;
    start_metadata(f);
    server_answer(&f->server, "200 OK", "", "TOKEN==");
    server_answer(&f->server, "200 OK", "", "a role/..\nother");
    server_answer(&f->server, "200 OK", "",
                  "{\"Code\":\"Success\"," KEYS
                  ",\"Token\":\"T\",\"Expiration\":\"2026-11-24T12:00:00Z\"}");
    expect_whole(f);
    assert_asked(&f->server, 0, "PUT /latest/api/token HTTP/1.1\r\n");
    assert_asked(&f->server, 0, "\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\n");
    assert_asked(&f->server, 1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n");
    assert_asked(&f->server, 1, "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n");
    assert_asked(&f->server, 2,
                 "GET /latest/meta-data/iam/security-credentials/a%20role%2F.. HTTP/1.1\r\n");
}

static void an_instance_may_have_no_role(void **state) {
    struct fixture *f = *state;
    start_metadata(f);
    server_answer(&f->server, "200 OK", "", "TOKEN");
    server_answer(&f->server, "404 x", "", "");
    assert_int_equal(get(f), -ENOENT);
    server_answer(&f->server, "200 OK", "", "TOKEN");
    server_answer(&f->server, "200 OK", "", "");
    assert_int_equal(get(f), -ENOENT);
}

static void an_instance_may_refuse(void **state) {
    struct fixture *f = *state;
    start_metadata(f);
    server_answer(&f->server, "403 x", "", "");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "(403)");
    server_answer(&f->server, "200 OK", "", "TO\r\nx-evil: KEN");
    assert_int_equal(get(f), -EACCES);
    server_answer(&f->server, "200 OK", "", "TOKEN");
    server_answer(&f->server, "200 OK", "", "role");
    server_answer(&f->server, "200 OK", "", "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "the role's trust");
}

static void no_instance_is_found_out_once(void **state) {
    struct fixture *f = *state;
    start_metadata(f);
    server_add(&f->server, THEN_HANG, "%s", "");
    assert_int_equal(get(f), -ENOENT);
    assert_int_equal(get(f), -ENOENT);
    assert_int_equal(server_asked(&f->server), 1);
}

/* What answered once is not taken for absent: trying again will help. */
static void an_instance_may_be_silent_for_a_while(void **state) {
    struct fixture *f = *state;
    start_metadata(f);
    server_answer(&f->server, "200 OK", "", "TOKEN");
    server_answer(&f->server, "200 OK", "", "role");
    server_answer(&f->server, "200 OK", "", WHOLE);
    server_add(&f->server, THEN_HANG, "%s", "");
    expect_whole(f);
    assert_int_equal(get(f), -ENETDOWN);
    assert_said(f, "fell silent");
}

static void an_instance_is_left_alone_where_told_to(void **state) {
    struct fixture *f = *state;
    start_metadata(f);
    setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    assert_int_equal(get(f), -ENOENT);
    assert_int_equal(server_asked(&f->server), 0);
}

static void start_process(struct fixture *f, const char *command) {
    char text[1024];
    snprintf(text, sizeof text, "[profile a]\ncredential_process = %s\n", command);
    write_file(f->file, text);
    credentials_provider_free(f->provider);
    f->provider = credentials_process_new("a");
    assert_non_null(f->provider);
}

static void a_process_is_run(void **state) {
    struct fixture *f = *state;
    start_process(f, "printf '%s' '{\"Version\":1," KEYS
                     ",\"SessionToken\":\"T\",\"Expiration\":\"2026-11-24T12:00:00Z\"}'");
    expect_whole(f);
    write_file(f->file, "[profile a]\nregion = x\n");
    assert_int_equal(get(f), -ENOENT);
}

static void a_process_may_fail(void **state) {
    struct fixture *f = *state;
    start_process(f, "echo " WHOLE "; exit 7");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "exit status 7");
    start_process(f, "kill -9 $$");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "signal 9");
    start_process(f, "echo SECRET");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "no credentials");
    assert_null(strstr(f->fault.text, "SECRET"));
    start_process(f, "cat /dev/zero");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "too much");
    start_process(f, "/nonexistent/program");
    assert_int_equal(get(f), -EACCES);
    assert_said(f, "exit status 127");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_services_write),
        cmocka_unit_test(refuses_what_are_no_credentials),
        TEST(a_container_is_asked),
        TEST(a_containers_token_file_is_read_each_time),
        TEST(a_container_may_refuse),
        TEST(a_container_is_asked_safely_alone),
        TEST(an_instance_is_asked_in_a_session),
        TEST(an_instance_may_have_no_role),
        TEST(an_instance_may_refuse),
        TEST(no_instance_is_found_out_once),
        TEST(an_instance_may_be_silent_for_a_while),
        TEST(an_instance_is_left_alone_where_told_to),
        TEST(a_process_is_run),
        TEST(a_process_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
