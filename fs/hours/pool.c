#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* First come, first served. */
struct queue {
    struct task *first, *last;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct queue urgent, normal;
    bool ending;
    unsigned thread_count;
    pthread_t threads[];
};

static void put(struct queue *queue, struct task *task) {
    task->next = NULL;
    *(queue->first ? &queue->last->next : &queue->first) = task;
    queue->last = task;
}

static struct task *get(struct queue *queue) {
    struct task *task = queue->first;
    if (task)
        queue->first = task->next;
    return task;
}

static struct task *take(struct pool *pool) {
    while (!pool->urgent.first && !pool->normal.first && !pool->ending)
        pthread_cond_wait(&pool->changed, &pool->lock);
    return get(pool->urgent.first ? &pool->urgent : &pool->normal);
}

static void *work(void *ctx) {
    struct pool *pool = ctx;
    pthread_mutex_lock(&pool->lock);
    for (struct task *task; (task = take(pool));) {
        pthread_mutex_unlock(&pool->lock);
        task->run(task);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int pool_new(unsigned threads, struct pool **ret) {
    struct pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->threads);
    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    int err = 0;
    while (!err && pool->thread_count < threads) {
        err = -pthread_create(&pool->threads[pool->thread_count], NULL, work, pool);
        if (!err)
            pool->thread_count++;
    }
    if (err) {
        pool_free(pool);
        return err;
    }
    *ret = pool;
    return 0;
}

void pool_submit(struct pool *pool, struct task *task, bool urgent) {
    pthread_mutex_lock(&pool->lock);
    put(urgent ? &pool->urgent : &pool->normal, task);
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
