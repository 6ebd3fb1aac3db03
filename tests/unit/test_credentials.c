/* The shared files' parser, the providers on files of their own, and the order they are asked in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <maciefs/credentials.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The parser. */

static void expect(const char *text, enum profile_section kind, const char *profile,
                   const char *name, const char *value) {
    char *found = NULL;
    assert_int_equal(profile_file_lookup(text, strlen(text), kind, profile, name, &found), 0);
    assert_string_equal(found, value);
    free(found);
}

static void expect_error(const char *text, enum profile_section kind, const char *profile,
                         int error) {
    char *found = NULL;
    assert_int_equal(profile_file_lookup(text, strlen(text), kind, profile, "key", &found), error);
    assert_null(found);
}

static void reads_settings(void **state) {
    (void)state;
    expect("[default]\nkey=1\n", SECTION_BARE, "default", "key", "1");
    expect("[a]\nkey = 1\n[b]\nkey = 2", SECTION_BARE, "b", "key", "2");
    expect("[a]\n\tkey\t=\t1 2 \t\r\n", SECTION_BARE, "a", "key", "1 2");
    expect("\xef\xbb\xbf[a]\r\nkey=1\r\n", SECTION_BARE, "a", "key", "1");
    expect("[a]\nKEY=1\n", SECTION_BARE, "a", "key", "1");
    expect("[a]\nkey: x=1\n", SECTION_BARE, "a", "key", "x=1");
    expect("[a]\nkey=a/b+c==\n", SECTION_BARE, "a", "key", "a/b+c==");
    expect("[a]\nkey=\"1\"\n", SECTION_BARE, "a", "key", "\"1\"");
    expect(" [a] trailing\n  key=1\n  other=2\n", SECTION_BARE, "a", "other", "2");
}

static void knows_profiles_by_the_kind_of_file(void **state) {
    (void)state;
    expect("[profile a]\nkey=1\n", SECTION_PROFILE, "a", "key", "1");
    expect("[ profile\t a ]\nkey=1\n", SECTION_PROFILE, "a", "key", "1");
    expect("[profile \"a b\"]\nkey=1\n", SECTION_PROFILE, "a b", "key", "1");
    expect("[default]\nkey=1\n", SECTION_PROFILE, "default", "key", "1");
    expect("[profile default]\nkey=1\n", SECTION_PROFILE, "default", "key", "1");
    expect_error("[a]\nkey=1\n", SECTION_PROFILE, "a", -ESRCH);
    expect_error("[profilea]\nkey=1\n", SECTION_PROFILE, "a", -ESRCH);
    expect_error("[profile]\nkey=1\n", SECTION_PROFILE, "profile", -ESRCH);
    expect_error("[sso-session a]\nkey=1\n", SECTION_PROFILE, "a", -ESRCH);
    expect_error("[profile a]\nkey=1\n", SECTION_BARE, "a", -ESRCH);
    expect_error("[A]\nkey=1\n", SECTION_BARE, "a", -ESRCH);
    expect_error("[ab]\nkey=1\n", SECTION_BARE, "a", -ESRCH);
    expect_error("[]\nkey=1\n", SECTION_BARE, "", -ESRCH);
}

static void knows_sso_sessions_in_the_config_file(void **state) {
    (void)state;
    expect("[sso-session a]\nkey=1\n", SECTION_SSO_SESSION, "a", "key", "1");
    expect("[sso-session 'a b']\nkey=1\n", SECTION_SSO_SESSION, "a b", "key", "1");
    expect("[profile a]\nkey=1\n[sso-session a]\nkey=2\n", SECTION_SSO_SESSION, "a", "key", "2");
    expect("[sso-session default]\nkey=1\n", SECTION_SSO_SESSION, "default", "key", "1");
    expect_error("[default]\nkey=1\n", SECTION_SSO_SESSION, "default", -ESRCH);
    expect_error("[a]\nkey=1\n", SECTION_SSO_SESSION, "a", -ESRCH);
    expect_error("[sso-sessiona]\nkey=1\n", SECTION_SSO_SESSION, "a", -ESRCH);
    expect_error("[sso-session]\nkey=1\n", SECTION_SSO_SESSION, "sso-session", -ESRCH);
    expect_error("[profile a]\nkey=1\n", SECTION_SSO_SESSION, "a", -ESRCH);
}

static void later_settings_win(void **state) {
    (void)state;
    expect("[a]\nkey=1\nkey=2\n", SECTION_BARE, "a", "key", "2");
    expect("[a]\nkey=1\n[b]\nkey=2\n[a]\nkey=3\n", SECTION_BARE, "a", "key", "3");
    expect("[a]\nkey=1\n[a]\nother=3\n", SECTION_BARE, "a", "key", "1");
    expect_error("[a]\nkey=1\nkey=\n", SECTION_BARE, "a", -ENOENT);
}

static void skips_comments_at_the_start_of_lines(void **state) {
    (void)state;
    expect("# [b]\n[a]\n;key=0\n  # key=0\nkey=1 # one\n", SECTION_BARE, "a", "key", "1 # one");
    expect_error("[a]\n#key=1\n", SECTION_BARE, "a", -ENOENT);
}

static void indented_lines_belong_to_the_setting_above(void **state) {
    (void)state;
    expect("[a]\nkey=1\ns3 =\n  key=2\n\n  # note\n  [b]\n  key=3\n", SECTION_BARE, "a", "key",
           "1");
    expect_error("[a]\ns3 =\n  key=2\n", SECTION_BARE, "a", -ENOENT);
    expect("[a]\n  s3 =\n    key=2\n  key=3\n", SECTION_BARE, "a", "key", "3");
    expect("[a]\ns3 =\n  key=2\nkey=3\n", SECTION_BARE, "a", "key", "3");
    expect("[b]\nx=1\n[a]\n  key=2\n", SECTION_BARE, "a", "key", "2");
}

static void survives_what_is_no_profile_file(void **state) {
    (void)state;
    char *found = NULL;
    assert_int_equal(profile_file_lookup(NULL, 0, SECTION_BARE, "a", "key", &found), -ESRCH);
    expect_error("", SECTION_BARE, "a", -ESRCH);
    expect_error("key=1", SECTION_BARE, "a", -ESRCH);
    expect_error("[a", SECTION_BARE, "a", -ESRCH);
    expect_error("]", SECTION_BARE, "a", -ESRCH);
    expect_error("[a]\nkey\n", SECTION_BARE, "a", -ENOENT);
    expect_error("[a]\n=1\nkeys=1\nke=1\n", SECTION_BARE, "a", -ENOENT);
    const char with_nul[] = "[a]\nkey=\0secret\n";
    assert_int_equal(
        profile_file_lookup(with_nul, sizeof with_nul - 1, SECTION_BARE, "a", "key", &found),
        -ENOENT);
    /* Not a byte past the end. */
    assert_int_equal(profile_file_lookup("[a]\nkey=12345", 10, SECTION_BARE, "a", "key", &found),
                     0);
    assert_string_equal(found, "12");
    free(found);
}

/* The providers, in a home folder of their own. */

struct home {
    char folder[PATH_MAX / 2];
    char credentials[PATH_MAX];
    char config[PATH_MAX];
    struct credentials_provider *provider;
    struct credentials found;
    struct fault fault;
};

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static int make_home(void **state) {
    static const char *const variables[] = {"AWS_ACCESS_KEY_ID",           "AWS_SECRET_ACCESS_KEY",
                                            "AWS_SESSION_TOKEN",           "AWS_PROFILE",
                                            "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"};
    struct home *home = calloc(1, sizeof *home);
    assert_non_null(home);
    strncpy(home->folder, "/tmp/test_credentials.XXXXXX", sizeof home->folder - 1);
    assert_non_null(mkdtemp(home->folder));
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    setenv("HOME", home->folder, 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    char aws[PATH_MAX];
    snprintf(aws, sizeof aws, "%s/.aws", home->folder);
    assert_int_equal(mkdir(aws, 0700), 0);
    snprintf(home->credentials, sizeof home->credentials, "%s/.aws/credentials", home->folder);
    snprintf(home->config, sizeof home->config, "%s/.aws/config", home->folder);
    *state = home;
    return 0;
}

static int remove_home(void **state) {
    struct home *home = *state;
    char aws[PATH_MAX];
    snprintf(aws, sizeof aws, "%s/.aws", home->folder);
    credentials_provider_free(home->provider);
    credentials_clear(&home->found);
    unlink(home->credentials);
    unlink(home->config);
    rmdir(aws);
    rmdir(home->folder);
    free(home);
    return 0;
}

static void start_chain(struct home *home, const char *profile) {
    home->provider = credentials_chain_new(profile, NULL, NULL);
    assert_non_null(home->provider);
}

static void expect_keys(struct home *home, const char *id, const char *secret, const char *token) {
    credentials_clear(&home->found);
    int err = credentials_get(home->provider, &home->found, &home->fault);
    if (err)
        print_error("%s\n", home->fault.text);
    assert_int_equal(err, 0);
    assert_string_equal(home->found.access_key_id, id);
    assert_string_equal(home->found.secret_access_key, secret);
    if (token)
        assert_string_equal(home->found.session_token, token);
    else
        assert_null(home->found.session_token);
    assert_int_equal(home->found.expires, 0);
}

/* The fault must hold every one of the texts, which end with NULL. */
static void expect_fault(struct home *home, int error, ...) {
    credentials_clear(&home->found);
    assert_int_equal(credentials_get(home->provider, &home->found, &home->fault), error);
    assert_null(home->found.access_key_id);
    va_list texts;
    va_start(texts, error);
    for (const char *text = va_arg(texts, const char *); text; text = va_arg(texts, const char *)) {
        if (!strstr(home->fault.text, text))
            fail_msg("'%s' is not in '%s'", text, home->fault.text);
    }
    va_end(texts);
}

#define KEYS(id, secret) "aws_access_key_id = " id "\naws_secret_access_key = " secret "\n"

static void takes_the_environment(void **state) {
    start_chain(*state, NULL);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    expect_keys(*state, "id", "secret", NULL);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    expect_keys(*state, "id", "secret", "token");
    setenv("AWS_SESSION_TOKEN", "", 1);
    expect_keys(*state, "id", "secret", NULL);
}

static void refuses_half_an_environment(void **state) {
    struct home *home = *state;
    write_file(home->credentials, "[default]\n" KEYS("file", "secret"));
    start_chain(home, NULL);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    expect_fault(home, -EACCES, "AWS_SECRET_ACCESS_KEY is not", NULL);
    setenv("AWS_SECRET_ACCESS_KEY", "", 1);
    expect_fault(home, -EACCES, "AWS_SECRET_ACCESS_KEY is not", NULL);
    /* A secret alone says nothing about who signs. */
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    expect_keys(home, "file", "secret", NULL);
}

static void refuses_keys_with_line_ends(void **state) {
    start_chain(*state, NULL);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret\n", 1);
    expect_fault(*state, -EINVAL, "the environment", "line end", NULL);
    assert_null(strstr(((struct home *)*state)->fault.text, "secret\n"));
}

static void finds_nothing(void **state) {
    struct home *home = *state;
    start_chain(home, NULL);
    expect_fault(home, -EACCES, "no AWS credentials", "AWS_ACCESS_KEY_ID", "profile=NAME", NULL);
    write_file(home->config, "[default]\nregion = eu-central-1\n");
    expect_fault(home, -EACCES, "no AWS credentials", NULL);
}

static void takes_the_default_profile(void **state) {
    struct home *home = *state;
    write_file(home->credentials,
               "[default]\n" KEYS("id", "secret") "aws_session_token=token\n[x]\n");
    start_chain(home, NULL);
    expect_keys(home, "id", "secret", "token");
}

static void takes_the_config_file_where_the_credentials_file_has_none(void **state) {
    struct home *home = *state;
    write_file(home->config, "[profile a]\n" KEYS("config", "secret"));
    start_chain(home, "a");
    expect_keys(home, "config", "secret", NULL);
    write_file(home->credentials, "[a]\nregion = x\n");
    expect_keys(home, "config", "secret", NULL);
    write_file(home->credentials, "[a]\n" KEYS("credentials", "secret"));
    expect_keys(home, "credentials", "secret", NULL);
    assert_int_equal(unlink(home->credentials), 0);
    expect_keys(home, "config", "secret", NULL);
}

static void a_profile_option_beats_the_environment(void **state) {
    struct home *home = *state;
    setenv("AWS_ACCESS_KEY_ID", "env", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_PROFILE", "b", 1);
    write_file(home->credentials, "[a]\n" KEYS("a", "s") "[b]\n" KEYS("b", "s"));
    start_chain(home, "a");
    expect_keys(home, "a", "s", NULL);
}

static void the_environment_beats_AWS_PROFILE(void **state) {
    struct home *home = *state;
    setenv("AWS_PROFILE", "b", 1);
    write_file(home->credentials, "[default]\n" KEYS("default", "s") "[b]\n" KEYS("b", "s"));
    start_chain(home, NULL);
    expect_keys(home, "b", "s", NULL);
    setenv("AWS_ACCESS_KEY_ID", "env", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    expect_keys(home, "env", "secret", NULL);
}

static void tells_who_had_them(void **state) {
    struct home *home = *state;
    write_file(home->credentials, "[default]\n" KEYS("default", "s"));
    start_chain(home, NULL);
    expect_keys(home, "default", "s", NULL);
    assert_string_equal(home->found.from, "profile 'default'");
    write_file(home->credentials, "[default]\ncredential_process = "
                                  "echo '{\"Version\":1,\"AccessKeyId\":\"a\","
                                  "\"SecretAccessKey\":\"s\"}'\n");
    /* The second time it comes from the cache. */
    for (int i = 0; i < 2; i++) {
        expect_keys(home, "a", "s", NULL);
        assert_string_equal(home->found.from, "the profile's credential_process");
    }
    setenv("AWS_ACCESS_KEY_ID", "env", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    expect_keys(home, "env", "secret", NULL);
    assert_string_equal(home->found.from, "the environment");
    struct credentials copy;
    assert_int_equal(credentials_copy(&home->found, &copy), 0);
    assert_string_equal(copy.from, "the environment");
    credentials_clear(&copy);
}

static void an_empty_AWS_PROFILE_is_none(void **state) {
    struct home *home = *state;
    setenv("AWS_PROFILE", "", 1);
    write_file(home->credentials, "[default]\n" KEYS("default", "s"));
    start_chain(home, NULL);
    expect_keys(home, "default", "s", NULL);
}

static void a_named_profile_must_exist(void **state) {
    struct home *home = *state;
    write_file(home->credentials, "[default]\n" KEYS("default", "s"));
    setenv("AWS_ACCESS_KEY_ID", "env", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    start_chain(home, "audit");
    expect_fault(home, -EACCES, "no profile 'audit'", home->credentials, home->config, NULL);
    unsetenv("AWS_ACCESS_KEY_ID");
    credentials_provider_free(home->provider);
    setenv("AWS_PROFILE", "other", 1);
    start_chain(home, NULL);
    expect_fault(home, -EACCES, "no profile 'other'", NULL);
}

static void a_named_profile_must_have_keys(void **state) {
    struct home *home = *state;
    write_file(home->config, "[profile a]\nregion = eu-west-1\n");
    start_chain(home, "a");
    expect_fault(home, -EACCES, "profile 'a'", "aws_access_key_id", home->config, NULL);
    write_file(home->credentials, "[a]\naws_access_key_id = id\n");
    expect_fault(home, -EACCES, "profile 'a'", "no aws_secret_access_key", home->credentials, NULL);
    /* Halves in two files do not make a whole. */
    write_file(home->config, "[profile a]\naws_secret_access_key = secret\n");
    expect_fault(home, -EACCES, "no aws_secret_access_key", home->credentials, NULL);
}

static void goes_to_the_files_that_variables_name(void **state) {
    struct home *home = *state;
    write_file(home->config, "[default]\n" KEYS("moved", "secret"));
    setenv("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/config", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    start_chain(home, NULL);
    expect_keys(home, "moved", "secret", NULL);
}

static void reads_changed_files_again(void **state) {
    struct home *home = *state;
    write_file(home->credentials, "[default]\n" KEYS("one", "secret"));
    start_chain(home, NULL);
    expect_keys(home, "one", "secret", NULL);
    /* In another file of the same size, as tools that replace files do. */
    char fresh[PATH_MAX + 8];
    snprintf(fresh, sizeof fresh, "%s.new", home->credentials);
    write_file(fresh, "[default]\n" KEYS("two", "secret"));
    assert_int_equal(rename(fresh, home->credentials), 0);
    expect_keys(home, "two", "secret", NULL);
    write_file(home->credentials, "[default]\n" KEYS("three", "secret"));
    expect_keys(home, "three", "secret", NULL);
    assert_int_equal(unlink(home->credentials), 0);
    expect_fault(home, -EACCES, "no AWS credentials", NULL);
}

static void refuses_files_past_a_mebibyte(void **state) {
    struct home *home = *state;
    write_file(home->credentials, "[default]\n" KEYS("id", "secret"));
    start_chain(home, NULL);
    assert_int_equal(truncate(home->credentials, 1024 * 1024), 0);
    expect_keys(home, "id", "secret", NULL);
    assert_int_equal(truncate(home->credentials, 1024 * 1024 + 1), 0);
    expect_fault(home, -EFBIG, home->credentials, "1 MiB", NULL);
}

/* A loop of links fails for root as for anyone, unlike permissions. */
static void names_the_file_that_cannot_be_read(void **state) {
    struct home *home = *state;
    assert_int_equal(symlink(home->credentials, home->credentials), 0);
    start_chain(home, NULL);
    expect_fault(home, -ELOOP, "cannot read", home->credentials, NULL);
    struct fault fault;
    char *region = NULL;
    assert_int_equal(profile_setting(NULL, "region", &region, &fault), -ELOOP);
    assert_non_null(strstr(fault.text, home->credentials));
    assert_null(region);
}

static void finds_a_home_without_HOME(void **state) {
    struct home *home = *state;
    unsetenv("HOME");
    start_chain(home, "no such profile of this user, surely");
    expect_fault(home, -EACCES, "/.aws/credentials", NULL);
    assert_null(strstr(home->fault.text, home->folder));
}

static void expect_setting(const char *profile, const char *name, const char *value) {
    char *found = NULL;
    struct fault fault;
    assert_int_equal(profile_setting(profile, name, &found, &fault), value ? 0 : -ENOENT);
    if (value)
        assert_string_equal(found, value);
    else
        assert_null(found);
    free(found);
}

static void looks_up_settings(void **state) {
    struct home *home = *state;
    expect_setting(NULL, "region", NULL);
    write_file(home->config, "[default]\nregion = eu-central-1\n"
                             "[profile a]\nregion = us-east-2\nendpoint_url = http://h:1\n");
    expect_setting(NULL, "region", "eu-central-1");
    expect_setting("a", "region", "us-east-2");
    expect_setting("a", "endpoint_url", "http://h:1");
    expect_setting("a", "output", NULL);
    expect_setting("b", "region", NULL);
    setenv("AWS_PROFILE", "a", 1);
    expect_setting(NULL, "region", "us-east-2");
    write_file(home->credentials, "[a]\nregion = sa-east-1\n");
    expect_setting("a", "region", "sa-east-1");
}

/* Threads that ask while the file is replaced: each answer is of one whole file. */

#define THREADS 4
#define ROUNDS 200

static void *ask_often(void *ctx) {
    struct credentials_provider *provider = ctx;
    uintptr_t wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct credentials found = {0};
        if (credentials_get(provider, &found, NULL) ||
            strcmp(found.access_key_id, found.secret_access_key) != 0)
            wrong++;
        credentials_clear(&found);
    }
    return (void *)wrong;
}

static void may_be_asked_by_several_threads(void **state) {
    struct home *home = *state;
    char fresh[PATH_MAX + 8];
    snprintf(fresh, sizeof fresh, "%s.new", home->credentials);
    write_file(home->credentials, "[default]\n" KEYS("one", "one"));
    start_chain(home, NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, home->provider), 0);
    for (int i = 0; i < ROUNDS; i++) {
        write_file(fresh,
                   i % 2 ? "[default]\n" KEYS("one", "one") : "[default]\n" KEYS("two", "two"));
        assert_int_equal(rename(fresh, home->credentials), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void frees_nothing_gladly(void **state) {
    (void)state;
    credentials_provider_free(NULL);
    credentials_clear(NULL);
    struct credentials none = {0};
    credentials_clear(&none);
    assert_null(none.access_key_id);
}

#define HOME_TEST(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_settings),
        cmocka_unit_test(knows_profiles_by_the_kind_of_file),
        cmocka_unit_test(knows_sso_sessions_in_the_config_file),
        cmocka_unit_test(later_settings_win),
        cmocka_unit_test(skips_comments_at_the_start_of_lines),
        cmocka_unit_test(indented_lines_belong_to_the_setting_above),
        cmocka_unit_test(survives_what_is_no_profile_file),
        HOME_TEST(takes_the_environment),
        HOME_TEST(refuses_half_an_environment),
        HOME_TEST(refuses_keys_with_line_ends),
        HOME_TEST(finds_nothing),
        HOME_TEST(takes_the_default_profile),
        HOME_TEST(takes_the_config_file_where_the_credentials_file_has_none),
        HOME_TEST(a_profile_option_beats_the_environment),
        HOME_TEST(the_environment_beats_AWS_PROFILE),
        HOME_TEST(tells_who_had_them),
        HOME_TEST(an_empty_AWS_PROFILE_is_none),
        HOME_TEST(a_named_profile_must_exist),
        HOME_TEST(a_named_profile_must_have_keys),
        HOME_TEST(goes_to_the_files_that_variables_name),
        HOME_TEST(reads_changed_files_again),
        HOME_TEST(refuses_files_past_a_mebibyte),
        HOME_TEST(names_the_file_that_cannot_be_read),
        HOME_TEST(finds_a_home_without_HOME),
        HOME_TEST(looks_up_settings),
        HOME_TEST(may_be_asked_by_several_threads),
        cmocka_unit_test(frees_nothing_gladly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
