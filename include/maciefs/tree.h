/*
 * The tree that users see: names, attributes, bytes; answered from hours, store and catalog.
 *
 * Nothing here knows FUSE: operations.c turns requests into these calls. All of them may wait, for
 * as long as the caller has patience (hours.h).
 *
 *     /YYYY/MM/DD/HH/macie.ndjson     the hour's log
 *     /wazuh/YYYY-MM-DD-HH.json       what was delivered in the hour, for Wazuh (wazuh.h)
 *     /.objects/YYYY/MM/DD/HH/<name>  single objects, decoded
 *     /.maciefs/status.json, metrics
 *
 * The folders that exist are those the source has, those the disk has, and those of the current
 * and the next hour.
 */
#ifndef MACIEFS_TREE_H
#define MACIEFS_TREE_H

#include <maciefs/hours.h>
#include <maciefs/node.h>
#include <maciefs/wazuh.h>
#include <sys/stat.h>
#include <sys/types.h>

#define TREE_LOG_NAME "macie.ndjson"
#define TREE_WAZUH_NAME "wazuh"

struct tree {
    const struct config *config;
    struct source *source;
    struct store *store;
    struct catalog *catalog;
    struct hours *hours;
    struct wazuh *wazuh;
    struct counters *counters;
};

/* Finds a name in a folder. Returns 0, -ENOENT, -ENOTDIR, or hours.h's errors. */
int tree_lookup(struct tree *tree, const struct node *folder, const char *name, struct node *ret,
                struct patience *patience);

/*
 * A node's attributes. `exact`: a log's, or an object's, size is made known first, which may fetch
 * it; else what is known is taken. Returns 0, -ENOENT, or hours.h's errors.
 */
int tree_attributes(struct tree *tree, const struct node *node, bool exact, struct stat *ret,
                    struct patience *patience);

/* Whether the kernel may keep pages and size of a node: it will not change, but for what is told.
 */
bool tree_is_settled(struct tree *tree, const struct node *node);

/* Makes a node's bytes lie on the disk. Errors as hours_ready; -EISDIR. */
int tree_open(struct tree *tree, const struct node *node, struct patience *patience);

/* What is read, and by whom. */
struct reading {
    uint64_t offset;
    size_t len;
    /*
     * The kernel keeps what it gets in pages, and shows of them what it knows the size of; so pages
     * are filled as far as there are bytes. Otherwise a reader gets them as they are, and nothing
     * behind the size that stat would tell.
     */
    bool cached;
    pid_t reader; /* its thread's id; 0 where that is hidden */
};

/* What was read: a stretch of a file, which need not be copied on its way, or bytes in memory. */
struct tree_bytes {
    struct file_range file; /* fd -1: in memory */
    uint8_t *at;            /* heap, or NULL */
    size_t len;
};

/* Reads. Returns 0 and bytes to be freed by tree_bytes_free, or a negative errno. */
int tree_read(struct tree *tree, const struct node *node, const struct reading *reading,
              struct tree_bytes *ret, struct patience *patience);
void tree_bytes_free(struct tree_bytes *bytes);

/*
 * Calls `visit` for each entry of a folder behind the one that `after` stands for (0: all), in
 * order. `place` is what `after` would be for the next entry. Ends when `visit` returns false.
 * Returns 0, -ENOTDIR or hours.h's errors.
 */
typedef bool (*tree_visitor)(void *ctx, const char *name, const struct node *node, uint64_t place);
int tree_list(struct tree *tree, const struct node *folder, uint64_t after, tree_visitor visit,
              void *ctx, struct patience *patience);

bool node_is_folder(const struct node *node);

#endif
