#include "../../fs/s3/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char config_file[] = "/tmp/maciefs-test-XXXXXX";

static int setup(void **state) {
    static const char *const variables[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",
                                            "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
                                            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    unsetenv("AWS_PROFILE");
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    return 0;
}

#define POINT "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-ap"

static void finds_addresses(void **state) {
    static const struct {
        const char *bucket, *endpoint, *region;
        enum config_addressing addressing;
        const char *origin, *host, *base;
    } cases[] = {
        {"b", NULL, "eu-west-1", CONFIG_AUTO, "https://b.s3.eu-west-1.amazonaws.com",
         "b.s3.eu-west-1.amazonaws.com", ""},
        {"b", NULL, NULL, CONFIG_VIRTUAL, "https://b.s3.us-east-1.amazonaws.com",
         "b.s3.us-east-1.amazonaws.com", ""},
        {"b", NULL, "cn-north-1", CONFIG_PATH, "https://s3.cn-north-1.amazonaws.com.cn",
         "s3.cn-north-1.amazonaws.com.cn", "/b"},
        {"a.b", NULL, NULL, CONFIG_AUTO, "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/a.b"},
        {"Old_Name", NULL, NULL, CONFIG_AUTO, "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/Old_Name"},
        {"b", "http://127.0.0.1:9000", NULL, CONFIG_AUTO, "http://127.0.0.1:9000", "127.0.0.1:9000",
         "/b"},
        {"b", "http://[::1]:9000/", NULL, CONFIG_AUTO, "http://[::1]:9000", "[::1]:9000", "/b"},
        {"b", "HTTPS://store.example/s3/", NULL, CONFIG_AUTO, "https://store.example",
         "store.example", "/s3/b"},
        {"b", "https://store.example:8443/s3", NULL, CONFIG_VIRTUAL, "https://b.store.example:8443",
         "b.store.example:8443", "/s3"},
        {"t:b", "http://h", NULL, CONFIG_PATH, "http://h", "h", "/t%3Ab"},
        {"a.b", NULL, NULL, CONFIG_VIRTUAL, "https://a.b.s3.us-east-1.amazonaws.com",
         "a.b.s3.us-east-1.amazonaws.com", ""},
        {"a.b", "http://h:1", NULL, CONFIG_VIRTUAL, "http://a.b.h:1", "a.b.h:1", ""},
        {POINT, NULL, "ap-south-1", CONFIG_AUTO,
         "https://my-ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
         "my-ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", ""},
        {POINT, "http://localhost:8000/x", NULL, CONFIG_VIRTUAL,
         "http://my-ap-123456789012.localhost:8000", "my-ap-123456789012.localhost:8000", "/x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct config config = {.bucket = (char *)cases[i].bucket,
                                      .endpoint = (char *)cases[i].endpoint,
                                      .region = (char *)cases[i].region,
                                      .addressing = cases[i].addressing};
        struct s3_address address;
        struct fault fault;
        assert_int_equal(s3_address_find(&config, NULL, &address, &fault), 0);
        assert_string_equal(address.origin, cases[i].origin);
        assert_string_equal(address.host, cases[i].host);
        assert_string_equal(address.base, cases[i].base);
        s3_address_clear(&address);
    }
}

static void refuses_what_is_no_address(void **state) {
    static const struct {
        const char *bucket, *endpoint, *region;
        enum config_addressing addressing;
        const char *said;
    } cases[] = {
        {"b", "127.0.0.1:9000", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "ftp://h", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "http://", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "http://h:99999", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "http://h/?x", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "http://h/#x", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "http://h o", NULL, CONFIG_AUTO, "endpoint="},
        {"b", "http://me:hidden@h", NULL, CONFIG_AUTO, "user"},
        {"b", NULL, "eu west", CONFIG_AUTO, "region"},
        {"b", NULL, "evil.example/", CONFIG_AUTO, "region"},
        {"a/b", NULL, NULL, CONFIG_AUTO, "bucket"},
        {"a\r\nx: y", NULL, NULL, CONFIG_AUTO, "bucket"},
        {"", NULL, NULL, CONFIG_AUTO, "bucket"},
        {"a_b", NULL, NULL, CONFIG_VIRTUAL, "addressing=path"},
        {POINT, NULL, NULL, CONFIG_PATH, "addressing=path"},
        {"arn:aws:s3:cn-north-1:123456789012:accesspoint/abc", NULL, NULL, CONFIG_AUTO,
         "the region cn-north-1 is in the partition aws-cn"},
        {"arn:aws:s3:eu-west-1:123456789012:accesspoint/a", NULL, NULL, CONFIG_AUTO, "ARN"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct config config = {.bucket = (char *)cases[i].bucket,
                                      .endpoint = (char *)cases[i].endpoint,
                                      .region = (char *)cases[i].region,
                                      .addressing = cases[i].addressing};
        struct s3_address address;
        struct fault fault;
        assert_int_equal(s3_address_find(&config, NULL, &address, &fault), -EINVAL);
        assert_non_null(strstr(fault.text, cases[i].said));
        assert_null(strstr(fault.text, "hidden"));
    }
}

/* What botocore 1.43 resolves, for a bucket's name that fits a host's, and for an access point. */
static void follows_partitions_and_variants(void **state) {
    static const struct {
        const char *region;
        bool fips, dual;
        const char *host;
        const char *partition; /* of an access point; NULL for a bucket */
    } cases[] = {
        {"eu-west-1", false, false, "b.s3.eu-west-1.amazonaws.com", NULL},
        {"eu-west-1", false, true, "b.s3.dualstack.eu-west-1.amazonaws.com", NULL},
        {"eu-west-1", true, false, "b.s3-fips.eu-west-1.amazonaws.com", NULL},
        {"eu-west-1", true, true, "b.s3-fips.dualstack.eu-west-1.amazonaws.com", NULL},
        {"cn-north-1", false, true, "b.s3.dualstack.cn-north-1.amazonaws.com.cn", NULL},
        {"us-gov-west-1", false, false, "b.s3.us-gov-west-1.amazonaws.com", NULL},
        {"us-gov-west-1", true, true, "b.s3-fips.dualstack.us-gov-west-1.amazonaws.com", NULL},
        {"us-iso-east-1", false, false, "b.s3.us-iso-east-1.c2s.ic.gov", NULL},
        {"us-isob-east-1", false, false, "b.s3.us-isob-east-1.sc2s.sgov.gov", NULL},
        {"eu-isoe-west-1", false, false, "b.s3.eu-isoe-west-1.cloud.adc-e.uk", NULL},
        {"us-isof-south-1", true, false, "b.s3-fips.us-isof-south-1.csp.hci.ic.gov", NULL},
        {"eusc-de-east-1", false, false, "b.s3.eusc-de-east-1.amazonaws.eu", NULL},
        {"eu-west-1", false, true,
         "b-p-123456789012.s3-accesspoint.dualstack.eu-west-1."
         "amazonaws.com",
         "aws"},
        {"us-gov-west-1", true, true,
         "b-p-123456789012.s3-accesspoint-fips.dualstack."
         "us-gov-west-1.amazonaws.com",
         "aws-us-gov"},
        {"cn-north-1", false, false, "b-p-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn",
         "aws-cn"},
        {"us-iso-east-1", true, false,
         "b-p-123456789012.s3-accesspoint-fips.us-iso-east-1."
         "c2s.ic.gov",
         "aws-iso"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char point[128];
        snprintf(point, sizeof point, "arn:%s:s3:%s:123456789012:accesspoint/b-p",
                 cases[i].partition ? cases[i].partition : "", cases[i].region);
        const struct config config = {.bucket = cases[i].partition ? point : (char *)"b",
                                      .region = (char *)cases[i].region,
                                      .addressing = CONFIG_AUTO};
        struct s3_address address;
        struct fault fault;
        setenv("AWS_USE_FIPS_ENDPOINT", cases[i].fips ? "true" : "false", 1);
        setenv("AWS_USE_DUALSTACK_ENDPOINT", cases[i].dual ? "true" : "false", 1);
        assert_int_equal(s3_address_find(&config, NULL, &address, &fault), 0);
        assert_string_equal(address.host, cases[i].host);
        assert_string_equal(address.region, cases[i].region);
        s3_address_clear(&address);
    }
}

static void china_has_no_fips(void **state) {
    (void)state;
    const struct config config = {.bucket = "b", .region = "cn-north-1", .addressing = CONFIG_AUTO};
    struct s3_address address;
    struct fault fault;
    setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
    assert_int_equal(s3_address_find(&config, NULL, &address, &fault), -EINVAL);
    assert_non_null(strstr(fault.text, "no FIPS endpoint in cn-north-1"));
}

static void assert_origin(const char *endpoint, const char *expected) {
    const struct config config = {
        .bucket = "b", .endpoint = (char *)endpoint, .addressing = CONFIG_AUTO};
    struct s3_address address;
    struct fault fault;
    assert_int_equal(s3_address_find(&config, "us-gov-west-1", &address, &fault), 0);
    assert_string_equal(address.origin, expected);
    assert_string_equal(address.region, "us-gov-west-1");
    s3_address_clear(&address);
}

static void set_profile(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "[default]\n%s\n", text);
    assert_int_equal(fclose(file), 0);
}

/* Each is asked only when those before it say nothing; the region that is known beats all. */
static void takes_the_endpoint_in_order(void **state) {
    (void)state;
    char path[] = "/tmp/maciefs-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    setenv("AWS_CONFIG_FILE", path, 1);
    setenv("AWS_REGION", "eu-west-1", 1);
    assert_origin(NULL, "https://b.s3.us-gov-west-1.amazonaws.com");
    set_profile(path, "use_dualstack_endpoint = true");
    assert_origin(NULL, "https://b.s3.dualstack.us-gov-west-1.amazonaws.com");
    setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
    assert_origin(NULL, "https://b.s3-fips.dualstack.us-gov-west-1.amazonaws.com");
    setenv("AWS_USE_DUALSTACK_ENDPOINT", "false", 1);
    assert_origin(NULL, "https://b.s3-fips.us-gov-west-1.amazonaws.com");
    set_profile(path, "endpoint_url = http://profile:1");
    assert_origin(NULL, "http://profile:1");
    setenv("AWS_ENDPOINT_URL", "http://any:2", 1);
    assert_origin(NULL, "http://any:2");
    setenv("AWS_ENDPOINT_URL_S3", "http://s3:3", 1);
    assert_origin(NULL, "http://s3:3");
    setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
    assert_origin(NULL, "https://b.s3-fips.us-gov-west-1.amazonaws.com");
    assert_origin("http://option:4", "http://option:4");
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    set_profile(path, "ignore_configured_endpoint_urls = true");
    assert_origin(NULL, "https://b.s3-fips.us-gov-west-1.amazonaws.com");
    setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false", 1);
    assert_origin(NULL, "http://s3:3");
    assert_origin("http://option:4", "http://option:4");
    setenv("AWS_ENDPOINT_URL_S3", "s3:3", 1);
    const struct config config = {.bucket = "b"};
    struct s3_address address;
    struct fault fault;
    assert_int_equal(s3_address_find(&config, NULL, &address, &fault), -EINVAL);
    assert_non_null(strstr(fault.text, "AWS_ENDPOINT_URL_S3=s3:3 is no address"));
    unlink(path);
}

static void assert_region(const char *option, const char *expected, const char *from) {
    const struct config config = {.bucket = "b", .region = (char *)option};
    struct s3_address address;
    struct fault fault;
    assert_int_equal(s3_address_find(&config, NULL, &address, &fault), 0);
    assert_string_equal(address.region, expected);
    assert_string_equal(address.region_from, from);
    s3_address_clear(&address);
}

/* Each is asked only when those before it say nothing. */
static void takes_the_region_in_order(void **state) {
    (void)state;
    assert_region(NULL, "us-east-1", "the default");
    int fd = mkstemp(config_file);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "[default]\nregion = eu-central-1\n") > 0);
    close(fd);
    setenv("AWS_CONFIG_FILE", config_file, 1);
    assert_region(NULL, "eu-central-1", "the profile");
    setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
    assert_region(NULL, "eu-west-2", "AWS_DEFAULT_REGION");
    setenv("AWS_REGION", "", 1);
    assert_region(NULL, "eu-west-2", "AWS_DEFAULT_REGION");
    setenv("AWS_REGION", "eu-west-3", 1);
    assert_region(NULL, "eu-west-3", "AWS_REGION");
    assert_region("ap-south-1", "ap-south-1", "region=");
    unlink(config_file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(finds_addresses, setup),
        cmocka_unit_test_setup(refuses_what_is_no_address, setup),
        cmocka_unit_test_setup(follows_partitions_and_variants, setup),
        cmocka_unit_test_setup(china_has_no_fips, setup),
        cmocka_unit_test_setup(takes_the_endpoint_in_order, setup),
        cmocka_unit_test_setup(takes_the_region_in_order, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
