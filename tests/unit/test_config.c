#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <maciefs/config.h>

#define WORDS_MAX 12
#define SOURCE "s3://my-logs/macie"
#define POINT "arn:aws:s3:eu-west-1:123456789012:accesspoint/"

struct fixture {
    char folder[64];
    struct config config;
    struct fault fault;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/maciefs-config-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    setenv("HOME", "/home/someone", 1);
    unsetenv("XDG_CACHE_HOME");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    config_free(&f->config);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* Parses the words up to a NULL; "@" stands for the mount point. */
static int parse(struct fixture *f, const char *first, ...) {
    char *argv[WORDS_MAX + 1] = {0};
    int argc = 0;
    va_list args;
    va_start(args, first);
    for (const char *word = first; word && argc < WORDS_MAX; word = va_arg(args, const char *))
        argv[argc++] = strcmp(word, "@") == 0 ? f->folder : (char *)(uintptr_t)word;
    va_end(args);
    config_free(&f->config);
    memset(&f->fault, 0, sizeof f->fault);
    return config_parse(argc, argv, &f->config, &f->fault);
}

static void accept(struct fixture *f, const char *options) {
    if (parse(f, "maciefs", SOURCE, "@", "-o", options, NULL) != 0)
        fail_msg("-o %s: %s", options, f->fault.text);
}

/* The options are refused, and the sentence says all of `says` (words parted by '|'). */
static void refuse(struct fixture *f, const char *options, const char *says) {
    char part[128];
    if (parse(f, "maciefs", SOURCE, "@", "-o", options, NULL) != -EINVAL)
        fail_msg("-o %s was taken", options);
    while (*says) {
        size_t len = strcspn(says, "|");
        snprintf(part, sizeof part, "%.*s", (int)len, says);
        if (!strstr(f->fault.text, part))
            fail_msg("-o %s: \"%s\" does not say \"%s\"", options, f->fault.text, part);
        says += len + (says[len] == '|');
    }
    assert_null(f->config.source);
}

static void test_defaults(void **state) {
    struct fixture *f = *state;
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", NULL), 0);
    const struct config *c = &f->config;
    assert_int_equal(c->action, CONFIG_MOUNT);
    assert_false(c->foreground);
    assert_false(c->debug);
    assert_string_equal(c->source, SOURCE);
    assert_string_equal(c->mountpoint, f->folder);
    assert_int_equal(c->scheme, CONFIG_S3);
    assert_string_equal(c->bucket, "my-logs");
    assert_string_equal(c->prefix, "macie");
    assert_null(c->endpoint);
    assert_int_equal(c->addressing, CONFIG_AUTO);
    assert_null(c->region);
    assert_null(c->profile);
    assert_string_equal(c->timezone, "UTC");
    assert_false(c->cache_given);
    assert_int_equal(c->poll_ms, 5000);
    assert_int_equal(c->dir_ttl_ms, 60000);
    assert_int_equal(c->cache_size, 10ull << 30);
    assert_int_equal(c->connections, 8);
    assert_int_equal(c->max_object, 4ull << 30);
    assert_int_equal(c->window_s, 24 * 3600);
    assert_int_equal(c->pace, 400);
    assert_int_equal(c->shape, CONFIG_SHAPE_WAZUH);
    assert_string_equal(c->account_alias, "");
    assert_int_equal(c->uid, getuid());
    assert_int_equal(c->gid, getgid());
    assert_int_equal(c->allow_other, geteuid() == 0);
    assert_string_equal(c->mount_options, "ro,nosuid,nodev");
    assert_int_equal(config_file_mode(c), 0440);
    assert_int_equal(config_folder_mode(c), 0550);
}

static void test_every_option(void **state) {
    struct fixture *f = *state;
    accept(f, "endpoint=https://s3.example.net:9000/,addressing=virtual,region=eu-central-1,"
              "profile=audit,poll=0.25,timezone=+02:00,dir_ttl=0,cache=/var/tmp/x//,cache_size=16M,"
              "connections=64,max_object=1T,uid=7,gid=8,umask=027,noallow_other,window=7d,pace=0,"
              "shape=event,account_alias=The Audit");
    const struct config *c = &f->config;
    assert_string_equal(c->endpoint, "https://s3.example.net:9000");
    assert_int_equal(c->addressing, CONFIG_VIRTUAL);
    assert_string_equal(c->region, "eu-central-1");
    assert_string_equal(c->profile, "audit");
    assert_int_equal(c->poll_ms, 250);
    assert_string_equal(c->timezone, "+02:00");
    assert_int_equal(c->dir_ttl_ms, 0);
    assert_string_equal(c->cache, "/var/tmp/x");
    assert_true(c->cache_given);
    assert_int_equal(c->cache_size, 16 << 20);
    assert_int_equal(c->connections, 64);
    assert_int_equal(c->max_object, 1ull << 40);
    assert_int_equal(c->window_s, 7 * 86400);
    assert_int_equal(c->pace, 0);
    assert_int_equal(c->shape, CONFIG_SHAPE_EVENT);
    assert_string_equal(c->account_alias, "The Audit");
    assert_int_equal(c->uid, 7);
    assert_int_equal(c->gid, 8);
    assert_int_equal(config_file_mode(c), 0440);
    assert_int_equal(config_folder_mode(c), 0550);
    assert_false(c->allow_other);
    accept(f, "umask=0,uid=root,gid=root,addressing=path,allow_other,endpoint=http://[::1]:80");
    assert_int_equal(config_file_mode(c), 0444);
    assert_int_equal(config_folder_mode(c), 0555);
    assert_int_equal(c->uid, 0);
    assert_int_equal(c->addressing, CONFIG_PATH);
    assert_true(c->allow_other);
    assert_string_equal(c->endpoint, "http://[::1]:80");
}

static void test_values_out_of_range(void **state) {
    struct fixture *f = *state;
    static const char *const OPTIONS[] = {
        "poll=x",
        "poll=0",
        "poll=0.099",
        "poll=3600.001",
        "poll=",
        "poll",
        "poll=-5",
        "poll=5s",
        "poll=1e3",
        "poll=5.",
        "poll=.5",
        "poll=0.1234",
        "poll=99999999999999999999",
        "dir_ttl=86401",
        "dir_ttl=-1",
        "cache_size=15M",
        "cache_size=lots",
        "cache_size=17E",
        "cache_size=99999999999999T",
        "connections=0",
        "connections=65",
        "connections=1.5",
        "connections=+1",
        "max_object=1K",
        "window=24",
        "window=9m",
        "window=32d",
        "window=1w",
        "window=h",
        "window=1.5h",
        "window=99999999999d",
        "window=99999999999999999999999s",
        "pace=-1",
        "pace=1000001",
        "pace=400/s",
        "shape=json",
        "shape=",
        "account_alias=",
        "account_alias=a\nb",
        "max_object=2T",
        "uid=-1",
        "uid=4294967295",
        "uid=no-such-one",
        "gid=4294967296",
        "gid=",
        "umask=8",
        "umask=1000",
        "umask=0x7",
        "addressing=auto",
        "addressing=",
        "endpoint=s3.example.net",
        "endpoint=ftp://x",
        "endpoint=https://",
        "endpoint=https://a b",
        "endpoint=https://user:secret@host",
        "endpoint=https://host?x=y",
        "endpoint=https://:80",
        "region=",
        "region=eu central",
        "region=a/b",
        "profile=",
        "profile=a]b",
        "timezone=",
        "cache=",
        "profile=a\nb",
    };
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s= takes |such as |default ", (int)strcspn(OPTIONS[i], "="),
                 OPTIONS[i]);
        refuse(f, OPTIONS[i], name);
    }
    refuse(f, "poll=x",
           "poll= takes seconds from 0.1 to 3600, such as poll=5 (default 5), not \"x\"");
    refuse(f, "allow_other=1", "allow_other takes no value");
}

static void test_unknown_options(void **state) {
    struct fixture *f = *state;
    refuse(f, "pol=5", "\"pol\"|did you mean poll?");
    refuse(f, "pooll=5", "did you mean poll?");
    refuse(f, "cachesize=1G", "did you mean cache_size?");
    refuse(f, "regoin=x", "did you mean region?");
    refuse(f, "notaime", "did you mean noatime?");
    refuse(f, "frobnicate", "\"frobnicate\"|--help");
    refuse(f, "ro=1", "\"ro\"");
    refuse(f, "a", "\"a\"");
    assert_null(strstr(f->fault.text, "did you mean"));
    refuse(f, "=x", "unknown option");
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    refuse(f, name, "unknown option");
}

static void test_credentials_are_no_options(void **state) {
    struct fixture *f = *state;
    static const char *const OPTIONS[] = {
        "access_key=HUSH-HUSH", "aws_access_key_id=HUSH-HUSH",     "secret=HUSH-HUSH",
        "secret_key=HUSH-HUSH", "AWS_SECRET_ACCESS_KEY=HUSH-HUSH", "session_token=HUSH-HUSH",
        "password=HUSH-HUSH",   "passwd_file=HUSH-HUSH",
    };
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        refuse(f, OPTIONS[i], "credentials are never mount options|~/.aws/credentials|profile=");
        assert_null(strstr(f->fault.text, "HUSH"));
    }
    refuse(f, "sceret=HUSH", "unknown option");
    assert_null(strstr(f->fault.text, "HUSH"));
}

static void test_options_of_mount(void **state) {
    struct fixture *f = *state;
    accept(f, "ro,_netdev,nofail,noauto,auto,user,users,user=me,owner,group,nouser,defaults,"
              "x-systemd.automount,x-a=b,X-mount.mkdir,comment=hello,relatime,lazytime,"
              "default_permissions,dev,suid,nodev,nosuid,,");
    assert_string_equal(f->config.mount_options, "ro,nosuid,nodev");
    accept(f, "noexec,noatime,sync,context=\"system_u:object_r:nfs_t:s0:c1,c2\",poll=1");
    assert_string_equal(f->config.mount_options, "ro,nosuid,nodev,noexec,noatime,sync,"
                                                 "context=\"system_u:object_r:nfs_t:s0:c1\\,c2\"");
    assert_int_equal(f->config.poll_ms, 1000);
    accept(f, "context=a\\,b,sync");
    assert_string_equal(f->config.mount_options, "ro,nosuid,nodev,context=a\\,b,sync");
    refuse(f, "remount", "unmount it");
    refuse(f, "auto_unmount", "auto_unmount|by itself");
    refuse(f, "fsname=x", "fsname|by itself");
    refuse(f, "subtype=x", "subtype");
    refuse(f, "allow_root", "allow_other");
    refuse(f, "fd=3", "fd");
}

static void test_read_only(void **state) {
    struct fixture *f = *state;
    accept(f, "ro");
    refuse(f, "rw", "read-only");
    refuse(f, "rw,poll=1", "read-only");
    refuse(f, "poll=1,rw,dev,suid", "read-only");
    refuse(f, "rw,dev", "read-only");
    refuse(f, "rw,profile=dev,cache=/suid", "read-only");
    accept(f, "rw,poll=1,dev,suid");
    accept(f, "rw,nodev,noexec,nosuid");
    const char *helper = "/sbin/mount.fuse.maciefs";
    assert_int_equal(parse(f, helper, SOURCE, "@", "-o", "rw,poll=1", NULL), 0);
    assert_string_equal(f->config.mount_options, "ro,nosuid,nodev");
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "-o", "rw,dev,suid", "-o", "rw", NULL),
                     -EINVAL);
}

static void test_later_counts(void **state) {
    struct fixture *f = *state;
    assert_int_equal(parse(f, "maciefs", "-o", "poll=1,region=a", SOURCE, "-opoll=2,poll=3", "@",
                           "-o", "region=b", NULL),
                     0);
    assert_int_equal(f->config.poll_ms, 3000);
    assert_string_equal(f->config.region, "b");
}

/* Files are named by paths that hold wherever the daemon is; a key given itself is not repeated. */
static void test_files(void **state) {
    struct fixture *f = *state;
    accept(f, "ca_bundle=/dev/../dev/null,sse_customer_key=/dev/../dev/null");
    assert_string_equal(f->config.ca_bundle, "/dev/null");
    assert_string_equal(f->config.sse_customer_key, "/dev/null");
    refuse(f, "ca_bundle=/nonexistent/x", "not \"/nonexistent/x\"");
    refuse(f, "sse_customer_key=c2VjcmV0LWtleQ==", "sse_customer_key= takes a file with the key");
    assert_null(strstr(f->fault.text, "c2VjcmV0"));
}

static void test_escaped_commas(void **state) {
    struct fixture *f = *state;
    accept(f, "profile=a\\,b\\\\c\\d,cache=/x\\,y,poll=2");
    assert_string_equal(f->config.profile, "a,b\\c\\d");
    assert_string_equal(f->config.cache, "/x,y");
    assert_int_equal(f->config.poll_ms, 2000);
    accept(f, "profile=a\\");
    assert_string_equal(f->config.profile, "a\\");
}

static void test_letters(void **state) {
    struct fixture *f = *state;
    assert_int_equal(parse(f, "maciefs", "-f", SOURCE, "@", NULL), 0);
    assert_true(f->config.foreground);
    assert_false(f->config.debug);
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "-fdo", "poll=9", NULL), 0);
    assert_true(f->config.foreground && f->config.debug);
    assert_int_equal(f->config.poll_ms, 9000);
    assert_int_equal(parse(f, "maciefs", "-d", "--", SOURCE, "@", NULL), 0);
    assert_true(f->config.foreground && f->config.debug);
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "--", "-f", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "-x", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "-x"));
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "-n", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "--poll=5", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "-o", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "-o takes options"));
}

static void test_called_by_mount(void **state) {
    struct fixture *f = *state;
    const char *helper = "/sbin/mount.fuse.maciefs";
    assert_int_equal(
        parse(f, helper, SOURCE, "@", "-s", "-n", "-v", "-o", "rw", "-t", "fuse.maciefs", NULL), 0);
    assert_int_equal(f->config.action, CONFIG_MOUNT);
    assert_false(f->config.foreground);
    assert_int_equal(parse(f, helper, SOURCE, "@", "-N", "/proc/1/ns", "-fv", "-o", "rw", NULL), 0);
    assert_int_equal(f->config.action, CONFIG_NOTHING);
    assert_int_equal(parse(f, helper, SOURCE, "@", "-f", "-o", "rw,pol=1", NULL), -EINVAL);
    assert_int_equal(parse(f, helper, SOURCE, "@", "-t", NULL), -EINVAL);
}

static void test_help_and_version(void **state) {
    struct fixture *f = *state;
    static const char *const HELP[] = {"-h", "--help"}, *const VERSION[] = {"-V", "--version"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(parse(f, "maciefs", HELP[i], "-x", NULL), 0);
        assert_int_equal(f->config.action, CONFIG_HELP);
        assert_int_equal(parse(f, "maciefs", SOURCE, VERSION[i], NULL), 0);
        assert_int_equal(f->config.action, CONFIG_VERSION);
    }
    static const char *const SAID[] = {
        "Usage:",    "endpoint=", "addressing=", "region=",     "profile=",     "poll=",
        "timezone=", "dir_ttl=",  "cache=",      "cache_size=", "connections=", "max_object=",
        "uid=",      "gid=",      "umask=",      "allow_other"};
    for (size_t i = 0; i < sizeof SAID / sizeof *SAID; i++)
        if (!strstr(config_help(), SAID[i]))
            fail_msg("the help does not say %s", SAID[i]);
    assert_string_equal(config_help(), config_help());
    assert_int_equal(config_help()[strlen(config_help()) - 1], '\n');
}

static void test_sources(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *source, *bucket, *prefix;
    } CASES[] = {
        {"s3://abc", "abc", ""},
        {"s3://abc/", "abc", ""},
        {"s3://a.b-c.9/x/", "a.b-c.9", "x/"},
        {"s3://abc//x//y", "abc", "/x//y"},
        {"s3://abc/a b%20+\xc3\xa4?#", "abc", "a b%20+\xc3\xa4?#"},
        {"s3://my-ap-x1y2z3-s3alias/m", "my-ap-x1y2z3-s3alias", "m"},
        {"s3://" POINT "my-ap", POINT "my-ap", ""},
        {"s3://" POINT "my-ap/", POINT "my-ap", ""},
        {"s3://" POINT "my-ap/macie/x:y", POINT "my-ap", "macie/x:y"},
        {"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:my-ap/m", POINT "my-ap", "m"},
        {"s3://arn:aws-iso-b:s3:us-isob-east-1:123456789012:accesspoint/abc",
         "arn:aws-iso-b:s3:us-isob-east-1:123456789012:accesspoint/abc", ""},
        {"file:///", "/", ""},
        {"file:///srv/a%20b//", "/srv/a%20b", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int err = parse(f, "maciefs", CASES[i].source, "@", NULL);
        /* The mount point lies in "/" as in any folder. */
        if (strcmp(CASES[i].bucket, "/") == 0) {
            assert_int_equal(err, -EINVAL);
            assert_non_null(strstr(f->fault.text, "must not lie in"));
            continue;
        }
        if (err)
            fail_msg("%s: %s", CASES[i].source, f->fault.text);
        assert_string_equal(f->config.bucket, CASES[i].bucket);
        assert_string_equal(f->config.prefix, CASES[i].prefix);
    }
    assert_int_equal(f->config.scheme, CONFIG_FILE);
}

static void test_sources_refused(void **state) {
    struct fixture *f = *state;
    static const char *const SOURCES[] = {
        "",
        "bucket",
        "s3:/bucket",
        "S3://bucket",
        "s3://",
        "s3:///x",
        "s3://ab",
        "s3://Abc",
        "s3://a_b",
        "s3://-ab",
        "s3://ab-",
        "s3://a..b",
        "s3://.abc",
        "s3://10.0.0.1",
        "s3://k:s@abc",
        "s3://abc:80",
        "s3://a b",
        "s3://abc?x",
        "file://srv",
        "file:/srv",
        "file://",
        "http://x",
        "s3://abc/a\nb",
        "/srv/macie",
        "s3://a123456789b123456789c123456789d123456789e123456789f123456789g123",
        "file:///a\tb",
        "s3://arn:aws",
        "s3://arn:aws:s3:eu-west-1:123456789012",
        "s3://arn:aws:s3:eu-west-1:123456789012:",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoints/abc",
        "s3://arn:aws:s3:eu-west-1:123456789012:bucket/abc",
        "s3://arn:aws:s3:eu-west-1:12345678901:accesspoint/abc",
        "s3://arn:aws:s3:eu-west-1:1234567890123:accesspoint/abc",
        "s3://arn:aws:s3:eu-west-1:12345678901x:accesspoint/abc",
        "s3://arn:aws:s3:eu.west:123456789012:accesspoint/abc",
        "s3://arn:aws:s3:eu-west-1/x:123456789012:accesspoint/abc",
        "s3://arn:aws/:s3:eu-west-1:123456789012:accesspoint/abc",
        "s3://arn::s3:eu-west-1:123456789012:accesspoint/abc",
        "s3://arn:aws:sns:eu-west-1:123456789012:accesspoint/abc",
        "s3://" POINT "ab",
        "s3://" POINT "My-ap",
        "s3://" POINT "my.ap",
        "s3://" POINT "-ap",
        "s3://" POINT "my-ap-",
        "s3://" POINT "my-ap:x",
        "s3://" POINT "a123456789b123456789c123456789d123456789e123456789f123456789g123",
        "s3://" POINT "my-ap/a\nb",
    };
    for (size_t i = 0; i < sizeof SOURCES / sizeof *SOURCES; i++) {
        if (parse(f, "maciefs", SOURCES[i], "@", NULL) != -EINVAL)
            fail_msg("\"%s\" was taken", SOURCES[i]);
        assert_non_null(strstr(f->fault.text, "SOURCE"));
    }
    char source[1200];
    int start = snprintf(source, sizeof source, "s3://abc/");
    memset(source + start, 'p', sizeof source - (size_t)start);
    source[start + 1024] = '\0';
    assert_int_equal(parse(f, "maciefs", source, "@", NULL), -EINVAL);
    source[start + 900] = '\0';
    assert_int_equal(parse(f, "maciefs", source, "@", NULL), 0);
}

/* What is near an access point is refused by what it is. */
static void test_foreign_arns(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *source, *says;
    } CASES[] = {
        {"s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "multi-region"},
        {"s3://arn:aws:s3:::my-logs/macie", "name the bucket alone"},
        {"s3://arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/abc", "Object Lambda"},
        {"s3://arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-1/accesspoint/abc",
         "Outposts"},
        {"s3://" POINT "My-ap", "it is written as arn:aws:s3:eu-west-1:"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(parse(f, "maciefs", CASES[i].source, "@", NULL), -EINVAL);
        if (!strstr(f->fault.text, CASES[i].says))
            fail_msg("'%s' is not in '%s'", CASES[i].says, f->fault.text);
    }
}

static void test_mountpoints(void **state) {
    struct fixture *f = *state;
    char path[128];
    assert_int_equal(parse(f, "maciefs", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "SOURCE and MOUNTPOINT"));
    assert_int_equal(parse(f, "maciefs", SOURCE, NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "MOUNTPOINT"));
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "more", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "\"more\""));
    assert_int_equal(parse(f, "maciefs", SOURCE, "/dev/null", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "/dev/null"));
    snprintf(path, sizeof path, "%s/none", f->folder);
    assert_int_equal(parse(f, "maciefs", SOURCE, path, NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "does not exist"));
    snprintf(path, sizeof path, "%s/../%s/.", f->folder, strrchr(f->folder, '/') + 1);
    assert_int_equal(parse(f, "maciefs", SOURCE, path, NULL), 0);
    assert_string_equal(f->config.mountpoint, f->folder);
}

static void test_mountpoint_in_its_source(void **state) {
    struct fixture *f = *state;
    char source[128];
    snprintf(source, sizeof source, "file://%s", f->folder);
    assert_int_equal(parse(f, "maciefs", source, "@", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "must not lie in"));
    assert_int_equal(parse(f, "maciefs", "file:///tmp", "@", NULL), -EINVAL);
    source[strlen(source) - 1] = '\0';
    assert_int_equal(parse(f, "maciefs", source, "@", NULL), 0);
}

static void test_check(void **state) {
    struct fixture *f = *state;
    assert_int_equal(parse(f, "maciefs", "check", SOURCE, NULL), 0);
    assert_int_equal(f->config.action, CONFIG_CHECK);
    assert_string_equal(f->config.source, SOURCE);
    assert_null(f->config.mountpoint);
    assert_false(f->config.json);
    assert_non_null(f->config.cache);
    /* What is wrong with the mount point is for the doctor to find. */
    assert_int_equal(parse(f, "maciefs", "check", SOURCE, "/nonexistent/x", "--json", NULL), 0);
    assert_string_equal(f->config.mountpoint, "/nonexistent/x");
    assert_true(f->config.json);
    /* A command line that mounts becomes one that checks by the one word. */
    assert_int_equal(
        parse(f, "maciefs", "check", "-o", "poll=1", SOURCE, "-f", "@", "-o", "region=x", NULL), 0);
    assert_int_equal(f->config.poll_ms, 1000);
    assert_string_equal(f->config.mountpoint, f->folder);
    assert_int_equal(parse(f, "maciefs", "check", "--help", NULL), 0);
    assert_int_equal(f->config.action, CONFIG_HELP);
}

static void test_check_refused(void **state) {
    struct fixture *f = *state;
    assert_int_equal(parse(f, "maciefs", "check", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", "check", "@", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", "check", SOURCE, "@", "@", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", "check", SOURCE, "-o", "poll=0", NULL), -EINVAL);
    assert_non_null(strstr(f->fault.text, "poll="));
    /* Only the first word is a command, and only it has --json. */
    assert_int_equal(parse(f, "maciefs", SOURCE, "check", NULL), -EINVAL);
    assert_int_equal(parse(f, "maciefs", SOURCE, "@", "--json", NULL), -EINVAL);
    assert_int_equal(parse(f, "mount.fuse.maciefs", "check", SOURCE, NULL), -EINVAL);
}

static void test_find_mountpoint(void **state) {
    struct fixture *f = *state;
    char source[128], *found;
    snprintf(source, sizeof source, "file://%s", f->folder);
    assert_int_equal(parse(f, "maciefs", "check", source, NULL), 0);
    assert_int_equal(config_find_mountpoint(&f->config, f->folder, &found, &f->fault), -EINVAL);
    assert_non_null(strstr(f->fault.text, "must not lie in"));
    assert_int_equal(config_find_mountpoint(&f->config, "/etc/passwd", &found, &f->fault), -EINVAL);
    assert_int_equal(config_find_mountpoint(&f->config, "/usr/../tmp/.", &found, &f->fault), 0);
    assert_string_equal(found, "/tmp");
    free(found);
}

static void cache_of(struct fixture *f, const char *source, const char *options, char ret[512]) {
    assert_int_equal(parse(f, "maciefs", source, "@", "-o", options, NULL), 0);
    assert_int_equal(f->config.cache[0], '/');
    assert_false(f->config.cache_given);
    snprintf(ret, 512, "%s", f->config.cache);
}

static void test_cache_folders(void **state) {
    struct fixture *f = *state;
    char a[512], b[512];
    cache_of(f, "s3://abc/macie/x y", "ro", a);
    assert_non_null(strstr(a, "/maciefs/abc-macie-x_y-"));
    assert_int_equal(strlen(strrchr(a, '-')), 9);
    cache_of(f, "s3://abc/macie/x y/", "poll=9", b);
    assert_string_equal(a, b);
    cache_of(f, "s3://abc/macie/x_y", "ro", b);
    assert_string_not_equal(a, b);
    cache_of(f, "s3://abc/macie/x y", "endpoint=http://h", b);
    assert_string_not_equal(a, b);
    cache_of(f, "s3://" POINT "my-ap/m", "ro", a);
    assert_non_null(strstr(a, "/maciefs/arn_aws_s3_eu-west-1_123456789012_accesspoint-my-ap-m-"));
    cache_of(f, "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:my-ap/m/", "ro", b);
    assert_string_equal(a, b);
    cache_of(f, "s3://arn:aws:s3:eu-west-2:123456789012:accesspoint/my-ap/m", "ro", b);
    assert_string_not_equal(a, b);
    cache_of(f, "file:///srv/../etc", "ro", a);
    assert_non_null(strstr(a, "/maciefs/srv-..-etc-"));
    char source[900];
    memset(source, 'p', sizeof source);
    memcpy(source, "s3://abc/../", 12);
    source[sizeof source - 1] = '\0';
    cache_of(f, source, "ro", a);
    assert_true(strlen(strrchr(a, '/')) < 128);
}

static void test_cache_folder_of_the_user(void **state) {
    struct fixture *f = *state;
    char path[512];
    if (geteuid() == 0) {
        cache_of(f, SOURCE, "ro", path);
        assert_memory_equal(path, "/var/cache/maciefs/my-logs-macie-", 33);
        assert_int_equal(seteuid(65534), 0);
    }
    cache_of(f, SOURCE, "ro", path);
    assert_memory_equal(path, "/home/someone/.cache/maciefs/my-logs-macie-", 43);
    assert_false(f->config.allow_other);
    setenv("XDG_CACHE_HOME", "/x", 1);
    cache_of(f, SOURCE, "ro", path);
    assert_memory_equal(path, "/x/maciefs/my-logs-macie-", 25);
    setenv("XDG_CACHE_HOME", "relative", 1);
    cache_of(f, SOURCE, "ro", path);
    assert_memory_equal(path, "/home/someone/.cache/", 21);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void test_cache_relative_to_here(void **state) {
    struct fixture *f = *state;
    char here[256], wanted[300];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(wanted, sizeof wanted, "%s/c", here);
    accept(f, "cache=c/");
    assert_string_equal(f->config.cache, wanted);
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int err;
        uint64_t size;
    } CASES[] = {
        {"0", 0, 0},
        {"17", 0, 17},
        {"1K", 0, 1024},
        {"2k", 0, 2048},
        {"3MiB", 0, 3 << 20},
        {"3Mib", 0, 3 << 20},
        {"4GB", 0, 4ull << 30},
        {"5tb", 0, 5ull << 40},
        {"16777215T", 0, 16777215ull << 40},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"16777216T", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 K", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"1KK", -EINVAL, 0},
        {"1Ki", -EINVAL, 0},
        {"1iB", -EINVAL, 0},
        {"1P", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1\x8b", -EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint64_t size = 99;
        int err = config_size(CASES[i].text, &size);
        if (err != CASES[i].err || size != (err ? 99 : CASES[i].size))
            fail_msg("\"%s\": %d, %llu", CASES[i].text, err, (unsigned long long)size);
    }
}

static void test_seconds(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int err;
        unsigned ms;
    } CASES[] = {
        {"0", 0, 0},
        {"5", 0, 5000},
        {"0.1", 0, 100},
        {"0.05", 0, 50},
        {"1.234", 0, 1234},
        {"4294967.295", 0, UINT_MAX},
        {"4294967.296", -ERANGE, 0},
        {"99999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {".", -EINVAL, 0},
        {".5", -EINVAL, 0},
        {"5.", -EINVAL, 0},
        {"1.2345", -EINVAL, 0},
        {"1,5", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1.-1", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"5s", -EINVAL, 0},
        {"nan", -EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        unsigned ms = 99;
        int err = config_seconds(CASES[i].text, &ms);
        if (err != CASES[i].err || ms != (err ? 99 : CASES[i].ms))
            fail_msg("\"%s\": %d, %u", CASES[i].text, err, ms);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_option),
        TEST(test_values_out_of_range),
        TEST(test_unknown_options),
        TEST(test_credentials_are_no_options),
        TEST(test_options_of_mount),
        TEST(test_read_only),
        TEST(test_later_counts),
        TEST(test_files),
        TEST(test_escaped_commas),
        TEST(test_letters),
        TEST(test_called_by_mount),
        TEST(test_help_and_version),
        TEST(test_sources),
        TEST(test_sources_refused),
        TEST(test_foreign_arns),
        TEST(test_mountpoints),
        TEST(test_mountpoint_in_its_source),
        TEST(test_check),
        TEST(test_check_refused),
        TEST(test_find_mountpoint),
        TEST(test_cache_folders),
        TEST(test_cache_folder_of_the_user),
        TEST(test_cache_relative_to_here),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
