#include "options.h"

#include <maciefs/access_point.h>
#include <maciefs/source.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <openssl/sha.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELPER_NAME "mount.fuse.maciefs"
#define CHECK_NAME "check"
#define BUCKET_MIN 3
#define BUCKET_MAX 63
#define CACHE_NAME_MAX 80 /* bytes of the readable part */

static int no_memory(struct fault *fault) {
    return fault_set(fault, -ENOMEM, "no memory");
}

/* ---- The words of the command line ---- */

struct command_line {
    int argc;
    char *const *argv;
    int next;     /* the next word */
    bool helper;  /* called by mount(8) */
    bool literal; /* behind "--": no more options */
    const char *source, *mountpoint;
};

static bool called_by_mount(const char *program) {
    const char *slash = program ? strrchr(program, '/') : NULL;
    const char *name = slash ? slash + 1 : program;
    return name && strcmp(name, HELPER_NAME) == 0;
}

static int take_place(struct command_line *line, const char *word, struct fault *fault) {
    if (!line->source)
        line->source = word;
    else if (!line->mountpoint)
        line->mountpoint = word;
    else
        return fault_set(fault, -EINVAL,
                         "\"%s\" is one argument too many: there are SOURCE, MOUNTPOINT and -o "
                         "OPTIONS",
                         word);
    return 0;
}

/* What belongs to an option letter: the rest of its word, else the next word; NULL for none. */
static const char *letter_value(struct command_line *line, const char *rest) {
    if (*rest)
        return rest;
    return line->next < line->argc ? line->argv[line->next++] : NULL;
}

/* A letter that stands alone. mount(8) has a meaning of its own for -f: go through the motions. */
static int take_letter(struct config *config, const struct command_line *line, char letter,
                       struct fault *fault) {
    switch (letter) {
    case 'f':
        if (line->helper)
            config->action = CONFIG_NOTHING;
        config->foreground = true;
        return 0;
    case 'd':
        config->foreground = config->debug = true;
        return 0;
    case 'h':
        config->action = CONFIG_HELP;
        return 0;
    case 'V':
        config->action = CONFIG_VERSION;
        return 0;
    default:
        if (line->helper && strchr("snv", letter))
            return 0;
        return fault_set(fault, -EINVAL, "unknown option \"-%c\": see maciefs --help", letter);
    }
}

static int take_letters(struct config *config, struct command_line *line, const char *letters,
                        struct fault *fault) {
    for (; *letters; letters++) {
        if (*letters != 'o' && !(line->helper && strchr("tN", *letters))) {
            int err = take_letter(config, line, *letters, fault);
            if (err)
                return err;
            continue;
        }
        const char *value = letter_value(line, letters + 1);
        if (!value)
            return fault_set(fault, -EINVAL, "-%c takes %s behind it", *letters,
                             *letters == 'o' ? "options, such as -o poll=5" : "a word");
        return *letters == 'o' ? options_take(config, value, line->helper, fault) : 0;
    }
    return 0;
}

static int take_word(struct config *config, struct command_line *line, const char *word,
                     struct fault *fault) {
    if (line->literal || word[0] != '-' || !word[1])
        return take_place(line, word, fault);
    if (word[1] != '-')
        return take_letters(config, line, word + 1, fault);
    if (!word[2])
        line->literal = true;
    else if (strcmp(word, "--help") == 0)
        config->action = CONFIG_HELP;
    else if (strcmp(word, "--version") == 0)
        config->action = CONFIG_VERSION;
    else if (config->action == CONFIG_CHECK && strcmp(word, "--json") == 0)
        config->json = true;
    else
        return fault_set(fault, -EINVAL, "unknown option \"%s\": see maciefs --help", word);
    return 0;
}

static bool only_tells(const struct config *config) {
    return config->action == CONFIG_HELP || config->action == CONFIG_VERSION;
}

/* ---- SOURCE ---- */

static bool label_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* S3 User Guide, "Bucket naming rules": what can be checked by looking at the name. */
static bool bucket_is_valid(const char *name, size_t len) {
    if (len < BUCKET_MIN || len > BUCKET_MAX || !label_char(name[0]) || !label_char(name[len - 1]))
        return false;
    size_t dots = 0, digits = 0;
    for (size_t i = 0; i < len; i++) {
        if (!label_char(name[i]) && name[i] != '-' && name[i] != '.')
            return false;
        if (name[i] == '.' && name[i + 1] == '.')
            return false;
        dots += name[i] == '.';
        digits += isdigit((unsigned char)name[i]) != 0;
    }
    bool looks_like_ip = dots == 3 && digits + dots == len;
    return !looks_like_ip;
}

static bool has_control(const char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return true;
    return false;
}

static int refuse_bucket(const char *name, size_t len, struct fault *fault) {
    return fault_set(fault, -EINVAL,
                     "SOURCE: a bucket's name has 3 to 63 lower-case letters, digits, '-' and '.', "
                     "as in s3://my-logs/macie: \"%.*s\" is none",
                     (int)(len > 80 ? 80 : len), name);
}

/* Takes the bucket's name, in its one form. Returns how long it is as it was written. */
static int take_name(struct config *config, const char *bucket, struct fault *fault) {
    struct access_point point;
    struct fault why;
    int len = (int)strcspn(bucket, "/");
    if (!access_point_is(bucket)) {
        if (!bucket_is_valid(bucket, (size_t)len))
            return refuse_bucket(bucket, (size_t)len, fault);
        config->bucket = strndup(bucket, (size_t)len);
    } else {
        len = access_point_parse(bucket, &point, &why);
        if (len < 0)
            return fault_set(fault, len, "SOURCE: %s", why.text);
        if (asprintf(&config->bucket, "arn:%s:s3:%s:%s:accesspoint/%s", point.partition,
                     point.region, point.account, point.name) < 0)
            config->bucket = NULL;
    }
    return config->bucket ? len : no_memory(fault);
}

static int take_bucket(struct config *config, const char *bucket, struct fault *fault) {
    int len = take_name(config, bucket, fault);
    if (len < 0)
        return len;
    const char *prefix = bucket[len] ? bucket + len + 1 : "";
    if (has_control(prefix))
        return fault_set(fault, -EINVAL, "SOURCE: the prefix has control characters");
    if (strlen(prefix) >= OBJECT_KEY_MAX)
        return fault_set(fault, -EINVAL,
                         "SOURCE: the prefix is longer than a key can be (%d bytes)",
                         OBJECT_KEY_MAX);
    config->scheme = CONFIG_S3;
    config->prefix = strdup(prefix);
    return config->prefix ? 0 : no_memory(fault);
}

static int take_folder(struct config *config, const char *folder, struct fault *fault) {
    size_t len = strlen(folder);
    if (folder[0] != '/')
        return fault_set(fault, -EINVAL,
                         "SOURCE: file:// takes the absolute path of a folder, as in "
                         "file:///srv/macie");
    if (has_control(folder) || len >= PATH_MAX)
        return fault_set(fault, -EINVAL, "SOURCE: no folder has such a path");
    while (len > 1 && folder[len - 1] == '/')
        len--;
    config->scheme = CONFIG_FILE;
    config->bucket = strndup(folder, len);
    config->prefix = strdup("");
    return config->bucket && config->prefix ? 0 : no_memory(fault);
}

static int take_source(struct config *config, const char *source, struct fault *fault) {
    if (!source)
        return fault_set(fault, -EINVAL,
                         "SOURCE and MOUNTPOINT are missing, as in maciefs s3://my-logs/macie "
                         "/mnt/macie: see maciefs --help");
    config->source = strdup(source);
    if (!config->source)
        return no_memory(fault);
    if (strncmp(source, "s3://", 5) == 0)
        return take_bucket(config, source + 5, fault);
    if (strncmp(source, "file://", 7) == 0)
        return take_folder(config, source + 7, fault);
    return fault_set(fault, -EINVAL, "SOURCE is s3://BUCKET[/PREFIX] or file:///FOLDER, not \"%s\"",
                     source);
}

/* ---- MOUNTPOINT ---- */

static int folder_refused(const char *path, int err, struct fault *fault) {
    if (err == ENOENT)
        return fault_set(fault, -EINVAL,
                         "the mount point %s does not exist: create the folder first", path);
    if (err == ENOTCONN)
        return fault_set(fault, -EINVAL,
                         "the mount point %s holds a mount that is dead: umount it first", path);
    return fault_set(fault, -EINVAL, "the mount point %s cannot be used: %s", path, strerror(err));
}

static bool lies_within(const char *path, const char *folder) {
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 &&
           (path[len] == '/' || path[len] == '\0' || folder[len - 1] == '/');
}

/* A mount in its own source would list itself. */
static int refuse_within_source(const struct config *config, const char *mountpoint,
                                struct fault *fault) {
    if (config->scheme != CONFIG_FILE)
        return 0;
    char *folder = realpath(config->bucket, NULL);
    bool within = folder && lies_within(mountpoint, folder);
    free(folder);
    return within ? fault_set(fault, -EINVAL, "the mount point %s must not lie in the SOURCE %s",
                              mountpoint, config->bucket)
                  : 0;
}

int config_find_mountpoint(const struct config *config, const char *path, char **ret,
                           struct fault *fault) {
    struct stat st;
    char *found = realpath(path, NULL);
    int err;
    if (!found || stat(found, &st) != 0)
        err = folder_refused(path, errno, fault);
    else if (!S_ISDIR(st.st_mode))
        err = folder_refused(path, ENOTDIR, fault);
    else
        err = refuse_within_source(config, found, fault);
    if (err)
        free(found);
    else
        *ret = found;
    return err;
}

static int take_mountpoint(struct config *config, const char *path, struct fault *fault) {
    if (config->action == CONFIG_CHECK) {
        config->mountpoint = path ? strdup(path) : NULL;
        return path && !config->mountpoint ? no_memory(fault) : 0;
    }
    if (!path)
        return fault_set(fault, -EINVAL,
                         "MOUNTPOINT is missing behind SOURCE: name an existing folder");
    return config_find_mountpoint(config, path, &config->mountpoint, fault);
}

/* ---- The cache folder ---- */

static char *cache_home(void) {
    char *home = NULL;
    const char *xdg = getenv("XDG_CACHE_HOME"), *own = getenv("HOME");
    int len = -1;
    if (geteuid() == 0) {
        len = asprintf(&home, "/var/cache/maciefs");
    } else if (xdg && xdg[0] == '/') {
        len = asprintf(&home, "%s/maciefs", xdg);
    } else {
        const struct passwd *user = own && own[0] == '/' ? NULL : getpwuid(geteuid());
        const char *folder = user ? user->pw_dir : own;
        if (folder && folder[0] == '/')
            len = asprintf(&home, "%s/.cache/maciefs", folder);
    }
    return len < 0 ? NULL : home;
}

/* A name that says what is cached, and tells apart what reads alike. */
static char *cache_name(const struct config *config) {
    char *whole = NULL, *name = NULL;
    size_t prefix_len = strlen(config->prefix);
    prefix_len -= prefix_len && config->prefix[prefix_len - 1] == '/';
    int len = asprintf(&whole, "%s\n%s/%.*s", config->endpoint ? config->endpoint : "",
                       config->bucket, (int)prefix_len, config->prefix);
    if (len < 0)
        return NULL;
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)whole, (size_t)len, hash);
    char *readable = strchr(whole, '\n') + 1;
    readable += strspn(readable, "/");
    size_t readable_len = strnlen(readable, CACHE_NAME_MAX);
    for (size_t i = 0; i < readable_len; i++)
        if (!isalnum((unsigned char)readable[i]) && (i == 0 || !strchr("-._", readable[i])))
            readable[i] = readable[i] == '/' ? '-' : '_';
    readable_len -= readable_len && readable[readable_len - 1] == '-';
    len = asprintf(&name, "%.*s-%02x%02x%02x%02x", (int)readable_len, readable, hash[0], hash[1],
                   hash[2], hash[3]);
    free(whole);
    return len < 0 ? NULL : name;
}

static int choose_cache(struct config *config, struct fault *fault) {
    if (config->cache)
        return 0;
    char *home = cache_home();
    if (!home)
        return fault_set(fault, -EINVAL,
                         "there is no home folder to keep logs in: name a folder with cache=");
    char *name = cache_name(config);
    int len = name ? asprintf(&config->cache, "%s/%s", home, name) : -1;
    if (len < 0)
        config->cache = NULL;
    free(name);
    free(home);
    return len < 0 ? no_memory(fault) : 0;
}

/* ---- The whole ---- */

static int set_defaults(struct config *config, struct fault *fault) {
    *config = (struct config){
        .action = CONFIG_MOUNT,
        .addressing = CONFIG_AUTO,
        .timezone = strdup("UTC"),
        .mount_options = strdup("ro,nosuid,nodev"),
        .poll_ms = 5000,
        .dir_ttl_ms = 60000,
        .cache_size = (uint64_t)10 << 30,
        .connections = 8,
        .max_object = (uint64_t)4 << 30,
        .window_s = 24 * 3600,
        .pace = 400,
        .account_alias = strdup(""),
        .uid = getuid(),
        .gid = getgid(),
        .allow_other = geteuid() == 0,
    };
    bool all = config->timezone && config->mount_options && config->account_alias;
    return all ? 0 : no_memory(fault);
}

static bool names_check(const struct command_line *line) {
    return !line->helper && line->argc > 1 && strcmp(line->argv[1], CHECK_NAME) == 0;
}

static int parse(struct config *config, struct command_line *line, struct fault *fault) {
    int err = set_defaults(config, fault);
    if (!err && names_check(line)) {
        config->action = CONFIG_CHECK;
        line->next++;
    }
    while (!err && line->next < line->argc && !only_tells(config))
        err = take_word(config, line, line->argv[line->next++], fault);
    if (err || only_tells(config))
        return err;
    err = take_source(config, line->source, fault);
    if (!err)
        err = take_mountpoint(config, line->mountpoint, fault);
    return err ? err : choose_cache(config, fault);
}

int config_parse(int argc, char *const argv[], struct config *ret, struct fault *fault) {
    struct command_line line = {.argc = argc, .argv = argv, .next = 1};
    line.helper = called_by_mount(argc > 0 ? argv[0] : NULL);
    struct config config;
    int err = parse(&config, &line, fault);
    if (err) {
        config_free(&config);
        return err;
    }
    *ret = config;
    return 0;
}

void config_free(struct config *config) {
    if (!config)
        return;
    char *texts[] = {config->source,        config->mountpoint,      config->bucket,
                     config->prefix,        config->endpoint,        config->region,
                     config->profile,       config->timezone,        config->cache,
                     config->mount_options, config->account_alias,   config->expected_bucket_owner,
                     config->ca_bundle,     config->role_arn,        config->external_id,
                     config->sts_endpoint,  config->sse_customer_key};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *config = (struct config){0};
}

mode_t config_file_mode(const struct config *config) {
    return config->umask_given ? 0444 & ~config->umask : 0440;
}

mode_t config_folder_mode(const struct config *config) {
    return config->umask_given ? 0555 & ~config->umask : 0550;
}
