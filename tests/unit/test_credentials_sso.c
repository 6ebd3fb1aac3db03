/* IAM Identity Center: its JSON, a profile's settings, the CLI's token cache, and the provider,
 * against a server that plays the portal and the OIDC service. */
#include "credentials_kit.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "../../fs/credentials/sso.h"

/* ---- The JSON ---- */

static void expect_no_token(const char *text) {
    struct sso_token token = {0};
    if (sso_token_parse(text, strlen(text), &token) != -EPROTO)
        fail_msg("a token in '%s'", text);
    assert_null(token.access_token);
}

static void reads_the_token_cache(void **state) {
    static const char whole[] =
        "{\"startUrl\":\"u\",\"accessToken\":\"A\",\"expiresAt\":\"2026-11-24T12:00:00Z\","
        "\"refreshToken\":\"R\",\"clientId\":\"I\",\"clientSecret\":\"S\","
        "\"registrationExpiresAt\":\"2026-11-25T12:00:00UTC\"}";
    struct sso_token token;
    (void)state;
    assert_int_equal(sso_token_parse(whole, sizeof whole - 1, &token), 0);
    assert_string_equal(token.access_token, "A");
    assert_string_equal(token.refresh_token, "R");
    assert_string_equal(token.client_id, "I");
    assert_string_equal(token.client_secret, "S");
    assert_int_equal(token.expires, 1795521600);
    assert_int_equal(token.registration_expires, 1795521600 + 24 * 3600);
    sso_token_clear(&token);
    static const char least[] =
        "{\"accessToken\":\"A\",\"expiresAt\":\"2026-11-24T13:00:00+01:00\","
        "\"registrationExpiresAt\":7}";
    assert_int_equal(sso_token_parse(least, sizeof least - 1, &token), 0);
    assert_null(token.refresh_token);
    assert_int_equal(token.expires, 1795521600);
    assert_int_equal(token.registration_expires, 0);
    sso_token_clear(&token);
    expect_no_token("");
    expect_no_token("[]");
    expect_no_token("{\"accessToken\":\"A\"}");
    expect_no_token("{\"accessToken\":\"A\",\"expiresAt\":\"soon\"}");
    expect_no_token("{\"accessToken\":\"A\",\"expiresAt\":1795521600}");
    expect_no_token("{\"accessToken\":\"\",\"expiresAt\":\"2026-11-24T12:00:00Z\"}");
    /* It would be a header of its own. */
    expect_no_token(
        "{\"accessToken\":\"A\\r\\nx-evil: 1\",\"expiresAt\":\"2026-11-24T12:00:00Z\"}");
}

#define ROLE_KEYS "\"accessKeyId\":\"AK\",\"secretAccessKey\":\"SK\",\"sessionToken\":\"ST\""

static void reads_a_roles_credentials(void **state) {
    static const char *const none[] = {
        "",
        "{}",
        "{\"roleCredentials\":[]}",
        "{\"roleCredentials\":{" ROLE_KEYS "}}",
        "{\"roleCredentials\":{" ROLE_KEYS ",\"expiration\":\"1795521600000\"}}",
        "{\"roleCredentials\":{" ROLE_KEYS ",\"expiration\":-1}}",
        "{\"roleCredentials\":{" ROLE_KEYS ",\"expiration\":1e300}}",
        "{\"roleCredentials\":{\"accessKeyId\":\"AK\",\"secretAccessKey\":\"SK\","
        "\"expiration\":1795521600000}}",
        "{" ROLE_KEYS ",\"expiration\":1795521600000}",
    };
    static const char whole[] =
        "{\"roleCredentials\":{" ROLE_KEYS ",\"expiration\":1795521600999}}";
    struct credentials found;
    (void)state;
    assert_int_equal(sso_credentials_parse(whole, sizeof whole - 1, &found), 0);
    assert_string_equal(found.access_key_id, "AK");
    assert_string_equal(found.secret_access_key, "SK");
    assert_string_equal(found.session_token, "ST");
    assert_int_equal(found.expires, 1795521600);
    credentials_clear(&found);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(sso_credentials_parse(none[i], strlen(none[i]), &found), -EPROTO);
}

static void reads_a_new_token(void **state) {
    static const char *const none[] = {
        "{}", "{\"accessToken\":\"N\"}", "{\"accessToken\":\"N\",\"expiresIn\":0}",
        "{\"accessToken\":\"N\",\"expiresIn\":1e9}", "{\"accessToken\":\"N N\",\"expiresIn\":60}"};
    static const char whole[] =
        "{\"accessToken\":\"N\",\"expiresIn\":28800,\"refreshToken\":\"Q\",\"tokenType\":\"B\"}";
    struct sso_token token;
    (void)state;
    assert_int_equal(sso_created_parse(whole, sizeof whole - 1, 1000, &token), 0);
    assert_string_equal(token.access_token, "N");
    assert_string_equal(token.refresh_token, "Q");
    assert_int_equal(token.expires, 29800);
    sso_token_clear(&token);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(sso_created_parse(none[i], strlen(none[i]), 1000, &token), -EPROTO);
}

/* ---- The provider ---- */

#define PROFILE                                                                                    \
    "[profile a]\nsso_session = work\nsso_account_id = 012345678901\nsso_role_name = Audit Role\n"
#define SESSION                                                                                    \
    "[sso-session work]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"    \
    "sso_registration_scopes = sso:account:access\n"
#define OLD_PROFILE                                                                                \
    "[profile a]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"           \
    "sso_account_id = 012345678901\nsso_role_name = Audit\n"
/* sha1sum's, of "work" and of the start URL. */
#define SESSION_FILE "e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json"
#define OLD_FILE "3947de8b16688092197fa616c34e01335f21d256.json"

struct fixture {
    struct server server;
    struct credentials_network network;
    struct credentials_provider *provider;
    struct credentials found;
    struct fault fault;
    char home[64], config[PATH_MAX], cache[PATH_MAX], endpoint[64];
};

static int setup(void **state) {
    static const char *const variables[] = {"AWS_PROFILE", "http_proxy", "AWS_ACCESS_KEY_ID"};
    static const struct http_options options = {
        .connections = 4, .connect_timeout_ms = 2000, .stall_timeout_ms = 300};
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    server_start(&f->server);
    f->network.aws = http_pool_new(&options);
    unset_all(variables, sizeof variables / sizeof *variables);
    strcpy(f->home, "/tmp/test_sso.XXXXXX");
    assert_non_null(mkdtemp(f->home));
    static const char *const folders[] = {"/.aws", "/.aws/sso", "/.aws/sso/cache"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(f->cache, sizeof f->cache, "%s%s", f->home, folders[i]);
        assert_int_equal(mkdir(f->cache, 0700), 0);
    }
    snprintf(f->config, sizeof f->config, "%s/.aws/config", f->home);
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%u", f->server.port);
    setenv("HOME", f->home, 1);
    setenv("AWS_CONFIG_FILE", f->config, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    setenv("AWS_ENDPOINT_URL_SSO", f->endpoint, 1);
    setenv("AWS_ENDPOINT_URL_SSO_OIDC", f->endpoint, 1);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    char command[128];
    credentials_provider_free(f->provider);
    credentials_clear(&f->found);
    http_pool_free(f->network.aws);
    server_stop(&f->server);
    snprintf(command, sizeof command, "rm -rf '%s'", f->home);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void start(struct fixture *f, const char *config) {
    write_file(f->config, config);
    credentials_provider_free(f->provider);
    f->provider = credentials_sso_new("a", &f->network);
    assert_non_null(f->provider);
}

static void path_of(const struct fixture *f, const char *file, char ret[static PATH_MAX]) {
    assert_true(snprintf(ret, PATH_MAX, "%s/%s", f->cache, file) < PATH_MAX);
}

static void date_in(int seconds, char ret[static 32]) {
    time_t at = time(NULL) + seconds;
    strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime(&at));
}

/* Writes a file of the cache as the CLI does. `more`: more of its members. */
static void sign_in(const struct fixture *f, const char *file, const char *token, int lasting_s,
                    const char *more) {
    char path[PATH_MAX], date[32], text[1024];
    path_of(f, file, path);
    date_in(lasting_s, date);
    snprintf(text, sizeof text,
             "{\"startUrl\": \"https://x.awsapps.com/start\", \"accessToken\": \"%s\", "
             "\"expiresAt\": \"%s\"%s}",
             token, date, more);
    write_file(path, text);
}

/* A token that can be renewed. */
static void sign_in_for_long(const struct fixture *f, const char *token, int lasting_s,
                             int registered_s) {
    char date[32], more[256];
    date_in(registered_s, date);
    snprintf(
        more, sizeof more,
        ", \"region\": \"eu-west-1\", \"refreshToken\": \"REFRESH\", \"clientId\": \"CLIENT\", "
        "\"clientSecret\": \"CLIENTS-SECRET\", \"registrationExpiresAt\": \"%s\"",
        date);
    sign_in(f, SESSION_FILE, token, lasting_s, more);
}

static void read_token(const struct fixture *f, const char *file, struct sso_token *ret) {
    char path[PATH_MAX], text[4096];
    path_of(f, file, path);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t len = fread(text, 1, sizeof text, in);
    fclose(in);
    assert_int_equal(sso_token_parse(text, len, ret), 0);
}

static void expect_file(const struct fixture *f, const char *token, const char *refresh) {
    struct sso_token found;
    read_token(f, SESSION_FILE, &found);
    assert_string_equal(found.access_token, token);
    assert_string_equal(found.refresh_token, refresh);
    sso_token_clear(&found);
}

#define ROLE(id)                                                                                   \
    "{\"roleCredentials\":{\"accessKeyId\":\"" id "\",\"secretAccessKey\":\"SK\","                 \
    "\"sessionToken\":\"ST\",\"expiration\":4102444800000}}"
#define CREATED(token)                                                                             \
    "{\"accessToken\":\"" token "\",\"expiresIn\":3600,\"refreshToken\":\"AGAIN\"}"

static void answer(struct fixture *f, const char *body) {
    server_answer(&f->server, "200 OK", "", body);
}

static void expect_key(struct fixture *f, const char *id) {
    credentials_clear(&f->found);
    int err = credentials_get(f->provider, &f->found, &f->fault);
    if (err)
        fail_msg("%d: %s", err, f->fault.text);
    assert_string_equal(f->found.access_key_id, id);
    assert_string_equal(f->found.session_token, "ST");
    assert_int_equal(f->found.expires, 4102444800);
}

static void expect_fault(struct fixture *f, int error, const char *text) {
    static const char *const secrets[] = {"TOKEN", "REFRESH", "CLIENTS-SECRET"};
    credentials_clear(&f->found);
    strcpy(f->fault.text, "");
    int err = credentials_get(f->provider, &f->found, &f->fault);
    if (err != error)
        fail_msg("%d in place of %d: %s", err, error, f->fault.text);
    if (!strstr(f->fault.text, text))
        fail_msg("'%s' is not in '%s'", text, f->fault.text);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        assert_null(strstr(f->fault.text, secrets[i]));
}

static void expect_asked(struct fixture *f, size_t request, const char *text) {
    assert_true(request < server_asked(&f->server));
    if (!strstr(f->server.requests[request], text))
        fail_msg("'%s' is not in '%s'", text, f->server.requests[request]);
}

static void takes_a_sessions_token(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0,
                 "GET /federation/credentials?role_name=Audit%20Role&account_id=012345678901 "
                 "HTTP/1.1\r\n");
    expect_asked(f, 0, "\r\nx-amz-sso_bearer_token: TOKEN\r\n");
    assert_null(strcasestr(f->server.requests[0], "\r\nauthorization:"));
}

static void takes_an_old_profiles_token(void **state) {
    struct fixture *f = *state;
    start(f, OLD_PROFILE);
    sign_in(f, OLD_FILE, "TOKEN", 3600, "");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "role_name=Audit&account_id=012345678901 ");
    expect_asked(f, 0, "\r\nx-amz-sso_bearer_token: TOKEN\r\n");
}

static void reads_the_token_of_now(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    expect_fault(f, -EACCES, "No such file");
    expect_fault(f, -EACCES, "run aws sso login --sso-session work");
    sign_in(f, SESSION_FILE, "TOKEN-1", -1, "");
    expect_fault(f, -EACCES, "has expired: run aws sso login --sso-session work");
    sign_in(f, SESSION_FILE, "TOKEN-2", 3600, "");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "\r\nx-amz-sso_bearer_token: TOKEN-2\r\n");
    char path[PATH_MAX];
    path_of(f, SESSION_FILE, path);
    assert_int_equal(unlink(path), 0);
    expect_fault(f, -EACCES, "is not signed in");
    start(f, OLD_PROFILE);
    expect_fault(f, -EACCES, "run aws sso login --profile a");
    assert_int_equal(server_asked(&f->server), 1);
}

static void refuses_token_files_that_are_none(void **state) {
    struct fixture *f = *state;
    char path[PATH_MAX];
    path_of(f, SESSION_FILE, path);
    start(f, PROFILE SESSION);
    write_file(path, "TOKEN");
    expect_fault(f, -EACCES, "holds no token: run aws sso login");
    write_file(path, "");
    expect_fault(f, -EACCES, "it is empty");
    assert_int_equal(truncate(path, (64 << 10) + 1), 0);
    expect_fault(f, -EACCES, "64 KiB");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_fault(f, -EACCES, "no regular file");
    assert_int_equal(server_asked(&f->server), 0);
}

static void a_profile_without_a_role_has_none(void **state) {
    struct fixture *f = *state;
    start(f, "[profile a]\nregion = eu-west-1\n");
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), -ENOENT);
    start(f, "[profile a]\nsso_session = work\n" SESSION);
    expect_fault(f, -ENOENT, "give it sso_account_id and sso_role_name");
}

static void names_the_settings_that_are_missing(void **state) {
    static const struct {
        const char *config, *told;
    } cases[] = {
        {"[profile a]\nsso_role_name = r\n", "lacks sso_start_url, sso_region, sso_account_id:"},
        {"[profile a]\nsso_account_id = 1\nsso_role_name = r\nsso_start_url = u\n",
         "lacks sso_region:"},
        {"[profile a]\nsso_session = work\nsso_account_id = 1\n" SESSION, "lacks sso_role_name:"},
        {PROFILE "[sso-session work]\nsso_region = eu-west-1\n", "lacks sso_start_url:"},
        {PROFILE "[profile work]\n", "there is no [sso-session work] in"},
        {PROFILE SESSION "[profile a]\nsso_region = eu-west-2\n",
         "'a' has sso_region = eu-west-2, and its sso_session 'work' has eu-west-1"},
        {PROFILE SESSION "[profile a]\nsso_start_url = v\n", "'a' has sso_start_url = v"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(f, cases[i].config);
        expect_fault(f, -EINVAL, cases[i].told);
    }
    /* What says the same is no contradiction. */
    start(f, PROFILE SESSION "[profile a]\nsso_region = eu-west-1\n");
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
}

static void a_sessions_name_is_no_path(void **state) {
    struct fixture *f = *state;
    start(f, "[profile a]\nsso_session = ../../config\nsso_account_id = 1\nsso_role_name = r\n"
             "[sso-session ../../config]\nsso_start_url = u\nsso_region = eu-west-1\n");
    /* sha1sum's of "../../config". */
    sign_in(f, "62fdf8f6290e0fb25864bbc0a42c90ab0ded4035.json", "TOKEN", 3600, "");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    /* Quoted as profiles are. */
    start(f, "[profile a]\nsso_session = two words\nsso_account_id = 1\nsso_role_name = r\n"
             "[sso-session 'two words']\nsso_start_url = u\nsso_region = eu-west-1\n");
    expect_fault(f, -EACCES, "6bbd56a66ff1072a75f30df793911caccaef32c8.json");
}

static void tells_why_the_portal_refuses(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    server_answer(&f->server, "401 x", "", "{\"message\":\"TOKEN is none\"}");
    expect_fault(f, -EACCES,
                 "no longer signed in to IAM Identity Center: run aws sso login --sso-session "
                 "work");
    server_answer(&f->server, "403 x", "", "{\"message\":\"No access\"}");
    expect_fault(f, -EACCES, "may not use role Audit Role in account 012345678901");
    server_answer(&f->server, "404 x", "", "");
    expect_fault(f, -EACCES, "role Audit Role in account 012345678901");
    server_answer(&f->server, "400 x", "", "");
    expect_fault(f, -EACCES, "refuses (400)");
    server_answer(&f->server, "302 x", "location: http://127.0.0.1:1/\r\n", "");
    expect_fault(f, -EACCES, "refuses (302)");
    assert_int_equal(server_asked(&f->server), 5);
}

static void waits_for_a_portal_that_is_away(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    server_answer(&f->server, "429 x", "", "");
    expect_fault(f, -ENETDOWN, "cannot serve now (429)");
    server_answer(&f->server, "500 x", "", "");
    expect_fault(f, -ENETDOWN, "cannot serve now (500)");
    server_add(&f->server, THEN_HANG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
    expect_fault(f, -ENETDOWN, "fell silent");
    server_add(&f->server, THEN_RESET, "%s", "");
    expect_fault(f, -ENETDOWN, "profile 'a' cannot be signed in: 127.0.0.1");
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", server_refusing_port());
    setenv("AWS_ENDPOINT_URL_SSO", url, 1);
    expect_fault(f, -ENETDOWN, "takes no connection");
}

static void refuses_answers_that_are_none(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    answer(f, "<html>TOKEN</html>");
    expect_fault(f, -EPROTO, "none of IAM Identity Center's");
    answer(f, "{\"roleCredentials\":null}");
    expect_fault(f, -EPROTO, "none of IAM Identity Center's");
    size_t len = (64 << 10) + 1;
    char *large = malloc(len + 1);
    assert_non_null(large);
    memset(large, ' ', len);
    large[len] = '\0';
    answer(f, large);
    expect_fault(f, -EPROTO, "too long");
    free(large);
}

static void asks_safe_addresses_alone(void **state) {
    static const char *const urls[] = {"127.0.0.1", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/",
                                       "http://127.0.0.1/?a=", "http://"};
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        setenv("AWS_ENDPOINT_URL_SSO", urls[i], 1);
        expect_fault(f, -EINVAL, "AWS_ENDPOINT_URL_SSO is no address");
    }
    unsetenv("AWS_ENDPOINT_URL_SSO");
    start(f, PROFILE "[sso-session work]\nsso_start_url = u\nsso_region = evil.example/x\n");
    expect_fault(f, -EINVAL, "sso_region = evil.example/x, which is no region");
    assert_int_equal(server_asked(&f->server), 0);
}

/* The CLI's order: a profile with both has it before its keys. */
static void comes_before_a_profiles_keys(void **state) {
    struct fixture *f = *state;
    static const char keys[] = "[profile a]\naws_access_key_id = KEY\n"
                               "aws_secret_access_key = SK\naws_session_token = ST\n";
    write_file(f->config, keys);
    f->provider = credentials_chain_new("a", NULL, &f->network);
    assert_non_null(f->provider);
    assert_int_equal(credentials_get(f->provider, &f->found, &f->fault), 0);
    assert_string_equal(f->found.access_key_id, "KEY");
    char both[1024];
    snprintf(both, sizeof both, "%s%s%s", keys, PROFILE, SESSION);
    write_file(f->config, both);
    credentials_provider_free(f->provider);
    f->provider = credentials_chain_new("a", NULL, &f->network);
    assert_non_null(f->provider);
    expect_fault(f, -EACCES, "is not signed in");
    sign_in(f, SESSION_FILE, "TOKEN", 3600, "");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    /* And from the cache then. */
    expect_key(f, "ONE");
    assert_int_equal(server_asked(&f->server), 1);
}

/* ---- Renewing ---- */

static void renews_a_token_that_is_about_to_end(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", 14 * 60, 3600);
    char path[PATH_MAX];
    path_of(f, SESSION_FILE, path);
    assert_int_equal(chmod(path, 0644), 0);
    /* As root for a user, the file stays the user's. */
    uid_t owner = geteuid() ? geteuid() : 12345;
    assert_int_equal(chown(path, owner, (gid_t)-1), 0);
    answer(f, CREATED("NEXT"));
    answer(f, ROLE("ONE"));
    answer(f, ROLE("TWO"));
    expect_key(f, "ONE");
    expect_asked(f, 0, "POST /token HTTP/1.1\r\n");
    expect_asked(f, 0, "\r\ncontent-type: application/json\r\n");
    expect_asked(
        f, 0,
        "\r\n\r\n{\"grantType\":\"refresh_token\",\"clientId\":\"CLIENT\",\"clientSecret\":"
        "\"CLIENTS-SECRET\",\"refreshToken\":\"REFRESH\"}");
    expect_asked(f, 1, "\r\nx-amz-sso_bearer_token: NEXT\r\n");
    /* For the CLI too, and with the rest of what it wrote. */
    struct sso_token token;
    read_token(f, SESSION_FILE, &token);
    assert_string_equal(token.access_token, "NEXT");
    assert_string_equal(token.refresh_token, "AGAIN");
    assert_string_equal(token.client_secret, "CLIENTS-SECRET");
    assert_in_range(token.expires, time(NULL) + 3500, time(NULL) + 3600);
    assert_true(token.registration_expires > 0);
    sso_token_clear(&token);
    char text[2048] = "";
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof text - 1, in) > 0);
    fclose(in);
    assert_holds(text, "\"startUrl\":\"https://x.awsapps.com/start\"");
    assert_holds(text, "\"region\":\"eu-west-1\"");
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 07777, 0600);
    assert_int_equal(now.st_uid, owner);
    expect_key(f, "TWO");
    assert_int_equal(server_asked(&f->server), 3);
}

static void renews_a_token_that_has_ended(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", -3600, 3600);
    answer(f, "{\"accessToken\":\"NEXT\",\"expiresIn\":3600}");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    /* Without a new one the refresh token stays. */
    expect_file(f, "NEXT", "REFRESH");
}

static void leaves_tokens_that_last_or_cannot_be_renewed(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    for (int i = 0; i < 4; i++)
        answer(f, ROLE("ONE"));
    sign_in_for_long(f, "TOKEN", 16 * 60, 3600);
    expect_key(f, "ONE");
    /* The client's registration has ended. */
    sign_in_for_long(f, "TOKEN", 60, -1);
    expect_key(f, "ONE");
    sign_in(f, SESSION_FILE, "TOKEN", 60, ", \"clientId\": \"CLIENT\"");
    expect_key(f, "ONE");
    /* Profiles of the old style are not renewed, by the CLI neither. */
    start(f, OLD_PROFILE);
    char from[PATH_MAX], to[PATH_MAX];
    sign_in_for_long(f, "TOKEN", 60, 3600);
    path_of(f, SESSION_FILE, from);
    path_of(f, OLD_FILE, to);
    assert_int_equal(rename(from, to), 0);
    expect_key(f, "ONE");
    assert_int_equal(server_asked(&f->server), 4);
    sign_in_for_long(f, "TOKEN", -1, -1);
    start(f, PROFILE SESSION);
    expect_fault(f, -EACCES, "has expired: run aws sso login");
}

static void goes_on_with_a_token_that_lasts(void **state) {
    static const char *const failures[] = {"400 x", "429 x", "503 x"};
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", 60, 3600);
    for (size_t i = 0; i < 3; i++) {
        server_answer(&f->server, failures[i], "", "{\"error\":\"invalid_grant\"}");
        answer(f, ROLE("ONE"));
        expect_key(f, "ONE");
    }
    answer(f, "{\"accessToken\":\"\"}");
    answer(f, ROLE("ONE"));
    expect_key(f, "ONE");
    expect_file(f, "TOKEN", "REFRESH");
}

static void tells_why_a_token_is_not_renewed(void **state) {
    struct fixture *f = *state;
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", -60, 3600);
    server_answer(&f->server, "400 x", "", "{\"error\":\"invalid_grant\"}");
    expect_fault(f, -EACCES,
                 "does not renew its token (400): run aws sso login --sso-session work");
    server_answer(&f->server, "401 x", "", "{\"error\":\"invalid_client\"}");
    expect_fault(f, -EACCES, "(401)");
    server_answer(&f->server, "400 x", "", "{\"error\":\"slow_down\"}");
    expect_fault(f, -ENETDOWN, "asked again later");
    server_answer(&f->server, "500 x", "", "REFRESH");
    expect_fault(f, -ENETDOWN, "(500)");
    answer(f, "REFRESH");
    expect_fault(f, -EPROTO, "none of IAM Identity Center's");
    server_add(&f->server, THEN_HANG, "%s", "");
    expect_fault(f, -ENETDOWN, "fell silent");
    setenv("AWS_ENDPOINT_URL_SSO_OIDC", "oidc", 1);
    expect_fault(f, -EINVAL, "AWS_ENDPOINT_URL_SSO_OIDC is no address");
    expect_file(f, "TOKEN", "REFRESH");
}

/* Waits until it was asked for a token, puts another program's new one in place, and breaks the
 * connection. */
static void *renew_meanwhile(void *ctx) {
    struct fixture *f = ctx;
    while (server_asked(&f->server) == 0)
        usleep(1000);
    sign_in_for_long(f, "OTHERS", 3600, 3600);
    pthread_mutex_lock(&f->server.lock);
    shutdown(f->server.connections[0].fd, SHUT_RDWR);
    pthread_mutex_unlock(&f->server.lock);
    return NULL;
}

static void takes_what_another_program_renewed(void **state) {
    static const struct http_options patient = {
        .connections = 1, .connect_timeout_ms = 60000, .stall_timeout_ms = 60000};
    struct fixture *f = *state;
    pthread_t other;
    http_pool_free(f->network.aws);
    f->network.aws = http_pool_new(&patient);
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", -60, 3600);
    server_add(&f->server, THEN_HANG, "%s", "");
    answer(f, ROLE("ONE"));
    assert_int_equal(pthread_create(&other, NULL, renew_meanwhile, f), 0);
    expect_key(f, "ONE");
    assert_int_equal(pthread_join(other, NULL), 0);
    expect_asked(f, 1, "\r\nx-amz-sso_bearer_token: OTHERS\r\n");
    expect_file(f, "OTHERS", "REFRESH");
}

static void *ask_once(void *ctx) {
    struct fixture *f = ctx;
    struct credentials found = {0};
    intptr_t err = credentials_get(f->provider, &found, NULL);
    credentials_clear(&found);
    return (void *)err;
}

static void many_callers_renew_it_once(void **state) {
    enum { CALLERS = 8 };
    struct fixture *f = *state;
    pthread_t threads[CALLERS];
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", 60, 3600);
    answer(f, CREATED("NEXT"));
    for (int i = 0; i < CALLERS; i++)
        answer(f, ROLE("ONE"));
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, f), 0);
    for (int i = 0; i < CALLERS; i++) {
        void *err;
        assert_int_equal(pthread_join(threads[i], &err), 0);
        assert_null(err);
    }
    assert_int_equal(server_asked(&f->server), 1 + CALLERS);
    for (size_t i = 1; i <= CALLERS; i++)
        expect_asked(f, i, "\r\nx-amz-sso_bearer_token: NEXT\r\n");
}

/* ---- What cannot be written ---- */

/* A limit that holds for root too. */
static void let_files_be_written(bool let) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = let ? limit.rlim_max : 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A new token, which cannot be written, with which the process goes on. */
static void renew_unwritten(struct fixture *f) {
    start(f, PROFILE SESSION);
    sign_in_for_long(f, "TOKEN", 60, 3600);
    answer(f, CREATED("NEXT"));
    answer(f, ROLE("ONE"));
    answer(f, ROLE("TWO"));
    let_files_be_written(false);
    expect_key(f, "ONE");
    expect_key(f, "TWO");
    let_files_be_written(true);
    assert_int_equal(server_asked(&f->server), 3);
    expect_asked(f, 2, "\r\nx-amz-sso_bearer_token: NEXT\r\n");
    expect_file(f, "TOKEN", "REFRESH");
    /* Nothing half is left behind. */
    char command[PATH_MAX + 64];
    snprintf(command, sizeof command, "test \"$(ls '%s')\" = " SESSION_FILE, f->cache);
    assert_int_equal(system(command), 0);
}

static void keeps_a_token_that_cannot_be_written(void **state) {
    struct fixture *f = *state;
    renew_unwritten(f);
    answer(f, ROLE("THREE"));
    expect_key(f, "THREE");
    expect_asked(f, 3, "\r\nx-amz-sso_bearer_token: NEXT\r\n");
    expect_file(f, "NEXT", "AGAIN");
}

static void a_new_sign_in_counts_more_than_what_was_kept(void **state) {
    struct fixture *f = *state;
    renew_unwritten(f);
    sign_in_for_long(f, "ANEW", 3600, 3600);
    answer(f, ROLE("THREE"));
    expect_key(f, "THREE");
    expect_asked(f, 3, "\r\nx-amz-sso_bearer_token: ANEW\r\n");
    expect_file(f, "ANEW", "REFRESH");
}

static void who_signs_out_is_signed_out(void **state) {
    struct fixture *f = *state;
    char path[PATH_MAX], aside[PATH_MAX];
    path_of(f, SESSION_FILE, path);
    path_of(f, "aside", aside);
    renew_unwritten(f);
    assert_int_equal(rename(path, aside), 0);
    expect_fault(f, -EACCES, "is not signed in");
    assert_int_equal(server_asked(&f->server), 3);
    /* What was kept does not come back with the file. */
    assert_int_equal(rename(aside, path), 0);
    server_answer(&f->server, "400 x", "", "{\"error\":\"invalid_grant\"}");
    answer(f, ROLE("THREE"));
    expect_key(f, "THREE");
    expect_asked(f, 4, "\r\nx-amz-sso_bearer_token: TOKEN\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_token_cache),
        cmocka_unit_test(reads_a_roles_credentials),
        cmocka_unit_test(reads_a_new_token),
        TEST(takes_a_sessions_token),
        TEST(takes_an_old_profiles_token),
        TEST(reads_the_token_of_now),
        TEST(refuses_token_files_that_are_none),
        TEST(a_profile_without_a_role_has_none),
        TEST(names_the_settings_that_are_missing),
        TEST(a_sessions_name_is_no_path),
        TEST(tells_why_the_portal_refuses),
        TEST(waits_for_a_portal_that_is_away),
        TEST(refuses_answers_that_are_none),
        TEST(asks_safe_addresses_alone),
        TEST(comes_before_a_profiles_keys),
        TEST(renews_a_token_that_is_about_to_end),
        TEST(renews_a_token_that_has_ended),
        TEST(leaves_tokens_that_last_or_cannot_be_renewed),
        TEST(goes_on_with_a_token_that_lasts),
        TEST(tells_why_a_token_is_not_renewed),
        TEST(takes_what_another_program_renewed),
        TEST(many_callers_renew_it_once),
        TEST(keeps_a_token_that_cannot_be_written),
        TEST(a_new_sign_in_counts_more_than_what_was_kept),
        TEST(who_signs_out_is_signed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
