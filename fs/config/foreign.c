/* The options that are not maciefs's own: mount(8)'s, the kernel's and libfuse's. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char REMOUNT[] = "a mount cannot be changed: unmount it and mount it anew";
static const char OWN_DOING[] = "maciefs sets it by itself";
static const char BY_UNMOUNT[] = "maciefs cleans up by itself when it ends";

/* What ends in '=' takes a value, what ends in '*' begins so. */
static const struct {
    const char *name;
    enum foreign_fate fate;
    const char *reason;
} FOREIGN[] = {
    {"ro", FOREIGN_DROP, NULL},
    {"defaults", FOREIGN_DROP, NULL},
    /* Always off: there are no devices and no programs with a set-user-id bit in a log. */
    {"suid", FOREIGN_DROP, NULL},
    {"nosuid", FOREIGN_DROP, NULL},
    {"dev", FOREIGN_DROP, NULL},
    {"nodev", FOREIGN_DROP, NULL},
    {"exec", FOREIGN_KEEP, NULL},
    {"noexec", FOREIGN_KEEP, NULL},
    {"sync", FOREIGN_KEEP, NULL},
    {"async", FOREIGN_KEEP, NULL},
    {"dirsync", FOREIGN_KEEP, NULL},
    {"atime", FOREIGN_KEEP, NULL},
    {"noatime", FOREIGN_KEEP, NULL},
    /* Without meaning where nothing is written, and unknown to fusermount3. */
    {"relatime", FOREIGN_DROP, NULL},
    {"norelatime", FOREIGN_DROP, NULL},
    {"strictatime", FOREIGN_DROP, NULL},
    {"nostrictatime", FOREIGN_DROP, NULL},
    {"diratime", FOREIGN_DROP, NULL},
    {"nodiratime", FOREIGN_DROP, NULL},
    {"lazytime", FOREIGN_DROP, NULL},
    {"nolazytime", FOREIGN_DROP, NULL},
    {"iversion", FOREIGN_DROP, NULL},
    {"noiversion", FOREIGN_DROP, NULL},
    {"mand", FOREIGN_DROP, NULL},
    {"nomand", FOREIGN_DROP, NULL},
    {"silent", FOREIGN_DROP, NULL},
    {"loud", FOREIGN_DROP, NULL},
    {"nosymfollow", FOREIGN_DROP, NULL},
    /* For mount(8) and systemd alone. */
    {"auto", FOREIGN_DROP, NULL},
    {"noauto", FOREIGN_DROP, NULL},
    {"user", FOREIGN_DROP, NULL},
    {"user=", FOREIGN_DROP, NULL},
    {"nouser", FOREIGN_DROP, NULL},
    {"users", FOREIGN_DROP, NULL},
    {"nousers", FOREIGN_DROP, NULL},
    {"owner", FOREIGN_DROP, NULL},
    {"noowner", FOREIGN_DROP, NULL},
    {"group", FOREIGN_DROP, NULL},
    {"nogroup", FOREIGN_DROP, NULL},
    {"_netdev", FOREIGN_DROP, NULL},
    {"nofail", FOREIGN_DROP, NULL},
    {"comment=", FOREIGN_DROP, NULL},
    {"uhelper=", FOREIGN_DROP, NULL},
    {"helper=", FOREIGN_DROP, NULL},
    {"x-*", FOREIGN_DROP, NULL},
    {"X-*", FOREIGN_DROP, NULL},
    /* SELinux labels: for the kernel. */
    {"context=", FOREIGN_KEEP, NULL},
    {"fscontext=", FOREIGN_KEEP, NULL},
    {"defcontext=", FOREIGN_KEEP, NULL},
    {"rootcontext=", FOREIGN_KEEP, NULL},
    /* Known from other FUSE file systems. */
    {"default_permissions", FOREIGN_DROP, NULL},
    {"nonempty", FOREIGN_DROP, NULL},
    {"remount", FOREIGN_REFUSE, REMOUNT},
    {"auto_unmount", FOREIGN_REFUSE, BY_UNMOUNT},
    {"allow_root", FOREIGN_REFUSE, "allow_other and the files' permissions say who may read"},
    {"fsname=", FOREIGN_REFUSE, OWN_DOING},
    {"subtype=", FOREIGN_REFUSE, OWN_DOING},
    {"fd=", FOREIGN_REFUSE, OWN_DOING},
    {"rootmode=", FOREIGN_REFUSE, OWN_DOING},
    {"user_id=", FOREIGN_REFUSE, OWN_DOING},
    {"group_id=", FOREIGN_REFUSE, OWN_DOING},
    {"max_read=", FOREIGN_REFUSE, OWN_DOING},
    {"blksize=", FOREIGN_REFUSE, OWN_DOING},
};

static bool matches(const char *pattern, const char *name, bool has_value) {
    size_t len = strlen(pattern) - 1;
    if (pattern[len] == '*')
        return strncmp(pattern, name, len) == 0;
    if (pattern[len] == '=')
        return has_value && strlen(name) == len && strncmp(pattern, name, len) == 0;
    return !has_value && strcmp(pattern, name) == 0;
}

enum foreign_fate foreign_fate(const char *name, bool has_value, const char **ret_reason) {
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
        if (!matches(FOREIGN[i].name, name, has_value))
            continue;
        *ret_reason = FOREIGN[i].reason;
        return FOREIGN[i].fate;
    }
    return FOREIGN_UNKNOWN;
}

const char *foreign_nearest(const char *name, unsigned *distance) {
    const char *nearest = NULL;
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
        unsigned d = edit_distance(FOREIGN[i].name, name);
        if (d >= *distance || strpbrk(FOREIGN[i].name, "*=") || FOREIGN[i].fate == FOREIGN_REFUSE)
            continue;
        *distance = d;
        nearest = FOREIGN[i].name;
    }
    return nearest;
}

/* libfuse knows no quotes: each comma within an option gets a backslash. */
static void escape_commas(const char *text, char *ret) {
    for (; *text; text++) {
        if (*text == ',')
            *ret++ = '\\';
        else if (*text == '\\' && text[1])
            *ret++ = *text++;
        *ret++ = *text;
    }
    *ret = '\0';
}

int foreign_keep(struct config *config, const char *text) {
    size_t used = strlen(config->mount_options);
    char *grown = realloc(config->mount_options, used + 1 + 2 * strlen(text) + 1);
    if (!grown)
        return -ENOMEM;
    config->mount_options = grown;
    grown[used] = ',';
    escape_commas(text, grown + used + 1);
    return 0;
}
