/*
 * Work that several may wait for: the one who asks first starts it, the others join.
 */
#ifndef MACIEFS_JOB_H
#define MACIEFS_JOB_H

#include "hours_private.h"

struct job;

/* What a job does: it does the work, or begins it, and ends with job_end, there or later. */
typedef void (*job_work)(struct job *job);

struct job {
    struct task task; /* the first member */
    struct job *next;
    struct hours *hours;
    job_work work;
    hour_t hour;
    unsigned depth;       /* of a folder */
    struct object object; /* of a blob; its key is the job's own */
    int64_t listed;       /* when the source was asked; monotonic ms */
    unsigned refs;        /* waiters, and the work itself */
    bool ended;
    int err;
};

/*
 * Does, or joins, the work (the same on the same hour, depth and object) and waits for its end.
 * `object`: of a blob, else NULL. Returns its error; -EINTR where patience was lost; -ENOMEM.
 */
int job_wait(struct hours *hours, job_work work, hour_t hour, unsigned depth,
             const struct object *object, struct patience *patience);

/* Begins work that nobody waits for, unless it is under way. Returns 0 or -ENOMEM. */
int job_begin(struct hours *hours, job_work work, hour_t hour, unsigned depth);

/* The work is done. To be called once; the job may be gone afterwards. */
void job_end(struct job *job, int err);

#endif
