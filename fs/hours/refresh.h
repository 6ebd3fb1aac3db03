/* The work that jobs do; each is a job_work. */
#ifndef MACIEFS_REFRESH_H
#define MACIEFS_REFRESH_H

#include "job.h"

/* Lists the hour and appends what its log lacks. -EBUSY: a batch of it is under way; -ENODATA: its
 * data has to be restored first. */
void refresh_hour(struct job *job);

/* Fetches evicted data again. -EBUSY as above. */
void restore_hour(struct job *job);

/* Waits for the disk to have a log that was fetched a while ago, and begins again while there are.
 */
void settle_log(struct job *job);

/* Fetches an object, decoded. */
void fetch_object(struct job *job);

/* List a folder's children, or an hour's objects, for the catalog. */
void list_folder(struct job *job);
void list_objects(struct job *job);

#endif
