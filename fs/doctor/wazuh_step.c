/*
 * What Wazuh needs on this machine, to read what is mounted: to be there, to be let in, and one
 * <localfile>. A machine without it is as well: people may read the logs.
 */
#include "examination.h"

#include <errno.h>
#include <fcntl.h>
#include <maciefs/bytes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAZUH "/var/ossec"
#define COLLECTOR WAZUH "/bin/wazuh-logcollector"
#define CONF WAZUH "/etc/ossec.conf"
#define CONF_MAX ((size_t)1 << 20) /* bytes */

/* --- ossec.conf ------------------------------------------------------------------------------- */

/* A piece of the file. */
struct piece {
    const char *at;
    size_t len;
};

static const char *find_in(struct piece piece, const char *text) {
    return memmem(piece.at, piece.len, text, strlen(text));
}

/* Cuts the first piece between two tags off the front of *rest. False where there is none. */
static bool next_between(struct piece *rest, const char *open, const char *close,
                         struct piece *ret) {
    const char *at = find_in(*rest, open);
    if (!at)
        return false;
    const char *end = rest->at + rest->len;
    at += strlen(open);
    struct piece behind = {at, (size_t)(end - at)};
    const char *stop = find_in(behind, close);
    if (!stop)
        return false;
    *ret = (struct piece){at, (size_t)(stop - at)};
    stop += strlen(close);
    *rest = (struct piece){stop, (size_t)(end - stop)};
    return true;
}

static struct piece trim(struct piece piece) {
    static const char blanks[] = " \t\r\n";
    while (piece.len && strchr(blanks, piece.at[0]))
        piece.at++, piece.len--;
    while (piece.len && strchr(blanks, piece.at[piece.len - 1]))
        piece.len--;
    return piece;
}

static bool begins_with(struct piece piece, const char *text) {
    size_t len = strlen(text);
    return piece.len >= len && memcmp(piece.at, text, len) == 0;
}

/* A location in the view: the folder, and names of files behind it. */
static bool is_location(struct piece location, const char *folder) {
    const char *slash = memrchr(location.at, '/', location.len);
    if (!slash)
        return false;
    struct piece parent = {location.at, (size_t)(slash - location.at) + 1};
    if (folder)
        return parent.len == strlen(folder) && begins_with(parent, folder);
    static const char view[] = "/wazuh/";
    size_t view_len = strlen(view);
    return parent.len > view_len && memcmp(parent.at + parent.len - view_len, view, view_len) == 0;
}

static bool block_reads(struct piece block, const char *folder) {
    struct piece location;
    while (next_between(&block, "<location>", "</location>", &location))
        if (is_location(trim(location), folder))
            return true;
    return false;
}

static bool block_keeps(struct piece block) {
    struct piece value;
    return next_between(&block, "<only-future-events>", "</only-future-events>", &value) &&
           trim(value).len == 2 && begins_with(trim(value), "no");
}

/* The text without its comments, on the heap; NULL without memory. */
static char *without_comments(const char *text) {
    char *bare = malloc(strlen(text) + 1), *to = bare;
    while (bare && *text) {
        const char *end = strncmp(text, "<!--", 4) == 0 ? strstr(text + 4, "-->") : NULL;
        if (end)
            text = end + 3;
        else
            *to++ = *text++;
    }
    if (bare)
        *to = '\0';
    return bare;
}

bool wazuh_conf_reads(const char *text, const char *folder, bool *ret_keeps) {
    char *bare = without_comments(text);
    struct piece rest = {bare, bare ? strlen(bare) : 0}, block;
    bool reads = false;
    *ret_keeps = false;
    while (!reads && next_between(&rest, "<localfile>", "</localfile>", &block)) {
        reads = block_reads(block, folder);
        *ret_keeps = reads && block_keeps(block);
    }
    free(bare);
    return reads;
}

/* --- The step --------------------------------------------------------------------------------- */

/* Returns 0 or -errno; -EMSGSIZE for one that is longer than any. */
static int read_conf(struct buf *text) {
    int fd = open(CONF, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int err = fd < 0 ? -errno : 0;
    char chunk[4096];
    for (ssize_t n = 1; !err && n > 0;) {
        n = read(fd, chunk, sizeof chunk);
        err = n < 0 ? -errno : buf_append(text, chunk, (size_t)n);
    }
    if (fd >= 0)
        close(fd);
    return !err && !buf_str(text) ? -ENOMEM : err;
}

static int cannot_read_conf(int err, struct finding *finding) {
    return fault_set(&finding->found, DOCTOR_NOT_ASKED, "%s cannot be read (%s)%s", CONF,
                     strerror(-err), err == -EACCES ? ": ask as root" : "");
}

static int judge_conf(const char *text, const char *folder, struct finding *finding) {
    bool keeps;
    const char *view = folder ? folder : "MOUNTPOINT/wazuh/";
    if (!wazuh_conf_reads(text, folder, &keeps)) {
        fault_set(&finding->found, 0, "Wazuh is installed, and does not read wazuh/");
        return fault_set(&finding->cure, DOCTOR_WARNING,
                         "%s has no <localfile> with the <location> %s*.json: add that of "
                         "scripts/wazuh/localfile.conf (an agent's may come from its group, too)",
                         CONF, view);
    }
    if (keeps)
        return fault_set(&finding->found, DOCTOR_OK, "its log collector reads %s", view);
    fault_set(&finding->found, 0, "its log collector reads %s, from the start each time", view);
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "each start of Wazuh would read the whole window again: add "
                     "<only-future-events>no</only-future-events> to that <localfile>");
}

/* It runs as root in a group of its own, which the kernel takes for somebody else. */
static int kept_out(struct finding *finding) {
    fault_set(&finding->found, 0, "Wazuh is installed, and not let in");
    return fault_set(&finding->cure, DOCTOR_WARNING,
                     "the log collector is another user than the one who mounts: mount as root, "
                     "with allow_other");
}

static char *view_folder(const struct config *config) {
    char *mountpoint = config->mountpoint ? realpath(config->mountpoint, NULL) : NULL, *folder;
    if (!mountpoint || asprintf(&folder, "%s/wazuh/", mountpoint) < 0)
        folder = NULL;
    free(mountpoint);
    return folder;
}

int examine_wazuh(void *patient, struct finding *finding) {
    const struct config *config = ((const struct examination *)patient)->config;
    struct stat st;
    struct buf text;
    if (stat(WAZUH, &st) < 0)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED, "Wazuh is not on this machine (%s)",
                         WAZUH);
    if (stat(COLLECTOR, &st) < 0 && errno == ENOENT)
        return fault_set(&finding->found, DOCTOR_NOT_ASKED, "Wazuh has no log collector here (%s)",
                         COLLECTOR);
    if (!config->allow_other)
        return kept_out(finding);
    buf_init(&text, CONF_MAX);
    char *folder = view_folder(config);
    int err = read_conf(&text);
    int state = err ? cannot_read_conf(err, finding) : judge_conf(buf_str(&text), folder, finding);
    free(folder);
    buf_free(&text);
    return state;
}
