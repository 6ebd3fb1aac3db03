/*
 * The FUSE operations: requests in, the tree's answers out.
 *
 * A request may wait in the tree; when its caller is interrupted (FUSE_INTERRUPT), it loses
 * patience and is answered EINTR at once. File handles carry no more than how they were opened,
 * which the kernel keeps, so they need nothing from the process that opened them.
 *
 * What the kernel may keep: logs that can grow are opened with direct I/O, so that no page of
 * theirs is ever kept half-filled and a reader sees growth with its next read, but never a byte
 * behind the size that it may ask for next; settled ones stay in the page cache, and the store has
 * their last page dropped (operations_drop_pages) before it announces growth.
 */
#ifndef MACIEFS_OPERATIONS_H
#define MACIEFS_OPERATIONS_H

#include <maciefs/channel.h>
#include <maciefs/tree.h>

/* The operations, to be given to fuse_session_new with a `struct tree *` as user data. */
extern const struct fuse_lowlevel_ops operations;

/* Makes the kernel drop a log's pages from `offset` on. May be called from any thread but a serving
 * one. */
void operations_drop_pages(struct fuse_session *session, hour_t hour, uint64_t offset);

#endif
