#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_same(const struct job *job, job_work work, hour_t hour, unsigned depth,
                    const struct object *object) {
    return job->work == work && job->hour == hour && job->depth == depth &&
           (!object || (strcmp(job->object.key, object->key) == 0 &&
                        strcmp(job->object.etag, object->etag) == 0));
}

/* The lock is held. */
static struct job *find(struct hours *hours, job_work work, hour_t hour, unsigned depth,
                        const struct object *object) {
    struct job *job = hours->jobs;
    while (job && !is_same(job, work, hour, depth, object))
        job = job->next;
    return job;
}

static void run_task(struct task *task) {
    struct job *job = (struct job *)task;
    job->work(job);
}

static void free_job(struct job *job) {
    free((char *)job->object.key);
    free(job);
}

/* Drops a reference; the lock is held. */
static void unref(struct job *job) {
    if (--job->refs == 0)
        free_job(job);
}

/* The lock is held. */
static struct job *start(struct hours *hours, job_work work, hour_t hour, unsigned depth,
                         const struct object *object) {
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    if (object) {
        job->object = *object;
        job->object.key = strdup(object->key);
    }
    if (object && !job->object.key) {
        free(job);
        return NULL;
    }
    job->task.run = run_task;
    job->hours = hours;
    job->work = work;
    job->hour = hour;
    job->depth = depth;
    job->refs = 1;
    job->next = hours->jobs;
    hours->jobs = job;
    pool_submit(hours->pool, &job->task, false);
    return job;
}

int job_wait(struct hours *hours, job_work work, hour_t hour, unsigned depth,
             const struct object *object, struct patience *patience) {
    pthread_mutex_lock(&hours->lock);
    struct job *job = find(hours, work, hour, depth, object);
    if (!job)
        job = start(hours, work, hour, depth, object);
    if (!job) {
        pthread_mutex_unlock(&hours->lock);
        return -ENOMEM;
    }
    job->refs++;
    while (!job->ended && hours_wait(hours, patience))
        ;
    int err = job->ended ? job->err : -EINTR;
    unref(job);
    pthread_mutex_unlock(&hours->lock);
    return err;
}

int job_begin(struct hours *hours, job_work work, hour_t hour, unsigned depth) {
    pthread_mutex_lock(&hours->lock);
    struct job *job = find(hours, work, hour, depth, NULL);
    if (!job)
        job = start(hours, work, hour, depth, NULL);
    pthread_mutex_unlock(&hours->lock);
    return job ? 0 : -ENOMEM;
}

void job_end(struct job *job, int err) {
    struct hours *hours = job->hours;
    pthread_mutex_lock(&hours->lock);
    struct job **at = &hours->jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job->ended = true;
    job->err = err;
    unref(job);
    pthread_cond_broadcast(&hours->changed);
    pthread_mutex_unlock(&hours->lock);
}
