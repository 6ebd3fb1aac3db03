/*
 * Threads that do what waits in a queue. A task belongs to whoever submitted it; `run` may free it.
 */
#ifndef MACIEFS_POOL_H
#define MACIEFS_POOL_H

#include <stdbool.h>

struct task {
    void (*run)(struct task *task);
    struct task *next;
};

struct pool;

/* Returns 0, -ENOMEM or -EAGAIN. */
int pool_new(unsigned threads, struct pool **ret);

/* Adds a task behind the others; urgent ones all go before the rest. */
void pool_submit(struct pool *pool, struct task *task, bool urgent);

/* Runs what is queued, then ends the threads. Accepts NULL. */
void pool_free(struct pool *pool);

#endif
