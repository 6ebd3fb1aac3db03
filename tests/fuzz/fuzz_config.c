/* Options as they stand behind -o, from a person or from mount(8) as the first byte says. */
#include <maciefs/access_point.h>
#include <maciefs/config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* An access point is kept in its one form, which is read as it was meant. */
static void check_bucket(const char *bucket) {
    struct access_point point;
    struct fault fault = {0};
    if (access_point_is(bucket))
        require(access_point_parse(bucket, &point, &fault) == (int)strlen(bucket));
    else
        require(!strpbrk(bucket, "/:@"));
}

static void check(const struct config *config) {
    if (config->scheme == CONFIG_S3)
        check_bucket(config->bucket);
    require(config->poll_ms >= 100 && config->poll_ms <= 3600000);
    require(config->dir_ttl_ms <= 86400000);
    require(config->cache_size >= 16 << 20);
    require(config->connections >= 1 && config->connections <= 64);
    require(config->max_object >= 1 << 20 && config->max_object <= (uint64_t)1 << 40);
    require((config->umask & ~(mode_t)0777) == 0);
    require((config_file_mode(config) & ~(mode_t)0444) == 0);
    require((config_folder_mode(config) & ~(mode_t)0555) == 0);
    require(config->cache[0] == '/');
    require(strncmp(config->mount_options, "ro,nosuid,nodev", 15) == 0);
    require(!config->endpoint || config->endpoint[strlen(config->endpoint) - 1] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char person[] = "maciefs", mount[] = "mount.fuse.maciefs", o[] = "-o", end[] = "--",
                source[] = "s3://bucket/macie", root[] = "/";
    if (size == 0)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';

    /* As a list of options, and as a word anywhere. */
    char *const as_list[] = {data[0] & 1 ? mount : person, o, text, source, root, NULL};
    char *const as_word[] = {data[0] & 1 ? mount : person, text, end, root, NULL};
    struct config config;
    struct fault fault = {0};
    int err = data[0] & 2 ? config_parse(4, as_word, &config, &fault)
                          : config_parse(5, as_list, &config, &fault);
    if (err) {
        require(fault.text[0] != '\0');
    } else {
        if (config.action == CONFIG_MOUNT)
            check(&config);
        config_free(&config);
    }
    free(text);
    return 0;
}
