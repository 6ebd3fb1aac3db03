/*
 * The serving process: everything between the source and the kernel, put together.
 */
#ifndef MACIEFS_SERVE_H
#define MACIEFS_SERVE_H

#include <maciefs/keeper.h>
#include <maciefs/pace.h>
#include <maciefs/report.h>
#include <maciefs/store.h>

/* Memory that outlasts a server; zeroed at first. */
struct serve_shared {
    struct counters counters;
    struct publishing publishing;
    struct publishing wazuh_publishing;
    struct pace_shared pace;
};

struct serve_options {
    const struct config *config;
    const char *prefix; /* the form of the prefix that source_open found */
    int folder;         /* the locked cache folder */
};

/*
 * A `struct server`'s serve: ctx is a `struct serve_options`. Logs what goes wrong while it serves.
 * Returns 0 when the file system was unmounted; a negative errno with a fault where it cannot
 * start.
 */
int serve(void *ctx, const struct server_start *start, struct fault *fault);

#endif
