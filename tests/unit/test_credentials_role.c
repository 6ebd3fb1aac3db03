/* Providers of roles: web identity, and the roles of profiles, against a server that plays STS. */
#include "credentials_kit.h"

#include <limits.h>
#include <sys/stat.h>

#define CREDENTIALS(id)                                                                            \
    "<Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"           \
    "<SessionToken>token-" id "</SessionToken><Expiration>2026-11-24T05:06:07Z</Expiration>"       \
    "</Credentials>"
#define ROLE(id)                                                                                   \
    "<AssumeRoleResponse><AssumeRoleResult>" CREDENTIALS(                                          \
        id) "</AssumeRoleResult></AssumeRoleResponse>"
#define WEB(id)                                                                                    \
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" CREDENTIALS(            \
        id) "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
#define KEYS(id) "aws_access_key_id = " id "\naws_secret_access_key = secret\n"

struct fixture {
    struct server server;
    struct credentials_network network;
    struct credentials_provider *provider;
    struct credentials found;
    struct fault fault;
    char folder[64], config[PATH_MAX], token[PATH_MAX];
};

static int setup(void **state) {
    static const char *const variables[] = {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",       "AWS_SESSION_TOKEN",
        "AWS_PROFILE",       "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
        "http_proxy",        "AWS_ROLE_SESSION_NAME"};
    static const struct http_options options = {
        .connections = 1, .connect_timeout_ms = 2000, .stall_timeout_ms = 300};
    struct fixture *f = calloc(1, sizeof *f);
    server_start(&f->server);
    f->network.aws = http_pool_new(&options);
    unset_all(variables, sizeof variables / sizeof *variables);
    snprintf(f->folder, sizeof f->folder, "/tmp/test_role.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->config, sizeof f->config, "%s/config", f->folder);
    snprintf(f->token, sizeof f->token, "%s/token", f->folder);
    setenv("AWS_CONFIG_FILE", f->config, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", f->server.port);
    setenv("AWS_ENDPOINT_URL_STS", url, 1);
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
    rmdir(f->folder);
    free(f);
    return 0;
}

static void expect_key(struct fixture *f, const char *id) {
    credentials_clear(&f->found);
    int err = credentials_get(f->provider, &f->found, &f->fault);
    if (err)
        fail_msg("%d: %s", err, f->fault.text);
    assert_string_equal(f->found.access_key_id, id);
    assert_int_equal(strncmp(f->found.session_token, "token-", 6), 0);
    assert_int_equal(f->found.expires, 1795496767);
}

static void expect_fault(struct fixture *f, int error, const char *text) {
    credentials_clear(&f->found);
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), error);
    assert_null(f->found.access_key_id);
    if (!strstr(f->fault.text, text))
        fail_msg("'%s' is not in '%s'", text, f->fault.text);
}

static void expect_asked(struct fixture *f, size_t request, const char *text) {
    assert_true(request < server_asked(&f->server));
    if (!strstr(f->server.requests[request], text))
        fail_msg("'%s' is not in '%s'", text, f->server.requests[request]);
}

/* Web identity. */

static void start_web_identity(struct fixture *f) {
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f->token, 1);
    setenv("AWS_ROLE_ARN", "arn:r", 1);
    f->provider = credentials_web_identity_new("eu-west-1", &f->network);
    assert_non_null(f->provider);
}

static void web_identity_needs_its_variables(void **state) {
    struct fixture *f = *state;
    start_web_identity(f);
    unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), -ENOENT);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "", 1);
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), -ENOENT);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f->token, 1);
    unsetenv("AWS_ROLE_ARN");
    expect_fault(f, -EACCES, "AWS_ROLE_ARN is not");
}

static void shows_the_token_of_now(void **state) {
    struct fixture *f = *state;
    start_web_identity(f);
    setenv("AWS_ROLE_SESSION_NAME", "pod", 1);
    server_answer(&f->server, "200 OK", "", WEB("ONE"));
    server_answer(&f->server, "200 OK", "", WEB("TWO"));
    write_file(f->token, "first \r\n\n");
    expect_key(f, "ONE");
    write_file(f->token, "other");
    expect_key(f, "TWO");
    expect_asked(f, 0, "&RoleArn=arn%3Ar&RoleSessionName=pod&WebIdentityToken=first");
    assert_string_equal(strstr(f->server.requests[0], "Token=first"), "Token=first");
    expect_asked(f, 1, "&WebIdentityToken=other");
}

static void refuses_token_files_that_are_none(void **state) {
    struct fixture *f = *state;
    start_web_identity(f);
    expect_fault(f, -EACCES, "No such file");
    write_file(f->token, " \n");
    expect_fault(f, -EACCES, "it is empty");
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f->folder, 1);
    expect_fault(f, -EACCES, "no regular file");
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", f->token, 1);
    assert_int_equal(truncate(f->token, (64 << 10) + 1), 0);
    expect_fault(f, -EACCES, "64 KiB");
    assert_int_equal(server_asked(&f->server), 0);
    /* Zero bytes, which are three each in the form: the longest there may be. */
    assert_int_equal(truncate(f->token, 64 << 10), 0);
    server_answer(&f->server, "200 OK", "", WEB("ONE"));
    expect_key(f, "ONE");
}

static void tells_what_STS_says_of_the_token(void **state) {
    struct fixture *f = *state;
    start_web_identity(f);
    write_file(f->token, "t");
    server_answer(&f->server, "403 No", "",
                  "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>");
    server_answer(&f->server, "503 Away", "", "");
    server_add(&f->server, THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
    expect_fault(f, -EACCES, "let the role trust the token's issuer");
    expect_fault(f, -ENETDOWN, "status 503");
    expect_fault(f, -ENETDOWN, "fell silent");
}

/* Roles of profiles. */

static struct credentials_provider *metadata(const struct credentials_network *network) {
    (void)network;
    return credentials_profile_new("machine");
}

static void start(struct fixture *f, const char *profile, const char *config) {
    static const struct credentials_sources sources = {.metadata = metadata};
    write_file(f->config, config);
    credentials_provider_free(f->provider);
    f->provider = credentials_profile_role_new(profile, "eu-west-1", &sources, &f->network);
    assert_non_null(f->provider);
}

static void a_profile_without_a_role_has_none(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\n" KEYS("A"));
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), -ENOENT);
    start(f, NULL, "");
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), -ENOENT);
}

static void assumes_a_role_with_another_profile(void **state) {
    struct fixture *f = *state;
    setenv("AWS_PROFILE", "a", 1);
    start(f, NULL,
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\nexternal_id = x=1\n"
          "role_session_name = me\nduration_seconds = 43200\n[profile b]\n" KEYS("B"));
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "Credential=B/");
    expect_asked(f, 0, "/eu-west-1/sts/aws4_request");
    expect_asked(f, 0,
                 "\r\n\r\nAction=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aa&RoleSessionName=me&"
                 "DurationSeconds=43200&ExternalId=x%3D1");
}

static void assumes_a_role_with_a_role(void **state) {
    struct fixture *f = *state;
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\n"
          "[profile b]\nrole_arn = arn:b\nsource_profile = c\n[profile c]\n" KEYS("C"));
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    server_answer(&f->server, "200 OK", "", ROLE("TWO"));
    expect_key(f, "TWO");
    expect_asked(f, 0, "Credential=C/");
    expect_asked(f, 0, "RoleArn=arn%3Ab");
    expect_asked(f, 1, "Credential=ONE/");
    expect_asked(f, 1, "x-amz-security-token: token-ONE");
    expect_asked(f, 1, "RoleArn=arn%3Aa");
}

static void a_profile_may_be_its_own_source(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\nrole_arn = arn:a\nsource_profile = a\n" KEYS("A"));
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "Credential=A/");
}

static void keys_of_a_source_come_before_its_role(void **state) {
    struct fixture *f = *state;
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\n"
          "[profile b]\nrole_arn = arn:b\nsource_profile = a\n" KEYS("B"));
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "Credential=B/");
}

/* Keys before a role, but a web identity before keys, as in the AWS CLI. */
static void a_sources_web_identity_comes_before_its_keys(void **state) {
    struct fixture *f = *state;
    char config[PATH_MAX + 256];
    snprintf(config, sizeof config,
             "[profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\n" KEYS(
                 "B") "role_arn = arn:b\nweb_identity_token_file = %s\n",
             f->token);
    write_file(f->token, "jwt");
    start(f, "a", config);
    server_answer(&f->server, "200 OK", "", WEB("ONE"));
    server_answer(&f->server, "200 OK", "", ROLE("TWO"));
    expect_key(f, "TWO");
    expect_asked(f, 0, "&WebIdentityToken=jwt");
    expect_asked(f, 1, "Credential=ONE/");
}

static void a_source_may_be_a_process(void **state) {
    struct fixture *f = *state;
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\n"
          "credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"RUN\","
          "\"SecretAccessKey\":\"s\"}'\n");
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "Credential=RUN/");
}

/* Its token is where the CLI puts it: at the SHA-1 of the session's name. */
static void a_source_may_sign_in_by_sso(void **state) {
    struct fixture *f = *state;
    char path[PATH_MAX];
    setenv("HOME", f->folder, 1);
    setenv("AWS_ENDPOINT_URL_SSO", getenv("AWS_ENDPOINT_URL_STS"), 1);
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\nsso_session = work\n"
          "sso_account_id = 1\nsso_role_name = r\n"
          "[sso-session work]\nsso_start_url = u\nsso_region = eu-west-1\n");
    expect_fault(f, -EACCES, "profile 'b' is not signed in to IAM Identity Center");
    static const char *const folders[] = {".aws", ".aws/sso", ".aws/sso/cache"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", f->folder, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    strncat(path, "/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json", sizeof path - strlen(path) - 1);
    write_file(path, "{\"accessToken\":\"T\",\"expiresAt\":\"2099-01-01T00:00:00Z\"}");
    server_answer(&f->server, "200 OK", "",
                  "{\"roleCredentials\":{\"accessKeyId\":\"SSO\",\"secretAccessKey\":\"s\","
                  "\"sessionToken\":\"st\",\"expiration\":4102444800000}}");
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "\r\nx-amz-sso_bearer_token: T\r\n");
    expect_asked(f, 1, "Credential=SSO/");
    expect_asked(f, 1, "x-amz-security-token: st");
    unlink(path);
    for (size_t i = 3; i-- > 0;) {
        snprintf(path, sizeof path, "%s/%s", f->folder, folders[i]);
        assert_int_equal(rmdir(path), 0);
    }
}

static void a_source_must_have_credentials(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\nregion = x\n");
    expect_fault(f, -EACCES, "profile 'b' has no credentials in");
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\nsso_account_id = 1\n");
    expect_fault(f, -EINVAL, "profile 'b' signs in to IAM Identity Center, but lacks");
}

static void names_the_profiles_of_a_circle(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\nrole_arn = arn:a\nsource_profile = a\n");
    expect_fault(f, -EINVAL, "'a', 'a' goes in a circle");
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\nsource_profile = b\n"
          "[profile b]\nrole_arn = arn:b\nsource_profile = c\n"
          "[profile c]\nrole_arn = arn:c\nsource_profile = b\n");
    expect_fault(f, -EINVAL, "'a', 'b', 'c', 'b' goes in a circle");
    assert_int_equal(server_asked(&f->server), 0);
}

/* p1 … pN, each a role, and keys behind them. */
static void start_way(struct fixture *f, int roles) {
    char config[2048];
    size_t len = 0;
    for (int i = 1; i <= roles; i++)
        len += (size_t)snprintf(config + len, sizeof config - len,
                                "[profile p%d]\nrole_arn = arn:%d\nsource_profile = p%d\n", i, i,
                                i + 1);
    snprintf(config + len, sizeof config - len, "[profile p%d]\n" KEYS("K"), roles + 1);
    start(f, "p1", config);
}

static void goes_eight_roles_deep(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 8; i++)
        server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    start_way(f, 8);
    expect_key(f, "ONE");
    assert_int_equal(server_asked(&f->server), 8);
    start_way(f, 9);
    expect_fault(f, -EINVAL, "'p8', 'p9' are each the source_profile");
    assert_int_equal(server_asked(&f->server), 8);
}

static void takes_credential_sources(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\nrole_arn = arn:a\ncredential_source = Environment\n");
    expect_fault(f, -EACCES, "no credentials in the environment");
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    server_answer(&f->server, "200 OK", "", ROLE("TWO"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "Credential=ENV/");
    start(f, "a",
          "[profile a]\nrole_arn = arn:a\ncredential_source = Ec2InstanceMetadata\n"
          "[profile machine]\n" KEYS("EC2"));
    expect_key(f, "TWO");
    expect_asked(f, 1, "Credential=EC2/");
    start(f, "a", "[profile a]\nrole_arn = arn:a\ncredential_source = EcsContainer\n");
    expect_fault(f, -EINVAL, "credential_source = EcsContainer");
    start(f, "a", "[profile a]\nrole_arn = arn:a\ncredential_source = environment\n");
    expect_fault(f, -EINVAL, "credential_source = environment");
}

static void shows_a_profiles_token(void **state) {
    struct fixture *f = *state;
    char config[PATH_MAX + 256];
    snprintf(config, sizeof config,
             "[profile a]\nrole_arn = arn:a\nsource_profile = b\n"
             "[profile b]\nrole_arn = arn:b\nweb_identity_token_file = %s\n",
             f->token);
    write_file(f->token, "jwt\n");
    start(f, "a", config);
    server_answer(&f->server, "200 OK", "", WEB("ONE"));
    server_answer(&f->server, "200 OK", "", ROLE("TWO"));
    expect_key(f, "TWO");
    expect_asked(f, 0, "RoleArn=arn%3Ab");
    expect_asked(f, 0, "&WebIdentityToken=jwt");
    expect_asked(f, 1, "Credential=ONE/");
}

static void refuses_settings_that_cannot_be(void **state) {
    static const struct {
        const char *settings;
        int err;
        const char *told;
    } cases[] = {
        {"", -EINVAL, "'a' has a role_arn, but nothing to assume it with"},
        {"source_profile = b\ncredential_source = Environment\n", -EINVAL, "two sources"},
        {"source_profile = b\nduration_seconds = 899\n", -EINVAL, "duration_seconds = 899"},
        {"source_profile = b\nduration_seconds = 43201\n", -EINVAL, "from 900 to 43200"},
        {"source_profile = b\nduration_seconds = 4294968196\n", -EINVAL, "from 900 to 43200"},
        {"source_profile = b\nduration_seconds = 1h\n", -EINVAL, "duration_seconds = 1h"},
        {"source_profile = b\nmfa_serial = arn:m\n", -EACCES, "'a' has an mfa_serial"},
        {"source_profile = none\n", -EACCES, "there is no profile 'none'"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        snprintf(config, sizeof config, "[profile a]\nrole_arn = arn:a\n%s[profile b]\n" KEYS("B"),
                 cases[i].settings);
        start(f, "a", config);
        expect_fault(f, cases[i].err, cases[i].told);
    }
    assert_int_equal(server_asked(&f->server), 0);
}

static void reads_the_settings_of_now(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\n" KEYS("A"));
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), -ENOENT);
    write_file(f->config, "[profile a]\nrole_arn = arn:a\nsource_profile = a\n" KEYS("A"));
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
}

static void tells_that_STS_cannot_serve(void **state) {
    struct fixture *f = *state;
    start(f, "a", "[profile a]\nrole_arn = arn:a\nsource_profile = a\n" KEYS("A"));
    server_answer(&f->server, "403 No", "", "");
    server_answer(&f->server, "503 Away", "", "");
    server_add(&f->server, THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
    expect_fault(f, -EACCES, "role arn:a cannot be assumed: status 403");
    expect_fault(f, -ENETDOWN, "status 503");
    expect_fault(f, -ENETDOWN, "fell silent");
}

static void takes_an_endpoint_of_its_own(void **state) {
    struct fixture *f = *state;
    char url[64];
    snprintf(url, sizeof url, "%s", getenv("AWS_ENDPOINT_URL_STS"));
    setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1", 1);
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    struct credentials_role role = {.role_arn = "arn:r", .sts_endpoint = url};
    f->provider = credentials_role_new(&role, credentials_environment_new(), &f->network);
    /* It was copied. */
    memset(url, 'x', strlen(url));
    role.role_arn = NULL;
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "/us-east-1/sts/aws4_request");
    assert_string_equal(f->provider->name, "role arn:r");
}

/* A source with other keys once those that it gave were refused. */
struct source {
    struct credentials_provider base;
    int rejected;
};

static int get_from_source(struct credentials_provider *base, struct credentials *ret,
                           struct fault *fault) {
    const struct source *source = (struct source *)base;
    const struct credentials keys = {.access_key_id = source->rejected ? "SECOND" : "FIRST",
                                     .secret_access_key = "secret"};
    (void)fault;
    return credentials_copy(&keys, ret);
}

static void reject_from_source(struct credentials_provider *base,
                               const struct credentials *refused) {
    assert_string_equal(refused->access_key_id, "FIRST");
    ((struct source *)base)->rejected++;
}

static void free_source(struct credentials_provider *base) {
    free(base);
}

static void asks_again_with_other_keys_of_its_source(void **state) {
    struct fixture *f = *state;
    struct source *source = calloc(1, sizeof *source);
    source->base = (struct credentials_provider){.name = "a source",
                                                 .get = get_from_source,
                                                 .reject = reject_from_source,
                                                 .free = free_source};
    const struct credentials_role role = {.role_arn = "arn:r"};
    f->provider = credentials_role_new(&role, &source->base, &f->network);
    assert_non_null(f->provider);
    server_answer(&f->server, "403 x", "",
                  "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>");
    server_answer(&f->server, "200 OK", "", ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "Credential=FIRST/");
    expect_asked(f, 1, "Credential=SECOND/");
    assert_int_equal(source->rejected, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(asks_again_with_other_keys_of_its_source),
        TEST(web_identity_needs_its_variables),
        TEST(shows_the_token_of_now),
        TEST(refuses_token_files_that_are_none),
        TEST(tells_what_STS_says_of_the_token),
        TEST(a_profile_without_a_role_has_none),
        TEST(assumes_a_role_with_another_profile),
        TEST(assumes_a_role_with_a_role),
        TEST(a_profile_may_be_its_own_source),
        TEST(keys_of_a_source_come_before_its_role),
        TEST(a_sources_web_identity_comes_before_its_keys),
        TEST(a_source_may_be_a_process),
        TEST(a_source_may_sign_in_by_sso),
        TEST(a_source_must_have_credentials),
        TEST(names_the_profiles_of_a_circle),
        TEST(goes_eight_roles_deep),
        TEST(takes_credential_sources),
        TEST(shows_a_profiles_token),
        TEST(refuses_settings_that_cannot_be),
        TEST(reads_the_settings_of_now),
        TEST(tells_that_STS_cannot_serve),
        TEST(takes_an_endpoint_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
