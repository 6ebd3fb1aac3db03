/*
 * The command line, as mount(8), fstab and people write it.
 *
 * All options stand in one table (fs/config/options.c): name, default, range, what it takes, one
 * line of help. `--help`, the errors and the parser are made from it.
 *
 * Of an option that is given twice the later counts. A comma in a value is written "\,".
 *
 * `rw` is refused, since the file system is read-only: but mount(8) writes `rw` in front of every
 * list that has no `ro`, and mount.fuse3 adds dev or nodev, suid or nosuid. A list that looks so,
 * or a call as mount.fuse.maciefs, is mount(8)'s own doing and is mounted read-only.
 */
#ifndef MACIEFS_CONFIG_H
#define MACIEFS_CONFIG_H

#include <maciefs/fault.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * CHECK: `maciefs check …`, the doctor. NOTHING: `mount -f`, which wants the arguments checked and
 * no mount made.
 */
enum config_action { CONFIG_MOUNT, CONFIG_CHECK, CONFIG_HELP, CONFIG_VERSION, CONFIG_NOTHING };
enum config_scheme { CONFIG_S3, CONFIG_FILE };
enum config_shape { CONFIG_SHAPE_WAZUH, CONFIG_SHAPE_EVENT };
enum config_addressing { CONFIG_PATH, CONFIG_VIRTUAL, CONFIG_AUTO };

struct config {
    enum config_action action;
    bool foreground; /* -f, and with -d */
    bool debug;      /* -d */
    bool json;       /* --json, of check */

    char *source;     /* SOURCE as it was written */
    char *mountpoint; /* absolute; for CHECK as it was written, or NULL */
    enum config_scheme scheme;
    char *bucket; /* s3: the bucket's name, or an access point's ARN (…:accesspoint/NAME);
                     file: the folder's absolute path */
    char *prefix; /* s3: what follows the bucket and its '/'; "" where nothing does; file: "" */

    char *endpoint;                    /* URL without final '/', or NULL for AWS */
    enum config_addressing addressing; /* AUTO: path-style with an endpoint, else virtual-host */
    char *region;                      /* or NULL */
    char *profile;                     /* or NULL */
    char *role_arn;                    /* a role to assume, or NULL */
    char *external_id;                 /* that the role asks for, or NULL */
    char *sts_endpoint;                /* where it is assumed: URL, or NULL for AWS's */
    bool no_sign;                      /* requests without credentials, for public buckets */
    bool requester_pays;               /* the requests are paid by who asks */
    char *expected_bucket_owner;       /* an account that the bucket must belong to, or NULL */
    char *ca_bundle;                   /* absolute path of the certificates to trust, or NULL */
    char *sse_customer_key;            /* absolute path of a key that objects are under, or NULL */
    char *timezone;                    /* default "UTC" */
    char *cache;                       /* absolute path of this mount's own folder */
    bool cache_given;                  /* cache= was named by the user */

    unsigned poll_ms;        /* poll=, 100 … 3600000; 5000 */
    unsigned dir_ttl_ms;     /* dir_ttl=, 0 … 86400000; 60000 */
    uint64_t cache_size;     /* bytes; cache_size=, at least 16M; 10G */
    unsigned connections;    /* 1 … 64; 8 */
    uint64_t max_object;     /* decoded bytes of one object; 1M … 1T; 4G */
    unsigned window_s;       /* hours of wazuh/ reach back so far; window=, 600 … 31 days; 24 h */
    unsigned pace;           /* events a second for the log collector; pace=, 0: no limit; 400 */
    enum config_shape shape; /* of the lines in wazuh/; shape= */
    char *account_alias;     /* for those lines; "" by default */
    uid_t uid;               /* owner shown; the mounting user's by default */
    gid_t gid;
    mode_t umask; /* taken from 0440 for files and 0550 for directories (with a umask
                     given: from 0444 and 0555); see config_file_mode */
    bool umask_given;
    bool allow_other; /* default for root */

    /*
     * "ro,nosuid,nodev" and what of these was given, in its order, as libfuse reads it (commas
     * within an option are escaped): exec, noexec, sync, async, dirsync, atime, noatime, and
     * SELinux's context= and its kin.
     */
    char *mount_options;
};

/*
 * Parses a command line. Returns 0 and fills *ret, to be freed by config_free; or -EINVAL (-ENOMEM)
 * with a fault that names the argument or option and says what it takes. For HELP and VERSION
 * nothing more than `action` is of use. Asks neither network nor disk, but for the mount point,
 * which must be a directory, and not one inside a local SOURCE, and the files of ca_bundle and
 * sse_customer_key, which must be there. For CHECK, whose first word is "check", the mount point
 * may be left out and is not looked at.
 */
int config_parse(int argc, char *const argv[], struct config *ret, struct fault *fault);

/*
 * Finds the mount point that `path` names for the configuration's source. Returns 0 and its
 * absolute path, to be freed; or -EINVAL (-ENOMEM) with a fault, as config_parse does.
 */
int config_find_mountpoint(const struct config *config, const char *path, char **ret,
                           struct fault *fault);

/* Frees what config_parse allocated. Accepts a zeroed one. */
void config_free(struct config *config);

/* The usage text, made from the table of options; static. */
const char *config_help(void);

/* The modes that files and directories are shown with (permission bits alone). */
mode_t config_file_mode(const struct config *config);
mode_t config_folder_mode(const struct config *config);

/*
 * Parses a size: digits, and K, M, G or T (powers of 1024; "iB" and "B" may follow; lower case
 * too). Returns 0, -EINVAL for no size, -ERANGE past 64 bits.
 */
int config_size(const char *text, uint64_t *ret);

/* Parses seconds with up to three decimals into milliseconds. Returns 0, -EINVAL, -ERANGE. */
int config_seconds(const char *text, unsigned *ret_ms);

/*
 * Parses a duration: digits and s, m, h or d. Returns 0, -EINVAL, or -ERANGE past what is counted
 * in seconds.
 */
int config_duration(const char *text, unsigned *ret_s);

#endif
