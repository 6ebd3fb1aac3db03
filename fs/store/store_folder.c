/* The cache folder: its lock, and where things lie in it. */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
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

/* A descriptor of a folder in which logs can be kept, or -errno. */
static int open_usable(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

static int refuse_folder(const char *folder, int err, struct fault *fault) {
    return fault_set(
        fault, err,
        "the cache folder %s cannot be used (%s): name one that this user may write to "
        "with cache=FOLDER",
        folder, strerror(-err));
}

static int open_folder(const char *folder, struct fault *fault) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/.", folder);
    int err = n < (int)sizeof path ? store_make_parents(AT_FDCWD, path) : -ENAMETOOLONG;
    int fd = err ? err : open_usable(folder);
    return fd < 0 ? refuse_folder(folder, fd, fault) : fd;
}

/* The folder says whose it is, so that two sources never mix their events. */
static int write_source(int fd, const char *source) {
    int file = openat(fd, SOURCE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    int err = file_pwrite(file, (const uint8_t *)source, strlen(source), 0);
    if (!err && fsync(file) < 0)
        err = -errno;
    close(file);
    return err;
}

static int cannot_use(const char *folder, int err, struct fault *fault) {
    return fault_set(fault, err, "the cache folder %s cannot be used: %s", folder, strerror(-err));
}

/* Refuses a folder of another source. Whether it says whose it is, in *ret_owned. */
static int check_owner(int fd, const char *folder, const char *source, bool *ret_owned,
                       struct fault *fault) {
    char owner[SOURCE_MAX + 1];
    int file = openat(fd, SOURCE_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, owner, SOURCE_MAX);
    int err = n < 0 ? -errno : 0;
    if (file >= 0)
        close(file);
    if (err)
        return cannot_use(folder, err, fault);
    owner[n < 0 ? 0 : n] = '\0';
    *ret_owned = n > 0;
    if (n == 0 || strcmp(owner, source) == 0)
        return 0;
    return fault_set(fault, -EEXIST,
                     "the cache folder %s holds the logs of %s: give %s its own with "
                     "cache=FOLDER, or empty that one",
                     folder, owner, source);
}

static int check_source(int fd, const char *folder, const char *source, struct fault *fault) {
    bool owned;
    int err = check_owner(fd, folder, source, &owned, fault);
    if (err || owned)
        return err;
    err = write_source(fd, source);
    return err ? cannot_use(folder, err, fault) : 0;
}

/* Who only looks whether the lock is free holds it for an instant: it is tried again once. */
static bool take_lock(int fd) {
    static const struct timespec instant = {.tv_nsec = 100 * 1000 * 1000};
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    nanosleep(&instant, NULL);
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

int store_lock(const char *folder, const char *source, struct fault *fault) {
    int fd = open_folder(folder, fault);
    if (fd < 0)
        return fd;
    int err = 0;
    if (!take_lock(fd))
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

/* ---- A look ---- */

/* Cuts the last component off an absolute path. False where there is none. */
static bool cut_last(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash || !slash[1])
        return false;
    slash[slash == path] = '\0';
    return true;
}

/* Finds the folder, or the nearest one above it that is there. Returns 0 or -errno. */
static int find_place(const char *folder, struct store_place *place, struct stat *st) {
    place->folder = strdup(folder);
    if (!place->folder)
        return -ENOMEM;
    place->made = true;
    while (stat(place->folder, st) < 0) {
        int err = -errno;
        if (err != -ENOENT || !cut_last(place->folder))
            return err;
        place->made = false;
    }
    return S_ISDIR(st->st_mode) ? 0 : -ENOTDIR;
}

/* What a folder holds that is there. */
static int look_into(const char *folder, const char *source, struct store_place *place,
                     struct fault *fault) {
    int fd = open_usable(folder);
    if (fd < 0)
        return refuse_folder(folder, fd, fault);
    bool owned;
    int err = source ? check_owner(fd, folder, source, &owned, fault) : 0;
    if (!err) {
        place->locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
        flock(fd, LOCK_UN);
        err = store_folder_bytes(fd, &place->used);
        if (err)
            cannot_use(folder, err, fault);
    }
    close(fd);
    return err;
}

static int look(const char *folder, const char *source, struct store_place *place,
                struct fault *fault) {
    struct stat st;
    struct statvfs room;
    int err = find_place(folder, place, &st);
    if (!err && !place->made && faccessat(AT_FDCWD, place->folder, W_OK | X_OK, AT_EACCESS) < 0)
        err = -errno;
    if (!err && statvfs(place->folder, &room) < 0)
        err = -errno;
    if (err)
        return refuse_folder(folder, err, fault);
    place->owner = st.st_uid;
    place->mode = st.st_mode & 07777;
    place->free = (uint64_t)room.f_bavail * room.f_frsize;
    return place->made ? look_into(folder, source, place, fault) : 0;
}

int store_look(const char *folder, const char *source, struct store_place *ret,
               struct fault *fault) {
    struct store_place place = {0};
    int err = look(folder, source, &place, fault);
    if (err)
        store_place_free(&place);
    else
        *ret = place;
    return err;
}

void store_place_free(struct store_place *place) {
    free(place->folder);
    *place = (struct store_place){0};
}
