/*
 * Work that several may wait for: the one who asks first starts it, the others join.
 */
#ifndef MACIEFS_JOB_H
#define MACIEFS_JOB_H

#include "hours_private.h"

enum job_kind { JOB_FOLDER, JOB_OBJECTS, JOB_REFRESH, JOB_RESTORE, JOB_BLOB };

struct job {
    struct task task; /* the first member */
    struct job *next;
    struct hours *hours;
    enum job_kind kind;
    hour_t hour;
    unsigned depth;       /* of a folder */
    struct object object; /* of a blob; its key is the job's own */
    int64_t listed;       /* when the source was asked; monotonic ms */
    unsigned refs;        /* waiters, and the work itself */
    bool ended;
    int err;
};

/* Does the work, or begins it; ends with job_end, there or later. */
void job_run(struct job *job);

/*
 * Does, or joins, the work and waits for its end. `object`: of a blob, else NULL. Returns its
 * error; -EINTR where patience was lost; -ENOMEM.
 */
int job_wait(struct hours *hours, enum job_kind kind, hour_t hour, unsigned depth,
             const struct object *object, struct patience *patience);

/* Begins work that nobody waits for, unless it is under way. Returns 0 or -ENOMEM. */
int job_begin(struct hours *hours, enum job_kind kind, hour_t hour, unsigned depth);

/* The work is done. To be called once; the job may be gone afterwards. */
void job_end(struct job *job, int err);

/* -- read_ahead.c -------------------------------------------------------------------------------
 */

/* A page of objects was listed for `first`; `next`: as catalog_objects tells. */
void read_ahead_note(struct hours *hours, hour_t first, hour_t next);

/* A reader has come to an hour's objects, or to a day's hours. */
void read_ahead_objects(struct hours *hours, hour_t hour);
void read_ahead_days(struct hours *hours, hour_t day);

#endif
