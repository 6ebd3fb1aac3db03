/*
 * The place where the file system is mounted.
 *
 * libfuse mounts: as root by mount(2), else through fusermount3. Both tell what went wrong on
 * stderr alone, in lines of their own; here it comes back as one fault.
 *
 * Unmounting is careful: somebody else may have unmounted already and mounted something new at the
 * same place. The mount is taken for ours as long as its connection lives and /proc/self/mountinfo
 * shows its device number on top at that place (no stat: it would ask a server that may be dead).
 */
#ifndef MACIEFS_MOUNTPOINT_H
#define MACIEFS_MOUNTPOINT_H

#include <limits.h>
#include <maciefs/config.h>
#include <maciefs/fault.h>

struct mountpoint;

/*
 * Mounts on config->mountpoint, named `source` in /proc/mounts, type fuse.maciefs, read-only, with
 * config->allow_other and config->mount_options. Returns 0; or -EPERM, -EBUSY, -ENODEV (no
 * /dev/fuse), -ENOENT (no fusermount3) and others, with a fault. Writes to fd 2 of any thread are
 * lost meanwhile.
 */
int mountpoint_mount(const struct config *config, const char *source, struct mountpoint **ret,
                     struct fault *fault);

/* The descriptor of /dev/fuse; stays the mount point's own. */
int mountpoint_fd(const struct mountpoint *mountpoint);

/* Closes the descriptor and, if the mount is still ours, unmounts lazily. May be called again. */
void mountpoint_unmount(struct mountpoint *mountpoint);

/* Closes the descriptor and frees; leaves the mount as it is. Accepts NULL. */
void mountpoint_free(struct mountpoint *mountpoint);

/*
 * What mounting needs, each asked for by itself; nothing is mounted. Each returns 0 or a negative
 * errno with a fault.
 */

/* /dev/fuse, which every caller opens for himself. -ENODEV where there is none, or why not. */
int mountpoint_check_device(struct fault *fault);

/*
 * Who mounts: root, where it may; else fusermount3, whose path is then written. -EPERM or -ENOENT.
 */
int mountpoint_check_mounter(char ret[PATH_MAX], struct fault *fault);

/* Whether this user may let others in. -EPERM where /etc/fuse.conf does not allow it. */
int mountpoint_check_allow_other(struct fault *fault);

#endif
