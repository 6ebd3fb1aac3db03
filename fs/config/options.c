#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)
#define NAME_LEN_MAX 64 /* of an option; none is as long */
#define ALIAS_LEN_MAX 255
#define ACCOUNT_LEN 12 /* digits of an AWS account */
#define SLIPS_MAX 2    /* letters that may be wrong in a name that is still recognized */
#define HELP_TEXT_MAX 8192
#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* ---- What each option takes ---- */

static int replace(char **at, const char *text) {
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

static bool has_control(const char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return true;
    return false;
}

/* Nothing before the host, where a name and password would stand, and no query. */
static int read_url(const char *value, char **ret) {
    size_t scheme = strncmp(value, "http://", 7) == 0    ? 7
                    : strncmp(value, "https://", 8) == 0 ? 8
                                                         : 0;
    const char *host = value + scheme;
    size_t host_len = strspn(host, LETTERS_DIGITS "-._:[]");
    size_t path_len = strspn(host + host_len, LETTERS_DIGITS "-._~%+:/");
    size_t len = scheme + host_len + path_len;
    if (!scheme || !host_len || host[0] == ':' || value[len] || (path_len && host[host_len] != '/'))
        return -EINVAL;
    while (value[len - 1] == '/')
        len--;
    char *copy = strndup(value, len);
    if (!copy)
        return -ENOMEM;
    free(*ret);
    *ret = copy;
    return 0;
}

static int set_endpoint(struct config *config, const char *value) {
    return read_url(value, &config->endpoint);
}

static int set_addressing(struct config *config, const char *value) {
    if (strcmp(value, "path") == 0)
        config->addressing = CONFIG_PATH;
    else if (strcmp(value, "virtual") == 0)
        config->addressing = CONFIG_VIRTUAL;
    else
        return -EINVAL;
    return 0;
}

static int set_region(struct config *config, const char *value) {
    size_t len = strspn(value, LETTERS_DIGITS "-_");
    if (len == 0 || len > NAME_LEN_MAX || value[len])
        return -EINVAL;
    return replace(&config->region, value);
}

static int set_profile(struct config *config, const char *value) {
    if (!*value || has_control(value) || strchr(value, ']'))
        return -EINVAL;
    return replace(&config->profile, value);
}

/* IAM, "Identifiers": arn:PARTITION:iam::ACCOUNT:role/PATH. */
static int set_role_arn(struct config *config, const char *value) {
    size_t len = strspn(value, LETTERS_DIGITS ":/_+=,.@-");
    if (strncmp(value, "arn:", 4) != 0 || !strstr(value, ":role/") || value[len] || len > 2048)
        return -EINVAL;
    return replace(&config->role_arn, value);
}

static int set_external_id(struct config *config, const char *value) {
    size_t len = strspn(value, LETTERS_DIGITS "_+=,.@:/-");
    if (len < 2 || len > 1224 || value[len])
        return -EINVAL;
    return replace(&config->external_id, value);
}

static int set_sts_endpoint(struct config *config, const char *value) {
    return read_url(value, &config->sts_endpoint);
}

static int set_no_sign(struct config *config, const char *value) {
    (void)value;
    config->no_sign = true;
    return 0;
}

static int set_requester_pays(struct config *config, const char *value) {
    (void)value;
    config->requester_pays = true;
    return 0;
}

static int set_expected_bucket_owner(struct config *config, const char *value) {
    if (strspn(value, "0123456789") != ACCOUNT_LEN || value[ACCOUNT_LEN])
        return -EINVAL;
    return replace(&config->expected_bucket_owner, value);
}

/* Absolute, since the daemon leaves the folder that it was started in. */
static int read_path(const char *value, char **ret) {
    char *path = *value ? realpath(value, NULL) : NULL;
    if (!path)
        return -EINVAL;
    free(*ret);
    *ret = path;
    return 0;
}

static int set_ca_bundle(struct config *config, const char *value) {
    return read_path(value, &config->ca_bundle);
}

static int set_sse_customer_key(struct config *config, const char *value) {
    return read_path(value, &config->sse_customer_key);
}

static int set_timezone(struct config *config, const char *value) {
    if (!*value || strlen(value) > NAME_LEN_MAX || has_control(value))
        return -EINVAL;
    return replace(&config->timezone, value);
}

static int set_cache(struct config *config, const char *value) {
    char folder[PATH_MAX], *path = NULL;
    if (!*value || has_control(value))
        return -EINVAL;
    if (*value != '/' && !getcwd(folder, sizeof folder))
        return -EINVAL;
    int len =
        *value == '/' ? asprintf(&path, "%s", value) : asprintf(&path, "%s/%s", folder, value);
    if (len < 0)
        return -ENOMEM;
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    free(config->cache);
    config->cache = path;
    config->cache_given = true;
    return 0;
}

static int read_seconds(const char *value, unsigned from_ms, unsigned to_ms, unsigned *ret) {
    unsigned ms;
    if (config_seconds(value, &ms) != 0 || ms < from_ms || ms > to_ms)
        return -EINVAL;
    *ret = ms;
    return 0;
}

static int set_poll(struct config *config, const char *value) {
    return read_seconds(value, 100, 3600 * 1000, &config->poll_ms);
}

static int set_dir_ttl(struct config *config, const char *value) {
    return read_seconds(value, 0, 86400 * 1000, &config->dir_ttl_ms);
}

static int read_size(const char *value, uint64_t from, uint64_t to, uint64_t *ret) {
    uint64_t size;
    if (config_size(value, &size) != 0 || size < from || size > to)
        return -EINVAL;
    *ret = size;
    return 0;
}

static int set_cache_size(struct config *config, const char *value) {
    return read_size(value, 16 * MIB, INT64_MAX, &config->cache_size);
}

static int set_max_object(struct config *config, const char *value) {
    return read_size(value, MIB, TIB, &config->max_object);
}

static int read_count(const char *value, unsigned base, uint64_t from, uint64_t to, unsigned *ret) {
    uint64_t count;
    if (units_number(value, base, &count) != 0 || count < from || count > to)
        return -EINVAL;
    *ret = (unsigned)count;
    return 0;
}

static int set_connections(struct config *config, const char *value) {
    return read_count(value, 10, 1, 64, &config->connections);
}

static int set_window(struct config *config, const char *value) {
    unsigned seconds;
    if (config_duration(value, &seconds) != 0 || seconds < 600 || seconds > 31 * 86400)
        return -EINVAL;
    config->window_s = seconds;
    return 0;
}

static int set_pace(struct config *config, const char *value) {
    return read_count(value, 10, 0, 1000000, &config->pace);
}

static int set_shape(struct config *config, const char *value) {
    if (strcmp(value, "wazuh") == 0)
        config->shape = CONFIG_SHAPE_WAZUH;
    else if (strcmp(value, "event") == 0)
        config->shape = CONFIG_SHAPE_EVENT;
    else
        return -EINVAL;
    return 0;
}

static int set_account_alias(struct config *config, const char *value) {
    if (!*value || strlen(value) > ALIAS_LEN_MAX || has_control(value))
        return -EINVAL;
    return replace(&config->account_alias, value);
}

/* The greatest number is the kernel's "no one". */
static int set_uid(struct config *config, const char *value) {
    if (read_count(value, 10, 0, UINT32_MAX - 1, &config->uid) == 0)
        return 0;
    const struct passwd *user = getpwnam(value);
    if (!user)
        return -EINVAL;
    config->uid = user->pw_uid;
    return 0;
}

static int set_gid(struct config *config, const char *value) {
    if (read_count(value, 10, 0, UINT32_MAX - 1, &config->gid) == 0)
        return 0;
    const struct group *group = getgrnam(value);
    if (!group)
        return -EINVAL;
    config->gid = group->gr_gid;
    return 0;
}

static int set_umask(struct config *config, const char *value) {
    int err = read_count(value, 8, 0, 0777, &config->umask);
    if (!err)
        config->umask_given = true;
    return err;
}

static int set_allow_other(struct config *config, const char *value) {
    (void)value;
    config->allow_other = true;
    return 0;
}

static int set_noallow_other(struct config *config, const char *value) {
    (void)value;
    config->allow_other = false;
    return 0;
}

const struct option OPTIONS[] = {
    {"endpoint", "http://HOST[:PORT] or https://HOST[:PORT]", "https://s3.example.net",
     "AWS, by region", "S3 server to ask", set_endpoint},
    {"addressing", "path or virtual", "path", "path with an endpoint, else virtual",
     "where the bucket's name goes: into the path, or before the host", set_addressing},
    {"region", "the name of a region", "eu-central-1", "as AWS tools find it",
     "region of the bucket", set_region},
    {"profile", "the name of a profile in ~/.aws", "audit", "as AWS tools find it",
     "whose credentials to use", set_profile},
    {"role_arn", "the ARN of a role", "arn:aws:iam::111122223333:role/audit", "none",
     "role to assume with the credentials", set_role_arn},
    {"external_id", "what the role's trust asks for", "audit-1", "none",
     "external id to show for that", set_external_id},
    {"sts_endpoint", "http://HOST[:PORT] or https://HOST[:PORT]", "https://sts.example.net",
     "AWS, by region", "STS server to ask for that", set_sts_endpoint},
    {"no_sign", NULL, NULL, "off", "ask without credentials, as public buckets allow", set_no_sign},
    {"requester_pays", NULL, NULL, "off", "pay for the requests, where the bucket's owner does not",
     set_requester_pays},
    {"expected_bucket_owner", "an account of 12 digits", "111122223333", "any",
     "account that the bucket must belong to", set_expected_bucket_owner},
    {"ca_bundle", "a file of certificates", "/etc/ssl/proxy.pem", "as AWS tools find it",
     "authorities to trust instead of this machine's", set_ca_bundle},
    {"sse_customer_key", "a file with the key", "/etc/maciefs/sse-c.key", "none",
     "key that the objects are encrypted with (SSE-C)", set_sse_customer_key},
    {"poll", "seconds from 0.1 to 3600", "5", "5", "pause between looks for new objects", set_poll},
    {"timezone", "UTC, a name such as Europe/Berlin, or an offset such as +02:00", "UTC", "UTC",
     "time zone that the stream names its hours in", set_timezone},
    {"dir_ttl", "seconds from 0 to 86400", "60", "60", "how long the listing of an old hour holds",
     set_dir_ttl},
    {"cache", "a folder", "/var/cache/maciefs/audit",
     "a folder of its own in /var/cache/maciefs or ~/.cache/maciefs", "where logs are kept",
     set_cache},
    {"cache_size", "a size from 16M", "10G", "10G", "room for logs on disk", set_cache_size},
    {"connections", "a number from 1 to 64", "8", "8", "requests at once", set_connections},
    {"max_object", "a size from 1M to 1T", "4G", "4G",
     "decompressed size past which an object counts as damaged", set_max_object},
    {"window", "a duration from 10m to 31d", "7d", "24h", "how far back wazuh/ reaches",
     set_window},
    {"pace", "events a second from 0 (no limit) to 1000000", "400", "400",
     "what Wazuh's log collector is given at most", set_pace},
    {"shape", "wazuh or event", "event", "wazuh",
     "lines of wazuh/: messages for its rules, or events as they are", set_shape},
    {"account_alias", "a name", "audit", "none", "aws_account_alias in the lines of wazuh/",
     set_account_alias},
    {"uid", "a user's name or number", "wazuh", "who mounts", "owner of the files", set_uid},
    {"gid", "a group's name or number", "wazuh", "who mounts", "group of the files", set_gid},
    {"umask", "an octal number from 0 to 777", "027", "files 0440, folders 0550",
     "permissions to take away from 0444 and 0555", set_umask},
    {"allow_other", NULL, NULL, "on for root", "let other users in, as permissions allow",
     set_allow_other},
    {"noallow_other", NULL, NULL, "on for others", "let only the mounting user in",
     set_noallow_other},
};
const size_t OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS;

/* ---- One option ---- */

static const struct option *find_option(const char *name) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strcmp(OPTIONS[i].name, name) == 0)
            return &OPTIONS[i];
    return NULL;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Three rows of the table of distances between all beginnings are enough to go on. */
unsigned edit_distance(const char *a, const char *b) {
    unsigned rows[3][NAME_LEN_MAX + 1] = {0};
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > NAME_LEN_MAX || b_len > NAME_LEN_MAX)
        return UINT_MAX;
    for (unsigned j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *options_nearest(const char *name) {
    unsigned distance = least(SLIPS_MAX, (unsigned)(strnlen(name, NAME_LEN_MAX) / 3)) + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        unsigned d = edit_distance(OPTIONS[i].name, name);
        if (d >= distance)
            continue;
        distance = d;
        nearest = OPTIONS[i].name;
    }
    const char *foreign = foreign_nearest(name, &distance);
    return foreign ? foreign : nearest;
}

/* Names of other tools' options that hold a secret, whatever stands before and behind. */
static bool names_secret(const char *name) {
    static const char *const PARTS[] = {"access_key", "accesskey",  "secret",    "token",
                                        "passw",      "credential", "access-key"};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        if (strcasestr(name, PARTS[i]))
            return true;
    return false;
}

static int refuse_unknown(const char *name, struct fault *fault) {
    if (names_secret(name))
        return fault_set(fault, -EINVAL,
                         "%s: credentials are never mount options, which every user can read: put "
                         "them into ~/.aws/credentials and name the profile (profile=), or into "
                         "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
                         name);
    const char *near = options_nearest(name);
    if (near)
        return fault_set(fault, -EINVAL, "unknown option \"%s\": did you mean %s?", name, near);
    return fault_set(fault, -EINVAL, "unknown option \"%s\": see maciefs --help", name);
}

/* Who gives the key itself, not its file, shall not find it in a log. */
static int refuse_value(const struct option *option, const char *value, struct fault *fault) {
    bool secret = option->set == set_sse_customer_key;
    const char *quote = secret ? "" : "\"";
    return fault_set(fault, -EINVAL, "%s= takes %s, such as %s=%s (default %s), not %s%s%s",
                     option->name, option->takes, option->name, option->example, option->standard,
                     quote,
                     secret  ? "what was given"
                     : value ? value
                             : "",
                     quote);
}

static int take_own(struct config *config, const struct option *option, const char *value,
                    struct fault *fault) {
    if (!option->takes && value)
        return fault_set(fault, -EINVAL, "%s takes no value", option->name);
    int err = option->takes && !value ? -EINVAL : option->set(config, value);
    if (err == -EINVAL)
        return refuse_value(option, value, fault);
    return err ? fault_set(fault, err, "no memory") : 0;
}

static int take_foreign(struct config *config, const char *name, bool has_value, const char *raw,
                        struct fault *fault) {
    const char *reason = NULL;
    switch (foreign_fate(name, has_value, &reason)) {
    case FOREIGN_KEEP:
        return foreign_keep(config, raw) ? fault_set(fault, -ENOMEM, "no memory") : 0;
    case FOREIGN_DROP:
        return 0;
    case FOREIGN_REFUSE:
        return fault_set(fault, -EINVAL, "%s is no option here: %s", name, reason);
    case FOREIGN_UNKNOWN:
        break;
    }
    return refuse_unknown(name, fault);
}

/* ---- A list of options ---- */

/* The end of the option at the start of `list`: a comma that is neither escaped nor quoted. */
static const char *option_end(const char *list) {
    bool quoted = false;
    for (; *list && (quoted || *list != ','); list++) {
        if (*list == '\\' && list[1])
            list++;
        else if (*list == '"')
            quoted = !quoted;
    }
    return list;
}

/* Takes the backslashes from "\," and "\\", in place; elsewhere they are as they are. */
static void unescape(char *text) {
    char *to = text;
    for (; *text; text++) {
        if (*text == '\\' && (text[1] == ',' || text[1] == '\\'))
            text++;
        *to++ = *text;
    }
    *to = '\0';
}

static int take_one(struct config *config, const char *raw, bool by_mount, struct fault *fault) {
    if (strcmp(raw, "rw") == 0)
        return by_mount
                   ? 0
                   : fault_set(fault, -EINVAL, "rw: maciefs is read-only: leave it out, or say ro");
    char *name = strdup(raw);
    if (!name)
        return fault_set(fault, -ENOMEM, "no memory");
    char *value = strchr(name, '=');
    if (value) {
        *value++ = '\0';
        unescape(value);
    }
    const struct option *option = find_option(name);
    int err = option ? take_own(config, option, value, fault)
                     : take_foreign(config, name, value != NULL, raw, fault);
    free(name);
    return err;
}

/* Whether mount.fuse3 made the list: it begins with rw and says dev and suid one way or other. */
static bool list_is_mounts(const char *list) {
    bool dev = false, suid = false;
    if (strncmp(list, "rw,", 3) != 0)
        return false;
    for (const char *end; *list; list = *end ? end + 1 : end) {
        end = option_end(list);
        size_t no = strncmp(list, "no", 2) == 0 ? 2 : 0;
        size_t len = (size_t)(end - list) - no;
        dev |= len == 3 && strncmp(list + no, "dev", 3) == 0;
        suid |= len == 4 && strncmp(list + no, "suid", 4) == 0;
    }
    return dev && suid;
}

int options_take(struct config *config, const char *list, bool by_mount, struct fault *fault) {
    by_mount = by_mount || list_is_mounts(list);
    for (const char *end; *list; list = *end ? end + 1 : end) {
        end = option_end(list);
        if (end == list)
            continue;
        char *raw = strndup(list, (size_t)(end - list));
        int err =
            raw ? take_one(config, raw, by_mount, fault) : fault_set(fault, -ENOMEM, "no memory");
        free(raw);
        if (err)
            return err;
    }
    return 0;
}

/* ---- Help ---- */

static const char USAGE[] =
    "Usage: maciefs SOURCE MOUNTPOINT [-f] [-d] [-o OPTION[,OPTION...]]\n"
    "       maciefs check SOURCE [MOUNTPOINT] [--json] [-o OPTION[,OPTION...]]\n"
    "       maciefs --help | --version\n"
    "\n"
    "Shows the Macie events that Firehose delivers to a bucket as growing logs, read-only.\n"
    "\n"
    "SOURCE is s3://BUCKET[/PREFIX], or file:///FOLDER for a local copy of it.\n"
    "check tells, step by step, whether the mount would work, and what to mend; it mounts "
    "nothing.\n"
    "\n"
    "  -f   stay in the foreground\n"
    "  -d   stay in the foreground and tell what is done\n"
    "  -o   options, besides those of mount(8):\n"
    "\n";

/* Appends to the help, whose room every table of sensible length fits into. */
static size_t help_add(char text[HELP_TEXT_MAX], size_t used, const struct option *option) {
    char name[NAME_LEN_MAX];
    snprintf(name, sizeof name, "%s%s", option->name, option->takes ? "=" : "");
    int len = snprintf(text + used, HELP_TEXT_MAX - used, "       %-14s %s\n       %-14s %s%s%s\n",
                       name, option->help, "", option->takes ? option->takes : "",
                       option->takes ? "; default: " : "", option->standard);
    return len < 0 || (size_t)len >= HELP_TEXT_MAX - used ? used : used + (size_t)len;
}

const char *config_help(void) {
    static char text[HELP_TEXT_MAX];
    memcpy(text, USAGE, sizeof USAGE);
    size_t used = sizeof USAGE - 1;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        used = help_add(text, used, &OPTIONS[i]);
    return text;
}
