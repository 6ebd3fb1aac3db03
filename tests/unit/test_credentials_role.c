/* Roles of profiles and of tokens: settings, ways to a source, and what STS is asked, by a server
 * that plays a script. */
#include "credentials_kit.h"

#define ARN(name) "arn:aws:iam::111122223333:role/" name
#define BASE "[profile base]\naws_access_key_id = BASE\naws_secret_access_key = secret\n"
#define ANSWER(action, id)                                                                         \
    "<" action "Response><" action "Result><Credentials><AccessKeyId>" id                          \
    "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"             \
    "<Expiration>2026-11-24T12:00:00Z</Expiration></Credentials></" action "Result></" action      \
    "Response>"

struct fixture {
    struct server server;
    struct credentials_network network;
    struct credentials_provider *provider;
    struct credentials found;
    struct fault fault;
    char config[32];
    char token[32];
};

static int setup(void **state) {
    static const char *const variables[] = {"AWS_WEB_IDENTITY_TOKEN_FILE",
                                            "AWS_ROLE_ARN",
                                            "AWS_ROLE_SESSION_NAME",
                                            "AWS_PROFILE",
                                            "AWS_ACCESS_KEY_ID",
                                            "AWS_SECRET_ACCESS_KEY",
                                            "http_proxy"};
    static const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 1000, .stall_timeout_ms = 300};
    struct fixture *f = calloc(1, sizeof *f);
    char url[64];
    unset_all(variables, sizeof variables / sizeof *variables);
    server_start(&f->server);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", f->server.port);
    setenv("AWS_ENDPOINT_URL_STS", url, 1);
    make_file(f->config);
    make_file(f->token);
    setenv("AWS_CONFIG_FILE", f->config, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    f->network.aws = http_pool_new(&options);
    *state = f;
    return f->network.aws ? 0 : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    credentials_provider_free(f->provider);
    credentials_clear(&f->found);
    http_pool_free(f->network.aws);
    server_stop(&f->server);
    unlink(f->config);
    unlink(f->token);
    free(f);
    return 0;
}

static void start(struct fixture *f, const char *config) {
    static const struct credentials_sources sources = {0};
    write_file(f->config, config);
    credentials_provider_free(f->provider);
    f->provider = credentials_profile_role_new("a", "eu-west-1", &sources, &f->network);
    assert_non_null(f->provider);
}

static void expect_key(struct fixture *f, const char *id) {
    credentials_clear(&f->found);
    int err = credentials_get(f->provider, &f->found, &f->fault);
    if (err)
        print_error("%s\n", f->fault.text);
    assert_int_equal(err, 0);
    assert_string_equal(f->found.access_key_id, id);
    assert_string_equal(f->found.session_token, "t");
    assert_int_equal(f->found.expires, 1795521600);
}

static void expect_error(struct fixture *f, int err, const char *text) {
    credentials_clear(&f->found);
    f->fault.text[0] = '\0';
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), err);
    assert_holds(f->fault.text, text);
}

static void a_role_is_assumed_with_its_source(void **state) {
    struct fixture *f = *state;
    start(f, BASE "[profile a]\nrole_arn = " ARN(
                 "r") "\nsource_profile = base\n"
                      "external_id = e\nrole_session_name = me\nduration_seconds = 900\n");
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRole", "ROLE"));
    expect_key(f, "ROLE");
    assert_asked(&f->server, 0, "Credential=BASE/");
    assert_asked(&f->server, 0, "/eu-west-1/sts/aws4_request");
    assert_asked(&f->server, 0, "RoleSessionName=me&DurationSeconds=900&ExternalId=e");
}

/* What the first role gives signs the request for the second. */
static void roles_are_chained(void **state) {
    struct fixture *f = *state;
    start(f, BASE "[profile b]\nrole_arn = " ARN("b") "\nsource_profile = base\n"
                                                      "[profile a]\nrole_arn = " ARN(
                                                          "a") "\nsource_profile = b\n");
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRole", "FIRST"));
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRole", "SECOND"));
    expect_key(f, "SECOND");
    assert_asked(&f->server, 0, "role%2Fb&");
    assert_asked(&f->server, 1, "role%2Fa&");
    assert_asked(&f->server, 1, "Credential=FIRST/");
    assert_asked(&f->server, 1, "\r\nx-amz-security-token: t\r\n");
}

static void a_profile_may_be_its_own_source(void **state) {
    struct fixture *f = *state;
    start(f, "[profile a]\nrole_arn = " ARN(
                 "r") "\nsource_profile = a\n"
                      "aws_access_key_id = OWN\naws_secret_access_key = secret\n");
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRole", "ROLE"));
    expect_key(f, "ROLE");
    assert_asked(&f->server, 0, "Credential=OWN/");
}

static void the_environment_may_be_the_source(void **state) {
    struct fixture *f = *state;
    start(f, "[profile a]\nrole_arn = " ARN("r") "\ncredential_source = Environment\n");
    expect_error(f, -EACCES, "there are no credentials in the environment");
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRole", "ROLE"));
    expect_key(f, "ROLE");
    assert_asked(&f->server, 0, "Credential=ENV/");
}

static void settings_that_cannot_be(void **state) {
    struct fixture *f = *state;
    start(f, "[profile a]\nregion = eu-west-1\n");
    expect_error(f, -ENOENT, "");
    start(f, "[profile a]\nrole_arn = " ARN("r") "\n");
    expect_error(f, -EINVAL, "nothing to assume it with");
    start(f, BASE "[profile a]\nrole_arn = " ARN("r") "\nsource_profile = base\n"
                                                      "credential_source = Environment\n");
    expect_error(f, -EINVAL, "two sources");
    start(f, "[profile a]\nrole_arn = " ARN("r") "\ncredential_source = Moon\n");
    expect_error(f, -EINVAL, "Ec2InstanceMetadata");
    start(f, BASE "[profile a]\nrole_arn = " ARN("r") "\nsource_profile = base\n"
                                                      "mfa_serial = arn:aws:iam::1:mfa/me\n");
    expect_error(f, -EACCES, "mfa_serial");
    start(f, "[profile a]\nrole_arn = " ARN("r") "\nsource_profile = gone\n");
    expect_error(f, -EACCES, "gone");
    static const char *const durations[] = {"899", "43201", "1h", "-900", "9999999999999"};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        char config[512];
        snprintf(config, sizeof config,
                 BASE "[profile a]\nrole_arn = " ARN("r") "\nsource_profile = base\n"
                                                          "duration_seconds = %s\n",
                 durations[i]);
        start(f, config);
        expect_error(f, -EINVAL, "from 900 to 43200");
    }
    assert_int_equal(server_asked(&f->server), 0);
}

static void circles_are_found(void **state) {
    struct fixture *f = *state;
    start(f, "[profile a]\nrole_arn = " ARN("a") "\nsource_profile = b\n"
                                                 "[profile b]\nrole_arn = " ARN(
                                                     "b") "\nsource_profile = a\n");
    expect_error(f, -EINVAL, "'a', 'b', 'a' goes in a circle");
    char config[2048] = "";
    for (int i = 0; i < 12; i++)
        sprintf(config + strlen(config),
                "[profile %c]\nrole_arn = " ARN("r") "\nsource_profile = %c\n", 'a' + i, 'b' + i);
    start(f, config);
    expect_error(f, -EINVAL, "more than 8");
}

static void what_STS_says_is_told(void **state) {
    struct fixture *f = *state;
    start(f, BASE "[profile a]\nrole_arn = " ARN("r") "\nsource_profile = base\n");
    server_answer(&f->server, "403 x", "",
                  "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message>"
                  "</Error></ErrorResponse>");
    expect_error(f, -EACCES,
                 ARN("r") " cannot be assumed: AccessDenied: not you: allow sts:Assume");
    server_answer(&f->server, "503 x", "", "");
    expect_error(f, -ENETDOWN, "asked again later");
    server_add(&f->server, THEN_HANG, "%s", "");
    expect_error(f, -ENETDOWN, "fell silent");
}

static void a_token_is_read_each_time(void **state) {
    struct fixture *f = *state;
    f->provider = credentials_web_identity_new("eu-west-1", &f->network);
    expect_error(f, -ENOENT, "");
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f->token, 1);
    expect_error(f, -EACCES, "AWS_ROLE_ARN");
    setenv("AWS_ROLE_ARN", ARN("pod"), 1);
    expect_error(f, -EACCES, "it is empty");
    write_file(f->token, "one.two/+\n");
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRoleWithWebIdentity", "POD"));
    expect_key(f, "POD");
    assert_asked(&f->server, 0, "Action=AssumeRoleWithWebIdentity&");
    assert_asked(&f->server, 0, "&WebIdentityToken=one.two%2F%2B");
    assert_null(strcasestr(f->server.requests[0], "authorization:"));
    write_file(f->token, "three");
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRoleWithWebIdentity", "POD2"));
    expect_key(f, "POD2");
    assert_asked(&f->server, 1, "&WebIdentityToken=three");
    unlink(f->token);
    expect_error(f, -EACCES, f->token);
}

static void a_profile_may_name_a_token(void **state) {
    struct fixture *f = *state;
    char config[256];
    write_file(f->token, "jwt");
    snprintf(config, sizeof config,
             "[profile a]\nrole_arn = " ARN("r") "\nweb_identity_token_file = %s\n", f->token);
    start(f, config);
    server_answer(&f->server, "200 OK", "", ANSWER("AssumeRoleWithWebIdentity", "WEB"));
    expect_key(f, "WEB");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_role_is_assumed_with_its_source),
        TEST(roles_are_chained),
        TEST(a_profile_may_be_its_own_source),
        TEST(the_environment_may_be_the_source),
        TEST(settings_that_cannot_be),
        TEST(circles_are_found),
        TEST(what_STS_says_is_told),
        TEST(a_token_is_read_each_time),
        TEST(a_profile_may_name_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
