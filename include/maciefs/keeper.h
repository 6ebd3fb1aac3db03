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

/* What the keeper gives each server. */
struct server_start {
    struct channel *channel;
    void *shared;             /* server.shared_size bytes; zeroed for the first server */
    unsigned restarts;        /* servers that died before this one */
    void (*ready)(void *ctx); /* for channel_serve */
    void *ready_ctx;
};

struct server {
    /*
     * What a server process does; called in the child, which ends when it returns. SIGPIPE is
     * ignored there; stdio leads nowhere from `ready` on, unless in the foreground.
     * Returns 0 when the file system was unmounted, else a negative errno with a fault, which the
     * keeper hands on: the server does not log it.
     */
    int (*serve)(void *ctx, const struct server_start *start, struct fault *fault);
    /* Tells, in the keeper, why a server died that is now replaced: one sentence. May be NULL. */
    void (*replaced)(void *ctx, const char *why);
    void *ctx;
    size_t shared_size; /* bytes of memory that every server after it finds as it was left */
};

struct keeper;

/*
 * Mounts as mountpoint_mount does, with its errors. No thread may run yet.
 */
int keeper_mount(const struct config *config, const char *source, struct keeper **ret,
                 struct fault *fault);

/*
 * Starts the server and keeps one running until the file system is unmounted, or SIGTERM, SIGINT or
 * SIGHUP asks for that (those that were ignored stay so); SIGTERM to the server ends all as well.
 * A server that dies before any was ready is not replaced: that is this call's failure, unmounted.
 * Later ones that die within a second, three in a row and more, are replaced after a pause that
 * grows to 5 s; one killed by SIGKILL when it was ready does not count as such.
 *
 * In the background (config->foreground is false) the calling process returns from here as soon as
 * the mount works, with KEEPER_PARENT, and the keeper goes on as a process of its own, detached
 * from the terminal. A failure to start is told to the caller alone: the keeper returns 0 then.
 *
 * Returns 0 after an orderly end; KEEPER_PARENT; or a negative errno with a fault. The three
 * signals are left blocked.
 */
#define KEEPER_PARENT 1
int keeper_run(struct keeper *keeper, const struct server *server, struct fault *fault);

/* Unmounts if it is still mounted (after KEEPER_PARENT: not), and frees. Accepts NULL. */
void keeper_free(struct keeper *keeper);

#endif
