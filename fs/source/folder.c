#include "walk.h"

#include <maciefs/folder.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)128 * 1024)

struct folder_source {
    struct source source;
    char *name;
    char *path;
    atomic_bool stop;
};

static struct folder_source *folder_of(struct source *source) {
    return (struct folder_source *)source;
}

static int stopped(struct fault *fault) {
    return fault_set(fault, -ECANCELED, "stopped");
}

/* Anew for each call: a folder that was away, or made anew, is found again. */
static int open_root(const struct folder_source *folder, struct fault *fault) {
    int fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return fault_set(fault, -ENOENT, "SOURCE: there is no folder %s", folder->path);
    return fd >= 0 ? fd : walk_failed(folder->path, "", errno, fault);
}

static int folder_list(struct source *source, const struct list_query *query, struct listing *ret,
                       struct fault *fault) {
    struct folder_source *folder = folder_of(source);
    if (atomic_load(&folder->stop))
        return stopped(fault);
    int root = open_root(folder, fault);
    if (root < 0)
        return root;
    int err = walk_list(root, folder->path, query, &folder->stop, ret, fault);
    close(root);
    return err;
}

/* ---- Fetching ---- */

static int file_failed(const struct folder_source *folder, const char *key, int err,
                       struct fault *fault) {
    if (err == ENOENT || err == ENOTDIR || err == ELOOP)
        return fault_set(fault, -ENOENT, "%s/%s is gone", folder->path, key);
    return walk_failed(folder->path, key, err, fault);
}

/* One component, never a way up or a link. */
static int open_component(int at, const char *name, size_t len, bool last) {
    char component[OBJECT_KEY_MAX + 1];
    if (len == 0 || len > OBJECT_KEY_MAX || (name[0] == '.' && len == 1) ||
        (name[0] == '.' && name[1] == '.' && len == 2)) {
        errno = ENOENT;
        return -1;
    }
    memcpy(component, name, len);
    component[len] = '\0';
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
    return openat(at, component, flags | (last ? O_NONBLOCK | O_NOCTTY : O_DIRECTORY));
}

static int open_file(const struct folder_source *folder, const char *key, struct fault *fault) {
    int fd = open_root(folder, fault);
    const char *name = key;
    while (fd >= 0 && name) {
        size_t len = strcspn(name, "/");
        bool last = name[len] == '\0';
        int inner = open_component(fd, name, len, last);
        int err = errno;
        close(fd);
        fd = inner >= 0 ? inner : file_failed(folder, key, err, fault);
        name = last ? NULL : name + len + 1;
    }
    return fd;
}

static int check_same(const struct folder_source *folder, const struct object *object, int fd,
                      struct fault *fault) {
    struct stat st;
    char etag[OBJECT_ETAG_MAX + 1];
    if (fstat(fd, &st) != 0)
        return file_failed(folder, object->key, errno, fault);
    walk_etag(&st, etag);
    if (!S_ISREG(st.st_mode) || strcmp(etag, object->etag) != 0)
        return fault_set(fault, -ESTALE, "%s/%s is no longer the file that was listed",
                         folder->path, object->key);
    return 0;
}

/* Sends as many bytes as were listed; what a file grows by meanwhile is found by check_same. */
static int send_bytes(struct folder_source *folder, const struct object *object, int fd,
                      const struct object_sink *sink, uint8_t *chunk, struct fault *fault) {
    uint64_t left = object->size;
    while (left) {
        if (atomic_load(&folder->stop))
            return stopped(fault);
        ssize_t got = read(fd, chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault_set(fault, -EIO, "cannot read %s/%s: %s", folder->path, object->key,
                             strerror(errno));
        if (got == 0)
            return fault_set(fault, -ESTALE, "%s/%s was cut short while it was read", folder->path,
                             object->key);
        int err = sink->write(sink->ctx, chunk, (size_t)got);
        if (err)
            return err;
        left -= (uint64_t)got;
    }
    return 0;
}

static int folder_get(struct source *source, const struct object *object,
                      const struct object_sink *sink, struct fault *fault) {
    struct folder_source *folder = folder_of(source);
    if (atomic_load(&folder->stop))
        return stopped(fault);
    int fd = open_file(folder, object->key, fault);
    if (fd < 0)
        return fd;
    uint8_t *chunk = malloc(CHUNK_BYTES);
    int err =
        chunk ? check_same(folder, object, fd, fault) : fault_set(fault, -ENOMEM, "no memory");
    if (!err)
        err = send_bytes(folder, object, fd, sink, chunk, fault);
    if (!err)
        err = check_same(folder, object, fd, fault);
    free(chunk);
    close(fd);
    return err;
}

/* ---- The source ---- */

static void folder_stop(struct source *source) {
    atomic_store(&folder_of(source)->stop, true);
}

static void folder_free(struct source *source) {
    struct folder_source *folder = folder_of(source);
    free(folder->name);
    free(folder->path);
    free(folder);
}

static const struct source_ops FOLDER_OPS = {folder_list, folder_get, folder_stop, folder_free};

int folder_source_new(const struct config *config, struct source **ret, struct fault *fault) {
    struct folder_source *folder = calloc(1, sizeof *folder);
    if (!folder)
        return fault_set(fault, -ENOMEM, "no memory");
    folder->path = strdup(config->bucket);
    if (asprintf(&folder->name, "file://%s", config->bucket) < 0)
        folder->name = NULL;
    if (!folder->path || !folder->name) {
        folder_free(&folder->source);
        return fault_set(fault, -ENOMEM, "no memory");
    }
    atomic_init(&folder->stop, false);
    folder->source = (struct source){
        .ops = &FOLDER_OPS, .name = folder->name, .bucket = folder->path, .prefix = ""};
    *ret = &folder->source;
    return 0;
}
