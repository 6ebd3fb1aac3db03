/* Where services are asked: the addresses are those that AWS's own Python library finds. */
#include <maciefs/service_url.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct service sts = {"sts", "AWS_ENDPOINT_URL_STS"};
static const struct service portal = {"portal.sso", "AWS_ENDPOINT_URL_SSO"};

static int clean(void **state) {
    (void)state;
    unsetenv("AWS_ENDPOINT_URL_STS");
    unsetenv("AWS_ENDPOINT_URL");
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    return 0;
}

static void each_region_and_kind_has_its_own(void **state) {
    (void)state;
    static const struct {
        const struct service *service;
        const char *region;
        struct address_kind kind;
        const char *url;
    } cases[] = {
        {&sts, "eu-west-1", {false, false}, "https://sts.eu-west-1.amazonaws.com"},
        {&sts, "eu-west-1", {false, true}, "https://sts.eu-west-1.api.aws"},
        {&sts, "us-east-1", {true, false}, "https://sts-fips.us-east-1.amazonaws.com"},
        {&sts, "us-east-1", {true, true}, "https://sts-fips.us-east-1.api.aws"},
        {&sts, "us-gov-west-1", {true, false}, "https://sts.us-gov-west-1.amazonaws.com"},
        {&sts, "us-gov-west-1", {true, true}, "https://sts-fips.us-gov-west-1.api.aws"},
        {&sts, "us-gov-west-1", {false, true}, "https://sts.us-gov-west-1.api.aws"},
        {&sts, "cn-north-1", {false, false}, "https://sts.cn-north-1.amazonaws.com.cn"},
        {&sts, "cn-north-1", {false, true}, "https://sts.cn-north-1.api.amazonwebservices.com.cn"},
        {&sts, "us-iso-east-1", {false, false}, "https://sts.us-iso-east-1.c2s.ic.gov"},
        {&sts, "us-iso-east-1", {true, true}, "https://sts-fips.us-iso-east-1.api.aws.ic.gov"},
        {&portal, "eu-west-1", {true, false}, "https://portal.sso-fips.eu-west-1.amazonaws.com"},
        {&portal, "us-gov-west-1", {true, false}, "https://portal.sso.us-gov-west-1.amazonaws.com"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *url = service_url_in(cases[i].service, cases[i].region, &cases[i].kind);
        assert_string_equal(url, cases[i].url);
        free(url);
    }
}

static char config_path[] = "/tmp/maciefs-test-XXXXXX";

static int write_config(const char *settings) {
    FILE *file = fopen(config_path, "w");
    if (!file)
        return -1;
    fprintf(file, "[default]\n%s", settings);
    return fclose(file);
}

static void assert_named(const struct service *service, const char *url, const char *by) {
    const char *from = NULL;
    char *named = NULL;
    struct fault fault;
    int err = service_url_named(service, NULL, &from, &named, &fault);
    assert_int_equal(err, url ? 0 : -ENOENT);
    if (url) {
        assert_string_equal(named, url);
        assert_string_equal(from, by);
    }
    free(named);
}

static void the_user_names_another(void **state) {
    (void)state;
    assert_named(&sts, NULL, NULL);
    assert_int_equal(write_config("endpoint_url = http://profile.example\n"), 0);
    assert_named(&sts, "http://profile.example", "the profile's endpoint_url");
    setenv("AWS_ENDPOINT_URL", "http://all.example", 1);
    assert_named(&sts, "http://all.example", "AWS_ENDPOINT_URL");
    setenv("AWS_ENDPOINT_URL_STS", "http://sts.example", 1);
    assert_named(&sts, "http://sts.example", "AWS_ENDPOINT_URL_STS");
    assert_named(&portal, "http://all.example", "AWS_ENDPOINT_URL");
    setenv("AWS_ENDPOINT_URL_STS", "", 1);
    assert_named(&sts, "http://all.example", "AWS_ENDPOINT_URL");
    setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True", 1);
    assert_named(&sts, NULL, NULL);
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    assert_int_equal(write_config("ignore_configured_endpoint_urls = true\n"), 0);
    assert_named(&sts, NULL, NULL);
}

static int make_config(void **state) {
    (void)state;
    int fd = mkstemp(config_path);
    setenv("AWS_CONFIG_FILE", config_path, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    unsetenv("AWS_PROFILE");
    return fd < 0 ? -1 : close(fd);
}

static int remove_config(void **state) {
    (void)state;
    return unlink(config_path);
}

static void what_is_no_address_is_told(void **state) {
    (void)state;
    static const char *const good[] = {"http://127.0.0.1:8000", "https://sts.example/path",
                                       "https://[::1]:443/"};
    static const char *const bad[] = {"",
                                      "sts.example",
                                      "ftp://sts.example",
                                      "http://",
                                      "http://user:pw@sts.example",
                                      "http://sts.example?a=b",
                                      "http://sts.example#a",
                                      "http://sts example"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(service_url_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(service_url_is_valid(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_region_and_kind_has_its_own, clean),
        cmocka_unit_test_setup_teardown(the_user_names_another, clean, clean),
        cmocka_unit_test_setup(what_is_no_address_is_told, clean),
    };
    return cmocka_run_group_tests(tests, make_config, remove_config);
}
