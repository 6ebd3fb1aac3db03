/*
 * Memory that is overwritten before it is given up.
 *
 * Secrets leave copies where buffers grow and where libraries free what they copied. What allocates
 * with these leaves none, and neither does a library that is given them instead of its own.
 */
#ifndef MACIEFS_SECRET_H
#define MACIEFS_SECRET_H

#include <stddef.h>

/* realloc and free of malloc's memory; secret_realloc never grows in place. */
void *secret_realloc(void *at, size_t size);
void secret_free(void *at);

/*
 * Runs `work` apart: in a thread of its own, and waits for it. Nothing of what it worked on is left
 * in the caller's registers, nor on any stack. Returns what it returns, or -EAGAIN or -ENOMEM where
 * there can be no such thread.
 */
int secret_run(int (*work)(void *ctx), void *ctx);

#endif
