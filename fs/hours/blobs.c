#include "store_private.h"

#include <maciefs/blobs.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_PATH_MAX (sizeof "objects/" + HOUR_PATH_LEN + 1 + 48)

static void blob_path(hour_t hour, const struct object *object, char ret[BLOB_PATH_MAX]) {
    char path[HOUR_PATH_LEN + 1];
    struct key_digest digest = key_digest(object->key, object->etag);
    hour_path(hour, HOUR_DEPTH, path);
    snprintf(ret, BLOB_PATH_MAX, "objects/%s/%016" PRIx64 "%016" PRIx64 "%016" PRIx64, path,
             digest.key[0], digest.key[1], digest.etag);
}

static int open_blob(struct store *store, hour_t hour, const struct object *object) {
    char path[BLOB_PATH_MAX];
    blob_path(hour, object, path);
    int fd = openat(store->folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        return fd;
    return errno == ENOENT ? -ENODATA : -errno;
}

int blob_size(struct store *store, hour_t hour, const struct object *object, uint64_t *ret) {
    struct stat st;
    int fd = open_blob(store, hour, object);
    if (fd < 0)
        return fd;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    (void)futimens(fd, times); /* in use: at worst it is evicted sooner */
    close(fd);
    if (!err)
        *ret = (uint64_t)st.st_size;
    return err;
}

ssize_t blob_read(struct store *store, hour_t hour, const struct object *object, uint64_t offset,
                  void *at, size_t len) {
    int fd = open_blob(store, hour, object);
    if (fd < 0)
        return fd;
    ssize_t n = offset > INT64_MAX ? 0 : pread(fd, at, len, (off_t)offset);
    if (n < 0)
        n = -errno;
    close(fd);
    return n;
}

int blob_begin(struct store *store) {
    int fd = openat(store->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static int link_blob(struct store *store, int fd, const char *path) {
    char from[32];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, from, store->folder, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int blob_finish(struct store *store, int fd, hour_t hour, const struct object *object) {
    struct stat st;
    char path[BLOB_PATH_MAX];
    blob_path(hour, object, path);
    int err = fdatasync(fd) < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (!err)
        err = store_make_parents(store->folder, path);
    if (!err)
        err = link_blob(store, fd, path);
    close(fd);
    if (!err)
        store_account(store, st.st_size);
    return err == -EEXIST ? 0 : err; /* it came by another way */
}
