/*
 * What the mount says of itself: log messages, counters, and the files made of them.
 *
 * Only the program logs, never a library module: main, the keeper, the server with its watcher, and
 * the FUSE operations. A message is one sentence on one line; in the background it goes to syslog.
 * Counters live in memory that outlasts the serving process, so that they count for the mount.
 */
#ifndef MACIEFS_REPORT_H
#define MACIEFS_REPORT_H

#include <maciefs/bytes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_INFO, REPORT_DEBUG };

/* Where messages go (stderr until `to_syslog`), and whether debug messages are among them. */
void report_open(bool to_syslog, bool debug);

/* Logs one message; control characters are shown as '?'. */
void report(enum report_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Counters of one mount; all count up since it was mounted, but for those called "now". */
struct counters {
    atomic_uint_fast64_t objects;      /* appended to a log */
    atomic_uint_fast64_t events;       /* lines appended that are JSON objects */
    atomic_uint_fast64_t text_lines;   /* lines appended that are none */
    atomic_uint_fast64_t messages;     /* lines appended to wazuh/ */
    atomic_uint_fast64_t skipped;      /* lines with no place there: no JSON, or no detail */
    atomic_uint_fast64_t stored_bytes; /* fetched */
    atomic_uint_fast64_t log_bytes;    /* appended */
    atomic_uint_fast64_t damaged;      /* objects */
    atomic_uint_fast64_t overwritten;  /* objects that changed after they were read; left alone */
    atomic_uint_fast64_t late;         /* objects that arrived when their hour was over */
    atomic_uint_fast64_t hidden;       /* objects whose key can be no file name in .objects */
    atomic_uint_fast64_t lists;        /* list requests */
    atomic_uint_fast64_t gets;         /* get requests */
    atomic_uint_fast64_t failures;     /* requests that failed after their retries */
    atomic_uint_fast64_t evicted;      /* hours whose data was dropped to stay under cache_size */
    atomic_uint_fast64_t restarts;     /* of the serving process */
    atomic_int_fast64_t last_poll;     /* when the source last answered; seconds since 1970 */
    atomic_int_fast64_t newest_object; /* newest LastModified seen; seconds since 1970 */
    atomic_int_fast64_t mounted;       /* seconds since 1970 */
    atomic_uint_fast64_t cache_bytes_now; /* on disk */
    atomic_uint_fast64_t offline_now;     /* 1 while the source does not answer */
    atomic_uint_fast64_t disk_full_now;   /* 1 while nothing can be appended for want of room */
};

/* Renders status.json and Prometheus's text format. Return 0 or buf_append's errors. */
int report_status(struct counters *counters, const char *source, struct buf *out);
int report_metrics(struct counters *counters, struct buf *out);

#endif
