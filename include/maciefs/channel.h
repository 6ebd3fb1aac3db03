/*
 * Requests between the kernel and the serving process, in memory that outlasts it.
 *
 * Each serving thread owns one slot of shared memory and reads its requests straight into it: the
 * kernel copies a request there and at that moment hands it over. The slot is emptied when the
 * request was answered. So whatever instant a server dies at, each request it had taken and not
 * answered lies whole in a slot, and the next server begins by serving those. (A request that was
 * answered, but whose slot was not emptied in time, is answered again: the kernel knows no such
 * request any more and says ENOENT, which is no error here.) This works on every kernel; Linux
 * 6.9's FUSE_NOTIFY_RESEND is not needed.
 *
 * The kernel sends INIT once. It is kept too, and told again to each new server's libfuse; the
 * kernel ignores the second answer.
 *
 * A thread serves one request at a time. One thread reads and serves what is quickly done; before
 * one waits (for an old hour to be fetched) or reads a file it steps aside, and another goes on
 * reading, which is started if need be, up to CHANNEL_SLOTS. A request whose reader was interrupted
 * (Ctrl-C) while the server died is answered -EINTR by the next one.
 *
 * Sources: linux/fuse.h; libfuse 3.14's fuse_lowlevel.h (fuse_session_custom_io,
 * fuse_session_process_buf).
 */
#ifndef MACIEFS_CHANNEL_H
#define MACIEFS_CHANNEL_H

#include <fuse3/fuse_lowlevel.h>

#define CHANNEL_SLOTS 1024

/* Servers that may die by themselves while they hold a request, before it is given up. */
#define CHANNEL_DEATHS_MAX 3

struct channel;

/*
 * Maps the shared memory, for the descriptor `fd` of /dev/fuse, which stays the caller's. To be
 * called in the keeper. Returns 0 or -ENOMEM.
 */
int channel_new(int fd, struct channel **ret);

/*
 * In a server: serves what the slots hold, then what the kernel sends, with the operations of
 * `session` (made by fuse_session_new, not mounted). An operation has replied when it returns.
 * Calls `ready` once INIT has been answered.
 *
 * Returns 0 when the file system was unmounted; else a negative errno, with threads that may still
 * be serving: the process has to end then, and the next server takes over.
 */
int channel_serve(struct channel *channel, struct fuse_session *session, void (*ready)(void *),
                  void *ctx);

/*
 * To be called by an operation before it waits for something: lets another thread read what the
 * kernel sends meanwhile. Any number of times, from any thread; takes no lock but the channel's.
 */
void channel_step_aside(void);

/*
 * In the keeper, after a server crashed (was not killed, that is): what it held may be what crashed
 * it. A request that was held at CHANNEL_DEATHS_MAX such deaths is answered EIO by the next
 * server, so that one reader gets an error where else all would wait for ever.
 */
void channel_note_death(struct channel *channel);

/* Unmaps. Accepts NULL. */
void channel_free(struct channel *channel);

#endif
