/*
 * The mount outlives the daemon.
 *
 * Two processes: the keeper mounts, holds the descriptor of /dev/fuse and does nothing else; the
 * server, its child, does all the work. When the server dies of anything but SIGTERM or SIGINT the
 * keeper starts another one on the same descriptor: readers see a pause, no error. Both share a
 * piece of memory: what the server wants to outlast it (`shared`, zeroed at first), and the channel
 * (channel.h), which keeps the kernel's requests until they are answered.
 *
 * Files and directories need nothing from the server that died: node ids are functions of the path.
 */
#ifndef MACIEFS_KEEPER_H
#define MACIEFS_KEEPER_H

#include <maciefs/config.h>
#include <maciefs/fault.h>
#include <stddef.h>

struct channel;

/* What a server process does; called in the child. */
struct server {
    /*
     * Serves until the file system is unmounted. Returns the process's exit status: 0 when it was.
     * Hands `ready` to channel_serve.
     */
    int (*serve)(void *ctx, struct channel *channel, void (*ready)(void *), void *ready_ctx,
                 void *shared);
    void *ctx;
    size_t shared_size; /* bytes of memory that every server after it finds as it was left */
};

struct keeper;

/*
 * Mounts on config->mountpoint (as root by mount(2), else through fusermount3), named `source` in
 * /proc/mounts, type fuse.maciefs, read-only. Returns 0; or -EPERM, -EBUSY, -ENODEV (no /dev/fuse),
 * -ENOENT (no fusermount3) and others, with a fault. No thread may run yet.
 */
int keeper_mount(const struct config *config, const char *source, struct keeper **ret,
                 struct fault *fault);

/*
 * Starts the server and keeps it running until the file system is unmounted, or SIGTERM, SIGINT or
 * SIGHUP asks for that. In the background (config->foreground is false) the calling process returns
 * from here as soon as the mount works, with KEEPER_PARENT, and the keeper goes on as a process of
 * its own, detached from the terminal, logging to syslog. A server that cannot start at all makes
 * this fail, unmounted.
 * Returns 0 after an orderly end; KEEPER_PARENT; or a negative errno with a fault.
 */
#define KEEPER_PARENT 1
int keeper_run(struct keeper *keeper, const struct server *server, struct fault *fault);

/* Unmounts if it is still mounted, and frees. Accepts NULL. */
void keeper_free(struct keeper *keeper);

#endif
