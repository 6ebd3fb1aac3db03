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

int blob_size(struct store *store, hour_t hour, const struct object *object, uint64_t *ret) {
    struct stat st;
    char path[BLOB_PATH_MAX];
    blob_path(hour, object, path);
    if (fstatat(store->folder, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -ENODATA : -errno;
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    /* In use: at worst it is evicted sooner. */
    (void)utimensat(store->folder, path, times, AT_SYMLINK_NOFOLLOW);
    *ret = (uint64_t)st.st_size;
    return 0;
}

int blob_open_range(struct store *store, hour_t hour, const struct object *object, uint64_t offset,
                    size_t len, struct file_range *ret) {
    char path[BLOB_PATH_MAX];
    blob_path(hour, object, path);
    return file_range_open(store->folder, path, offset, len, ret);
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
