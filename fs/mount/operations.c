#include <maciefs/operations.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* Names do not change what they mean; new ones are asked for, since misses are not kept. */
#define ENTRY_SECONDS 60.0

/* But for those that leave by the clock. */
#define LEAVING_SECONDS 1.0

/* A settled log may get a late object, which must be seen within a second. */
#define SETTLED_SECONDS 1.0

/* The largest read that the kernel is told to make. */
#define READ_MAX (256 * 1024)

/* One request in the tree's terms. */
struct request {
    fuse_req_t fuse;
    struct tree *tree;
    struct node node;
    struct patience patience;
};

static void lose_patience(fuse_req_t fuse, void *ctx) {
    struct request *request = ctx;
    (void)fuse;
    atomic_store(&request->patience.lost, true);
    hours_wake(request->tree->hours);
}

/* Returns whether the id is one; else the request is answered. */
static bool begin(struct request *request, fuse_req_t fuse, fuse_ino_t id) {
    *request = (struct request){
        .fuse = fuse, .tree = fuse_req_userdata(fuse), .patience = {.waits = channel_step_aside}};
    if (!node_of_id(id, &request->node)) {
        fuse_reply_err(fuse, ENOENT);
        return false;
    }
    fuse_req_interrupt_func(fuse, lose_patience, request);
    return true;
}

/* Nothing waits any more; libfuse must not point at this request when it is gone. */
static void end_waiting(struct request *request) {
    fuse_req_interrupt_func(request->fuse, NULL, NULL);
}

static double attribute_seconds(struct tree *tree, const struct node *node) {
    return node_is_folder(node)          ? ENTRY_SECONDS
           : tree_is_settled(tree, node) ? SETTLED_SECONDS
                                         : 0.0;
}

static void op_init(void *userdata, struct fuse_conn_info *conn) {
    (void)userdata;
    conn->max_write = READ_MAX; /* libfuse makes the limit of reads of it */
    conn->max_read = 0;
    /* Pages are not moved: what was read would have to be read from the disk again. */
    conn->want &=
        ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_MOVE);
    conn->want |= conn->capable & FUSE_CAP_SPLICE_WRITE;
}

static void op_lookup(fuse_req_t fuse, fuse_ino_t parent, const char *name) {
    struct request request;
    struct node node;
    struct fuse_entry_param entry = {.entry_timeout = ENTRY_SECONDS};
    if (!begin(&request, fuse, parent))
        return;
    int err = tree_lookup(request.tree, &request.node, name, &node, &request.patience);
    if (!err)
        err = tree_attributes(request.tree, &node, false, &entry.attr, &request.patience);
    end_waiting(&request);
    if (err) {
        fuse_reply_err(fuse, -err);
        return;
    }
    entry.ino = node_id(&node);
    if (node.kind == NODE_WAZUH_LOG)
        entry.entry_timeout = LEAVING_SECONDS;
    /* The size was not made exact for a look-up: who wants it asks for the attributes. */
    entry.attr_timeout = node_is_folder(&node) ? ENTRY_SECONDS : 0.0;
    fuse_reply_entry(fuse, &entry);
}

static void op_getattr(fuse_req_t fuse, fuse_ino_t id, struct fuse_file_info *info) {
    struct request request;
    struct stat attributes;
    (void)info;
    if (!begin(&request, fuse, id))
        return;
    int err = tree_attributes(request.tree, &request.node, true, &attributes, &request.patience);
    end_waiting(&request);
    if (err)
        fuse_reply_err(fuse, -err);
    else
        fuse_reply_attr(fuse, &attributes, attribute_seconds(request.tree, &request.node));
}

static void op_open(fuse_req_t fuse, fuse_ino_t id, struct fuse_file_info *info) {
    struct request request;
    if (!begin(&request, fuse, id))
        return;
    int err = (info->flags & O_ACCMODE) == O_RDONLY
                  ? tree_open(request.tree, &request.node, &request.patience)
                  : -EROFS;
    end_waiting(&request);
    if (err) {
        fuse_reply_err(fuse, -err);
        return;
    }
    bool settled = tree_is_settled(request.tree, &request.node);
    info->direct_io = !settled;
    info->keep_cache = settled;
    info->fh = settled; /* all that there is to know of a handle, so that any server knows it */
    info->noflush = 1;
    fuse_reply_open(fuse, info);
}

/* A file's bytes go from its pages to the kernel's answer, without a copy of ours. */
static void reply_bytes(fuse_req_t fuse, const struct tree_bytes *bytes) {
    const struct file_range *file = &bytes->file;
    struct fuse_bufvec data = FUSE_BUFVEC_INIT(file->fd < 0 ? bytes->len : file->len);
    if (file->fd < 0) {
        fuse_reply_buf(fuse, (const char *)bytes->at, bytes->len);
        return;
    }
    data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY;
    data.buf[0].fd = file->fd;
    data.buf[0].pos = (off_t)file->offset;
    fuse_reply_data(fuse, &data, 0);
}

static void op_read(fuse_req_t fuse, fuse_ino_t id, size_t size, off_t offset,
                    struct fuse_file_info *info) {
    struct request request;
    if (!begin(&request, fuse, id))
        return;
    const struct reading reading = {
        .offset = (uint64_t)offset,
        .len = size < READ_MAX ? size : READ_MAX,
        .cached = info->fh != 0,
        .reader = fuse_req_ctx(fuse)->pid,
    };
    struct tree_bytes bytes;
    int err = tree_read(request.tree, &request.node, &reading, &bytes, &request.patience);
    end_waiting(&request);
    if (err) {
        fuse_reply_err(fuse, -err);
        return;
    }
    reply_bytes(fuse, &bytes);
    tree_bytes_free(&bytes);
}

/* -- Folders ----------------------------------------------------------------------------------- */

/* Entries on their way into the kernel's buffer. */
struct listing_buffer {
    struct request *request;
    bool plus; /* with what a look-up would tell */
    char *at;
    size_t len, size;
};

/* Places of the tree begin behind those of "." and "..". */
enum { PLACE_SELF = 1, PLACE_PARENT, PLACES_BEFORE = 2 };

static bool add_entry(struct listing_buffer *buffer, const char *name,
                      const struct fuse_entry_param *entry, uint64_t place) {
    char *at = buffer->at + buffer->len;
    size_t room = buffer->size - buffer->len;
    fuse_req_t fuse = buffer->request->fuse;
    size_t n = buffer->plus ? fuse_add_direntry_plus(fuse, at, room, name, entry, (off_t)place)
                            : fuse_add_direntry(fuse, at, room, name, &entry->attr, (off_t)place);
    if (n > room)
        return false;
    buffer->len += n;
    return true;
}

/* "." and ".." */
static bool add_dots(struct listing_buffer *buffer, const char *name, uint64_t place) {
    const struct fuse_entry_param entry = {
        .attr = {.st_ino = node_id(&buffer->request->node), .st_mode = S_IFDIR}};
    return add_entry(buffer, name, &entry, place);
}

/*
 * Folders come with what a look-up would tell, which costs nothing and spares a walk the look-ups.
 * Files do not: their attributes are more work than a walk may want.
 */
static bool add_node(void *ctx, const char *name, const struct node *node, uint64_t place) {
    struct listing_buffer *buffer = ctx;
    struct request *request = buffer->request;
    struct fuse_entry_param entry = {.attr = {.st_ino = node_id(node), .st_mode = S_IFREG}};
    if (node_is_folder(node) &&
        tree_attributes(request->tree, node, false, &entry.attr, &request->patience) == 0) {
        entry.ino = node_id(node);
        entry.attr_timeout = entry.entry_timeout = ENTRY_SECONDS;
    }
    return add_entry(buffer, name, &entry, place + PLACES_BEFORE);
}

static int list(struct request *request, struct listing_buffer *buffer, uint64_t place) {
    if (place < PLACE_SELF && !add_dots(buffer, ".", PLACE_SELF))
        return 0;
    if (place < PLACE_PARENT && !add_dots(buffer, "..", PLACE_PARENT))
        return 0;
    return tree_list(request->tree, &request->node,
                     place > PLACES_BEFORE ? place - PLACES_BEFORE : 0, add_node, buffer,
                     &request->patience);
}

static void read_folder(fuse_req_t fuse, fuse_ino_t id, size_t size, off_t offset, bool plus) {
    struct request request;
    if (!begin(&request, fuse, id))
        return;
    size_t room = size < READ_MAX ? size : READ_MAX;
    struct listing_buffer buffer = {
        .request = &request, .plus = plus, .at = malloc(room ? room : 1), .size = room};
    int err = buffer.at ? list(&request, &buffer, (uint64_t)offset) : -ENOMEM;
    end_waiting(&request);
    if (err)
        fuse_reply_err(fuse, -err);
    else
        fuse_reply_buf(fuse, buffer.at, buffer.len);
    free(buffer.at);
}

static void op_readdir(fuse_req_t fuse, fuse_ino_t id, size_t size, off_t offset,
                       struct fuse_file_info *info) {
    (void)info;
    read_folder(fuse, id, size, offset, false);
}

static void op_readdirplus(fuse_req_t fuse, fuse_ino_t id, size_t size, off_t offset,
                           struct fuse_file_info *info) {
    (void)info;
    read_folder(fuse, id, size, offset, true);
}

/* As for any read-only file system: there is no room, and what there is is taken. */
static void op_statfs(fuse_req_t fuse, fuse_ino_t id) {
    enum { BLOCK = 4096 };
    struct tree *tree = fuse_req_userdata(fuse);
    struct statvfs statistics = {
        .f_bsize = BLOCK,
        .f_frsize = BLOCK,
        .f_blocks = atomic_load(&tree->counters->cache_bytes_now) / BLOCK,
        .f_namemax = 255,
    };
    (void)id;
    fuse_reply_statfs(fuse, &statistics);
}

const struct fuse_lowlevel_ops operations = {
    .init = op_init,
    .lookup = op_lookup,
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .statfs = op_statfs,
};

static void drop_pages(struct fuse_session *session, uint64_t id, uint64_t offset) {
    /* -ENOENT: the kernel does not know the file, so it has no page of it. */
    (void)fuse_lowlevel_notify_inval_inode(session, id, (off_t)offset, 0);
}

/*
 * In a process of its own: the kernel waits for reads of those pages, and nothing can be killed
 * that waits there. A server that was to die then could not, and its successor, which has those
 * reads to answer, would never be started. The process does nothing but that one call, as befits
 * the child of many threads.
 */
void operations_drop_pages(struct fuse_session *session, hour_t hour, uint64_t offset) {
    const struct node log = {.kind = NODE_LOG, .hour = hour};
    pid_t pid = fork();
    if (pid == 0) {
        drop_pages(session, node_id(&log), offset);
        _exit(0);
    }
    if (pid < 0)
        drop_pages(session, node_id(&log), offset);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
