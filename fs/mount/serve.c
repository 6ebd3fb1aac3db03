#include <maciefs/operations.h>
#include <maciefs/serve.h>
#include <maciefs/watcher.h>

#include <errno.h>
#include <string.h>
#include <time.h>

/* What a server is made of, in the order in which it is built. */
struct parts {
    struct tree tree;
    struct watcher *watcher;
    struct fuse_session *session;
};

/* A log that can grow is opened with direct I/O, so the kernel has no page of it. */
static void drop_pages(void *ctx, hour_t hour, uint64_t offset) {
    struct parts *parts = ctx;
    const struct node log = {.kind = NODE_LOG, .hour = hour};
    if (tree_is_settled(&parts->tree, &log))
        operations_drop_pages(parts->session, hour, offset);
}

static struct fuse_session *new_session(struct tree *tree) {
    char name[] = "maciefs";
    char *argv[] = {name, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    return fuse_session_new(&args, &operations, sizeof operations, tree);
}

static int open_parts(struct parts *parts, const struct serve_options *options,
                      struct serve_shared *shared, struct fault *fault) {
    struct tree *tree = &parts->tree;
    tree->config = options->config;
    tree->counters = &shared->counters;
    const struct store_options store = {
        .size = options->config->cache_size,
        .publishing = &shared->publishing,
        .counters = &shared->counters,
        .drop_pages = drop_pages,
        .ctx = parts,
    };
    int err = source_reopen(options->config, options->prefix, &tree->source, fault);
    if (!err)
        err = store_open(options->folder, &store, &tree->store, fault);
    if (err)
        return err;
    tree->catalog = catalog_new(tree->source, options->config->dir_ttl_ms, &shared->counters);
    parts->session = tree->catalog ? new_session(tree) : NULL;
    if (!parts->session)
        return fault_set(fault, -ENOMEM, "there is not enough memory to start");
    return 0;
}

/* Counts that servers after this one find in the memory that they share. */
static int begin_counts(struct parts *parts, struct fault *fault) {
    struct tree *tree = &parts->tree;
    atomic_store(&tree->counters->mounted, (int64_t)time(NULL));
    int err = store_measure(tree->store);
    if (err)
        fault_set(fault, err, "the cache folder %s cannot be read: %s", tree->config->cache,
                  strerror(-err));
    return err;
}

static int open_wazuh(struct parts *parts, const struct server_start *start, struct fault *fault) {
    struct tree *tree = &parts->tree;
    struct serve_shared *shared = start->shared;
    const struct wazuh_options options = {
        .config = tree->config,
        .source = tree->source,
        .logs = tree->store,
        .publishing = &shared->wazuh_publishing,
        .pace = &shared->pace,
        .first = start->restarts == 0,
        .counters = tree->counters,
    };
    return wazuh_open(&options, &tree->wazuh, fault);
}

static int start_parts(struct parts *parts, struct fault *fault) {
    struct tree *tree = &parts->tree;
    const struct hours_options options = {
        .config = tree->config,
        .source = tree->source,
        .store = tree->store,
        .catalog = tree->catalog,
        .counters = tree->counters,
        .tell = report,
        .follower = wazuh_follower(tree->wazuh),
    };
    int err = hours_new(&options, &tree->hours, fault);
    if (err)
        return err;
    err = wazuh_start(tree->wazuh, tree->hours);
    if (!err)
        err = watcher_start(&options, tree->hours, &parts->watcher);
    return err ? fault_set(fault, err, "the threads that watch the source cannot be started") : 0;
}

static void close_parts(struct parts *parts) {
    struct tree *tree = &parts->tree;
    watcher_stop(parts->watcher);
    wazuh_stop(tree->wazuh);
    hours_free(tree->hours);
    if (parts->session)
        fuse_session_destroy(parts->session);
    wazuh_close(tree->wazuh);
    catalog_free(tree->catalog);
    store_free(tree->store);
    source_free(tree->source);
}

int serve(void *ctx, const struct server_start *start, struct fault *fault) {
    struct serve_shared *shared = start->shared;
    struct parts parts = {0};
    atomic_store(&shared->counters.restarts, start->restarts);
    int err = open_parts(&parts, ctx, shared, fault);
    if (!err && !start->restarts)
        err = begin_counts(&parts, fault);
    if (!err)
        err = open_wazuh(&parts, start, fault);
    if (!err)
        err = start_parts(&parts, fault);
    if (!err) {
        err = channel_serve(start->channel, parts.session, start->ready, start->ready_ctx);
        /* Threads may still be in an operation: the process ends, and all of this with it. */
        if (err)
            return fault_set(fault, err, "the connection to the kernel broke (%s)", strerror(-err));
    }
    close_parts(&parts);
    return err;
}
