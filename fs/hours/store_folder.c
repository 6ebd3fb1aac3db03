/* The cache folder: its lock, and where things lie in it. */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define SOURCE_FILE "source"
#define SOURCE_MAX 4096

void store_path(hour_t hour, enum store_file file, char ret[STORE_PATH_MAX]) {
    static const char *const endings[] = {[STORE_DATA] = ".ndjson", [STORE_JOURNAL] = ".journal"};
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    snprintf(ret, STORE_PATH_MAX, "%s%s", path, endings[file]);
}

int store_make_parents(int folder, const char *path) {
    char parent[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        if (len >= sizeof parent)
            return -ENAMETOOLONG;
        memcpy(parent, path, len);
        parent[len] = '\0';
        if (mkdirat(folder, parent, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int sync_folder(int folder, const char *path) {
    int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return err;
}

int store_sync_parents(int folder, const char *path) {
    char parent[PATH_MAX];
    if (strlen(path) >= sizeof parent)
        return -ENAMETOOLONG;
    memcpy(parent, path, strlen(path) + 1);
    int err = 0;
    for (char *slash; !err && (slash = strrchr(parent, '/'));) {
        *slash = '\0';
        err = sync_folder(folder, parent);
    }
    return err ? err : sync_folder(folder, ".");
}

int store_pwrite(int fd, const uint8_t *at, size_t len, uint64_t offset) {
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

int file_sink_write(void *ctx, const uint8_t *at, size_t len) {
    struct file_sink *sink = ctx;
    int err = store_pwrite(sink->fd, at, len, sink->offset);
    if (err)
        return err;
    sink->offset += len;
    sink->crc32 = (uint32_t)crc32_z(sink->crc32, at, len);
    return 0;
}

static int open_folder(const char *folder, struct fault *fault) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/.", folder);
    int err = n < (int)sizeof path ? store_make_parents(AT_FDCWD, path) : -ENAMETOOLONG;
    int fd = err ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!err && fd < 0)
        err = -errno;
    if (!err && faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
        err = -errno;
    if (!err)
        return fd;
    if (fd >= 0)
        close(fd);
    return fault_set(
        fault, err,
        "the cache folder %s cannot be used (%s): name one that this user may write to "
        "with cache=FOLDER",
        folder, strerror(-err));
}

/* The folder says whose it is, so that two sources never mix their events. */
static int write_source(int fd, const char *source) {
    int file = openat(fd, SOURCE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    int err = store_pwrite(file, (const uint8_t *)source, strlen(source), 0);
    if (!err && fsync(file) < 0)
        err = -errno;
    close(file);
    return err;
}

static int check_source(int fd, const char *folder, const char *source, struct fault *fault) {
    char owner[SOURCE_MAX + 1];
    int file = openat(fd, SOURCE_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, owner, SOURCE_MAX);
    int err = n < 0 ? -errno : 0;
    if (file >= 0)
        close(file);
    owner[n > 0 ? n : 0] = '\0';
    if (n > 0 && strcmp(owner, source) != 0)
        return fault_set(fault, -EEXIST,
                         "the cache folder %s holds the logs of %s: give %s its own with "
                         "cache=FOLDER, or empty that one",
                         folder, owner, source);
    if (n == 0)
        err = write_source(fd, source);
    return err ? fault_set(fault, err, "the cache folder %s cannot be used: %s", folder,
                           strerror(-err))
               : 0;
}

int store_lock(const char *folder, const char *source, struct fault *fault) {
    int fd = open_folder(folder, fault);
    if (fd < 0)
        return fd;
    int err = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        err = fault_set(fault, -EBUSY,
                        "another maciefs already uses the cache folder %s: unmount it first, or "
                        "give this mount its own with cache=FOLDER",
                        folder);
    if (!err)
        err = check_source(fd, folder, source, fault);
    if (!err)
        return fd;
    close(fd);
    return err;
}
