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

#endif
