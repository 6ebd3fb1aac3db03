#include "tree_wazuh.h"

#include <maciefs/blobs.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What stat(2) calls a good size to read by. */
#define BLOCK_SIZE (64 * 1024)

bool node_is_folder(const struct node *node) {
    return node->kind == NODE_ROOT || node->kind == NODE_META || node->kind == NODE_TREE ||
           node->kind == NODE_OBJECTS || node->kind == NODE_WAZUH;
}

bool tree_is_settled(struct tree *tree, const struct node *node) {
    if (node->kind == NODE_OBJECT)
        return true;
    if (node->kind != NODE_LOG)
        return false;
    /* The watcher may not have looked yet; the clock says as much. */
    return node->hour < hour_add(hour_at(time(NULL)), -25) &&
           !hours_is_watched(tree->hours, node->hour);
}

/* -- Objects ----------------------------------------------------------------------------------- */

/* The name that an object has in .objects; NULL where its key has none that a file can bear. */
static const char *object_name(const struct object *object) {
    const char *name = object->key + HOUR_PATH_LEN + 1;
    size_t len = strlen(name);
    if (len == 0 || len > 255 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return NULL;
    for (const char *c = name; *c; c++)
        if (*c == '/' || (unsigned char)*c < 0x20 || *c == 0x7f)
            return NULL;
    return name;
}

/* Finds an object by its name's hash; the first, should two share it. */
static const struct object *find_object(const struct hour_listing *listing, uint64_t hash) {
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = object_name(&listing->objects[i]);
        if (name && node_hash(name) == hash)
            return &listing->objects[i];
    }
    return NULL;
}

/* The object that a node stands for, in a listing to be released where this returns 0. */
static int object_of_node(struct tree *tree, const struct node *node,
                          struct hour_listing **ret_listing, const struct object **ret,
                          struct patience *patience) {
    struct hour_listing *listing;
    int err = hours_objects(tree->hours, node->hour, &listing, patience);
    if (err)
        return err;
    *ret = find_object(listing, node->hash);
    if (!*ret) {
        catalog_release(tree->catalog, listing);
        return -ENOENT;
    }
    *ret_listing = listing;
    return 0;
}

static int lookup_object(struct tree *tree, hour_t hour, const char *name, struct node *ret,
                         struct patience *patience) {
    struct node node = {.kind = NODE_OBJECT, .hour = hour, .hash = node_hash(name)};
    struct hour_listing *listing;
    const struct object *object;
    int err = object_of_node(tree, &node, &listing, &object, patience);
    if (err)
        return err;
    if (strcmp(object_name(object), name) != 0)
        err = -ENOENT;
    catalog_release(tree->catalog, listing);
    if (!err)
        *ret = node;
    return err;
}

/* -- Folders ----------------------------------------------------------------------------------- */

/* The label's fields down to a depth; what is below is zero. */
static hour_t folder_of(hour_t hour, unsigned depth) {
    static const hour_t masks[] = {0, ~0u << 14, ~0u << 10, ~0u << 5, ~0u};
    return hour & masks[depth];
}

/* The current hour (0) or the next (1). Clocks put forward skip a label, put back repeat one. */
static hour_t current_hour(int ahead) {
    return hour_at(time(NULL) + ahead * 3600);
}

/* The current and the next hour exist before anything was delivered in them. */
static int add_current(hour_t folder, unsigned depth, struct children *children) {
    int err = 0;
    for (int i = 0; !err && i <= 1; i++) {
        hour_t hour = current_hour(i);
        if (folder_of(hour, depth) == folder)
            err = children_add(children, folder_of(hour, depth + 1), depth);
    }
    return err;
}

static int list_children(struct tree *tree, hour_t folder, unsigned depth, struct children *ret,
                         struct patience *patience) {
    int err = hours_children(tree->hours, folder, depth, ret, patience);
    int current = err == -EINTR ? 0 : add_current(folder, depth, ret);
    hour_t any;
    if (err && err != -EINTR && children_at(ret, folder, depth, 0, &any))
        err = 0;
    return err ? err : current;
}

static bool is_current(hour_t child, unsigned depth) {
    return folder_of(current_hour(0), depth) == child || folder_of(current_hour(1), depth) == child;
}

static int lookup_child(struct tree *tree, const struct node *folder, enum node_kind kind,
                        const char *name, struct node *ret, struct patience *patience) {
    struct children children = {0};
    hour_t child;
    if (!hour_child(folder->hour, folder->depth, name, &child))
        return -ENOENT;
    int err = is_current(child, folder->depth + 1)
                  ? children_add(&children, child, folder->depth)
                  : list_children(tree, folder->hour, folder->depth, &children, patience);
    if (!err && !children_has(&children, child, folder->depth))
        err = -ENOENT;
    children_free(&children);
    if (!err)
        *ret = (struct node){.kind = kind, .hour = child, .depth = folder->depth + 1};
    return err;
}

static int lookup_in_root(struct tree *tree, const struct node *root, const char *name,
                          struct node *ret, struct patience *patience) {
    if (strcmp(name, ".objects") == 0)
        *ret = (struct node){.kind = NODE_OBJECTS};
    else if (strcmp(name, ".maciefs") == 0)
        *ret = (struct node){.kind = NODE_META};
    else if (strcmp(name, TREE_WAZUH_NAME) == 0)
        *ret = (struct node){.kind = NODE_WAZUH};
    else
        return lookup_child(tree, root, NODE_TREE, name, ret, patience);
    return 0;
}

static int lookup_meta(const char *name, struct node *ret) {
    if (strcmp(name, "status.json") == 0)
        *ret = (struct node){.kind = NODE_STATUS};
    else if (strcmp(name, "metrics") == 0)
        *ret = (struct node){.kind = NODE_METRICS};
    else
        return -ENOENT;
    return 0;
}

static int lookup_log(hour_t hour, const char *name, struct node *ret) {
    if (strcmp(name, TREE_LOG_NAME) != 0)
        return -ENOENT;
    *ret = (struct node){.kind = NODE_LOG, .hour = hour};
    return 0;
}

int tree_lookup(struct tree *tree, const struct node *folder, const char *name, struct node *ret,
                struct patience *patience) {
    switch (folder->kind) {
    case NODE_ROOT:
        return lookup_in_root(tree, folder, name, ret, patience);
    case NODE_META:
        return lookup_meta(name, ret);
    case NODE_WAZUH:
        return tree_wazuh_lookup(tree, name, ret);
    case NODE_TREE:
        return folder->depth == HOUR_DEPTH
                   ? lookup_log(folder->hour, name, ret)
                   : lookup_child(tree, folder, NODE_TREE, name, ret, patience);
    case NODE_OBJECTS:
        return folder->depth == HOUR_DEPTH
                   ? lookup_object(tree, folder->hour, name, ret, patience)
                   : lookup_child(tree, folder, NODE_OBJECTS, name, ret, patience);
    default:
        return -ENOTDIR;
    }
}

/* -- Attributes -------------------------------------------------------------------------------- */

static int log_attributes(struct tree *tree, hour_t hour, bool exact, struct stat *ret,
                          struct patience *patience) {
    struct log_state state;
    int err = exact ? hours_ready(tree->hours, hour, false, patience) : 0;
    if (!err)
        err = store_state(tree->store, hour, &state);
    if (err)
        return err;
    ret->st_size = (off_t)state.size;
    ret->st_mtime = state.known ? (time_t)state.modified : hour_start_past(hour);
    return 0;
}

static int object_attributes(struct tree *tree, const struct node *node, bool exact,
                             struct stat *ret, struct patience *patience) {
    struct hour_listing *listing;
    const struct object *object;
    uint64_t size = 0;
    int err = object_of_node(tree, node, &listing, &object, patience);
    if (err)
        return err;
    ret->st_mtime = (time_t)object->modified;
    if (exact)
        err = hours_blob(tree->hours, node->hour, object, patience);
    if (!err)
        err = blob_size(tree->store, node->hour, object, &size);
    if (err == -ENODATA && !exact)
        err = 0;
    catalog_release(tree->catalog, listing);
    ret->st_size = (off_t)size;
    return err;
}

int tree_attributes(struct tree *tree, const struct node *node, bool exact, struct stat *ret,
                    struct patience *patience) {
    int err = 0;
    bool folder = node_is_folder(node);
    *ret = (struct stat){
        .st_ino = node_id(node),
        .st_mode = folder ? S_IFDIR | config_folder_mode(tree->config)
                          : S_IFREG | config_file_mode(tree->config),
        .st_nlink = folder ? 2 : 1,
        .st_uid = tree->config->uid,
        .st_gid = tree->config->gid,
        .st_blksize = BLOCK_SIZE,
        .st_mtime = (time_t)atomic_load(&tree->counters->mounted),
    };
    if (node->kind == NODE_LOG)
        err = log_attributes(tree, node->hour, exact, ret, patience);
    else if (node->kind == NODE_OBJECT)
        err = object_attributes(tree, node, exact, ret, patience);
    else if (node->kind == NODE_WAZUH_LOG)
        err = tree_wazuh_attributes(tree, node->hour, ret);
    else if (folder && node->depth == HOUR_DEPTH)
        ret->st_mtime = hour_start(node->hour);
    ret->st_atime = ret->st_ctime = ret->st_mtime;
    ret->st_blocks = (ret->st_size + 511) / 512;
    return err;
}

/* -- Bytes ------------------------------------------------------------------------------------- */

static int open_object(struct tree *tree, const struct node *node, struct patience *patience) {
    struct hour_listing *listing;
    const struct object *object;
    int err = object_of_node(tree, node, &listing, &object, patience);
    if (err)
        return err;
    err = hours_blob(tree->hours, node->hour, object, patience);
    catalog_release(tree->catalog, listing);
    return err;
}

int tree_open(struct tree *tree, const struct node *node, struct patience *patience) {
    if (node_is_folder(node))
        return -EISDIR;
    if (node->kind == NODE_LOG)
        return hours_ready(tree->hours, node->hour, true, patience);
    return node->kind == NODE_OBJECT ? open_object(tree, node, patience) : 0;
}

/* How many of `len` bytes at `offset` stat tells of. */
static int announced_len(struct tree *tree, hour_t hour, uint64_t offset, size_t *len) {
    struct log_state state;
    int err = store_state(tree->store, hour, &state);
    if (err)
        return err;
    uint64_t rest = offset < state.size ? state.size - offset : 0;
    if (rest < *len)
        *len = (size_t)rest;
    return 0;
}

static int read_log(struct tree *tree, hour_t hour, const struct reading *reading,
                    struct file_range *ret, struct patience *patience) {
    size_t len = reading->len;
    int err = reading->cached ? 0 : announced_len(tree, hour, reading->offset, &len);
    if (err)
        return err;
    /* It may be evicted while it is open, and again as soon as it is back. */
    while ((err = store_open_range(tree->store, hour, reading->offset, len, ret)) == -ENODATA) {
        err = hours_ready(tree->hours, hour, true, patience);
        if (err)
            break;
    }
    return err;
}

static int read_object(struct tree *tree, const struct node *node, const struct reading *reading,
                       struct file_range *ret, struct patience *patience) {
    struct hour_listing *listing;
    const struct object *object;
    int err = object_of_node(tree, node, &listing, &object, patience);
    if (err)
        return err;
    while ((err = blob_open_range(tree->store, node->hour, object, reading->offset, reading->len,
                                  ret)) == -ENODATA) {
        err = hours_blob(tree->hours, node->hour, object, patience);
        if (err)
            break;
    }
    catalog_release(tree->catalog, listing);
    return err;
}

/* Its pace goes by the lines that it gives, so it has to look at them. */
static int read_wazuh(struct tree *tree, hour_t hour, const struct reading *reading,
                      struct tree_bytes *ret, struct patience *patience) {
    ret->at = malloc(reading->len ? reading->len : 1);
    if (!ret->at)
        return -ENOMEM;
    ssize_t n = wazuh_read(tree->wazuh, hour, reading->reader, reading->offset, ret->at,
                           reading->len, patience);
    ret->len = n < 0 ? 0 : (size_t)n;
    return n < 0 ? (int)n : 0;
}

/* Small texts made anew for each read, as files under /proc are. */
static int read_report(struct tree *tree, const struct node *node, const struct reading *reading,
                       struct tree_bytes *ret) {
    struct buf text;
    buf_init(&text, 64 * 1024);
    int err = node->kind == NODE_STATUS ? report_status(tree->counters, tree->source->name, &text)
                                        : report_metrics(tree->counters, &text);
    size_t rest = err || reading->offset >= text.len ? 0 : text.len - (size_t)reading->offset;
    ret->len = rest < reading->len ? rest : reading->len;
    ret->at = ret->len ? malloc(ret->len) : NULL;
    if (ret->at)
        memcpy(ret->at, text.at + reading->offset, ret->len);
    else if (ret->len)
        err = -ENOMEM;
    buf_free(&text);
    return err;
}

static int read_node(struct tree *tree, const struct node *node, const struct reading *reading,
                     struct tree_bytes *ret, struct patience *patience) {
    switch (node->kind) {
    case NODE_LOG:
        return read_log(tree, node->hour, reading, &ret->file, patience);
    case NODE_OBJECT:
        return read_object(tree, node, reading, &ret->file, patience);
    case NODE_WAZUH_LOG:
        return read_wazuh(tree, node->hour, reading, ret, patience);
    case NODE_STATUS:
    case NODE_METRICS:
        return read_report(tree, node, reading, ret);
    default:
        return -EISDIR;
    }
}

int tree_read(struct tree *tree, const struct node *node, const struct reading *reading,
              struct tree_bytes *ret, struct patience *patience) {
    *ret = (struct tree_bytes){.file.fd = -1};
    int err = read_node(tree, node, reading, ret, patience);
    if (err)
        tree_bytes_free(ret);
    return err;
}

void tree_bytes_free(struct tree_bytes *bytes) {
    file_range_close(&bytes->file);
    free(bytes->at);
    *bytes = (struct tree_bytes){.file.fd = -1};
}

/* -- Listing ----------------------------------------------------------------------------------- */

/* The last component of a folder's path. */
static const char *last_component(hour_t folder, unsigned depth, char path[HOUR_PATH_LEN + 1]) {
    hour_path(folder, depth, path);
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* An entry's place is its number in the calendar and one, so that it stays when others come. */
static uint64_t child_place(hour_t child, unsigned depth) {
    return (uint64_t)folder_of(child, depth) + 1;
}

static int list_folder(struct tree *tree, const struct node *folder, enum node_kind kind,
                       uint64_t after, tree_visitor visit, void *ctx, struct patience *patience) {
    struct children children = {0};
    unsigned depth = folder->depth;
    bool more = true;
    hour_t child;
    int err = list_children(tree, folder->hour, depth, &children, patience);
    for (size_t n = 0; !err && more && children_at(&children, folder->hour, depth, n, &child);
         n++) {
        char path[HOUR_PATH_LEN + 1];
        struct node node = {.kind = kind, .hour = child, .depth = depth + 1};
        uint64_t place = child_place(child, depth + 1);
        if (place > after)
            more = visit(ctx, last_component(child, depth + 1, path), &node, place);
    }
    children_free(&children);
    return err;
}

/* Tells once which objects have no place in .objects. */
static void tell_hidden(struct tree *tree, const struct object *object) {
    struct fault fault;
    fault_set(&fault, 0,
              "%s%s is not shown in .objects, since its key can be no file name; its events are in "
              "the hour's log",
              tree->source->name, object->key);
    if (hours_tell_once(tree->hours, REPORT_WARNING, fault.text))
        atomic_fetch_add(&tree->counters->hidden, 1);
}

/* The hashes of an hour's names, by which they have their places; 0 where there is no name. */
static uint64_t *hash_names(const struct hour_listing *listing) {
    uint64_t *hashes = calloc(listing->count + 1, sizeof *hashes);
    for (size_t i = 0; hashes && i < listing->count; i++) {
        const char *name = object_name(&listing->objects[i]);
        hashes[i] = name ? node_hash(name) : 0;
    }
    return hashes;
}

/* The first with this hash, which is the one that is shown; `count` where there is none. */
static size_t first_with(const uint64_t *hashes, size_t count, uint64_t hash) {
    size_t i = 0;
    while (i < count && hashes[i] != hash)
        i++;
    return i;
}

static void visit_objects(struct tree *tree, const struct hour_listing *listing,
                          const uint64_t *hashes, uint64_t after, tree_visitor visit, void *ctx) {
    bool more = true;
    /* An object that is gone since ends the listing. */
    for (size_t i = after ? first_with(hashes, listing->count, after) + 1 : 0;
         more && i < listing->count; i++) {
        struct node node = {.kind = NODE_OBJECT, .hour = listing->hour, .hash = hashes[i]};
        if (hashes[i] && first_with(hashes, i, hashes[i]) == i)
            more = visit(ctx, object_name(&listing->objects[i]), &node, hashes[i]);
        else
            tell_hidden(tree, &listing->objects[i]);
    }
}

static int list_objects(struct tree *tree, hour_t hour, uint64_t after, tree_visitor visit,
                        void *ctx, struct patience *patience) {
    struct hour_listing *listing;
    int err = hours_objects(tree->hours, hour, &listing, patience);
    if (err)
        return is_current(hour, HOUR_DEPTH) && err != -EINTR ? 0 : err;
    uint64_t *hashes = hash_names(listing);
    if (hashes)
        visit_objects(tree, listing, hashes, after, visit, ctx);
    free(hashes);
    catalog_release(tree->catalog, listing);
    return hashes ? 0 : -ENOMEM;
}

static int list_meta(uint64_t after, tree_visitor visit, void *ctx) {
    const struct node status = {.kind = NODE_STATUS}, metrics = {.kind = NODE_METRICS};
    if (after < 1 && !visit(ctx, "status.json", &status, 1))
        return 0;
    if (after < 2)
        visit(ctx, "metrics", &metrics, 2);
    return 0;
}

/* Its own folder comes first, before any year's place. */
static int list_root(struct tree *tree, const struct node *root, uint64_t after, tree_visitor visit,
                     void *ctx, struct patience *patience) {
    const struct node wazuh = {.kind = NODE_WAZUH};
    if (after < 1 && !visit(ctx, TREE_WAZUH_NAME, &wazuh, 1))
        return 0;
    return list_folder(tree, root, NODE_TREE, after, visit, ctx, patience);
}

static int list_hour(hour_t hour, uint64_t after, tree_visitor visit, void *ctx) {
    const struct node log = {.kind = NODE_LOG, .hour = hour};
    if (after < 1)
        visit(ctx, TREE_LOG_NAME, &log, 1);
    return 0;
}

int tree_list(struct tree *tree, const struct node *folder, uint64_t after, tree_visitor visit,
              void *ctx, struct patience *patience) {
    switch (folder->kind) {
    case NODE_META:
        return list_meta(after, visit, ctx);
    case NODE_ROOT:
        return list_root(tree, folder, after, visit, ctx, patience);
    case NODE_WAZUH:
        return tree_wazuh_list(tree, after, visit, ctx);
    case NODE_TREE:
        return folder->depth == HOUR_DEPTH
                   ? list_hour(folder->hour, after, visit, ctx)
                   : list_folder(tree, folder, NODE_TREE, after, visit, ctx, patience);
    case NODE_OBJECTS:
        return folder->depth == HOUR_DEPTH
                   ? list_objects(tree, folder->hour, after, visit, ctx, patience)
                   : list_folder(tree, folder, NODE_OBJECTS, after, visit, ctx, patience);
    default:
        return -ENOTDIR;
    }
}
