/* Objects as they are stored, which stand in for a log's bytes until the disk has those. */
#include "store_private.h"

#include <maciefs/clock.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "stored"
#define STORED_PATH_MAX (sizeof FOLDER "/" + HOUR_PATH_LEN)

/* Logs that may wait for the disk at once: each holds a descriptor. */
#define STORED_MAX 64

/* The first line of a file names format, hour, and the start of the machine that wrote it. */
#define HEAD "maciefs-stored 1 "
#define HEAD_LEN (sizeof HEAD - 1 + HOUR_PATH_LEN + 1 + BOOT_LEN + 1)

void stored_find_boot(char ret[BOOT_LEN + 1]) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, ret, BOOT_LEN);
    ret[n == BOOT_LEN ? BOOT_LEN : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static void format_path(hour_t hour, char ret[STORED_PATH_MAX]) {
    char name[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, name);
    for (char *slash; (slash = strchr(name, '/'));)
        *slash = '-';
    snprintf(ret, STORED_PATH_MAX, FOLDER "/%s", name);
}

/* The hour of a name in the folder, if it is one. */
static bool hour_of_name(const char *name, hour_t *ret) {
    char key[HOUR_PATH_LEN + 2];
    if (strlen(name) != HOUR_PATH_LEN || strspn(name, "0123456789-") != HOUR_PATH_LEN)
        return false;
    for (size_t i = 0; i < HOUR_PATH_LEN; i++)
        key[i] = name[i] == '-' ? '/' : name[i];
    memcpy(key + HOUR_PATH_LEN, "/", 2);
    return hour_of_key(key, ret);
}

static void format_head(const struct store *store, hour_t hour, char ret[HEAD_LEN + 1]) {
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    snprintf(ret, HEAD_LEN + 1, HEAD "%s %s\n", path, store->boot);
}

struct stored *stored_find(const struct store *store, hour_t hour) {
    struct stored *stored = store->stored;
    while (stored && stored->hour != hour)
        stored = stored->next;
    return stored;
}

static void list(struct store *store, struct stored *stored) {
    stored->next = store->stored;
    stored->listed = true;
    store->stored = stored;
    store->stored_count++;
}

static void unlist(struct store *store, struct stored *stored) {
    struct stored **at = &store->stored;
    while (*at != stored)
        at = &(*at)->next;
    *at = stored->next;
    stored->listed = false;
    store->stored_count--;
}

static void free_stored(struct stored *stored) {
    if (stored->fd >= 0)
        close(stored->fd);
    if (stored->data >= 0)
        close(stored->data);
    free(stored);
}

static struct stored *new_stored(hour_t hour) {
    struct stored *stored = malloc(sizeof *stored);
    if (stored)
        *stored = (struct stored){.hour = hour, .fd = -1, .data = -1};
    return stored;
}

static void remove_file(const struct store *store, hour_t hour) {
    char path[STORED_PATH_MAX];
    format_path(hour, path);
    (void)unlinkat(store->folder, path, 0);
}

void stored_drop(struct store *store, hour_t hour) {
    struct stored *stored = stored_find(store, hour);
    if (!stored)
        return;
    remove_file(store, hour);
    store_account(store, -(int64_t)stored->len);
    unlist(store, stored);
    free_stored(stored);
}

/* -- Writing ----------------------------------------------------------------------------------- */

static int open_to_append(struct store *store, struct stored *stored) {
    char path[STORED_PATH_MAX], head[HEAD_LEN + 1];
    format_path(stored->hour, path);
    int err = store_make_parents(store->folder, path);
    if (err)
        return err;
    stored->fd =
        openat(store->folder, path,
               O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (stored->listed ? 0 : O_TRUNC), 0600);
    if (stored->fd < 0)
        return -errno;
    stored->written = stored->len;
    if (stored->listed)
        return 0;
    format_head(store, stored->hour, head);
    stored->written = HEAD_LEN;
    return file_pwrite(stored->fd, (const uint8_t *)head, HEAD_LEN, 0);
}

/* Whether they would be all that the log holds; the lock is held. */
static bool would_be_all(const struct store *store, const struct log *log,
                         const struct stored *stored) {
    if (stored)
        return stored->data >= 0 && log->restoring < 0;
    bool is_all = !log->known || log->restoring >= 0;
    return is_all && store->boot[0] && store->stored_count < STORED_MAX;
}

struct stored *stored_begin(struct store *store, const struct log *log) {
    pthread_mutex_lock(&store->lock);
    struct stored *stored = stored_find(store, log->hour);
    bool begin = would_be_all(store, log, stored);
    pthread_mutex_unlock(&store->lock);
    if (!begin)
        return NULL;
    if (!stored)
        stored = new_stored(log->hour);
    if (!stored || open_to_append(store, stored) == 0)
        return stored;
    stored_abandon(store, stored);
    return NULL;
}

static bool append(struct stored *stored, const struct spool *object) {
    struct file_sink sink = {.fd = stored->fd, .offset = stored->written};
    if (spool_save(object, &sink) < 0)
        return false;
    stored->written = sink.offset;
    return true;
}

void stored_add(struct store *store, struct stored **stored, const struct spool *object,
                uint64_t size) {
    if (!*stored || (object && object->len == size && append(*stored, object)))
        return;
    stored_abandon(store, *stored);
    *stored = NULL;
}

int stored_sync(struct store *store, struct stored *stored) {
    char path[STORED_PATH_MAX];
    format_path(stored->hour, path);
    if (fdatasync(stored->fd) < 0)
        return -errno;
    return stored->listed ? 0 : store_sync_parents(store->folder, path);
}

void stored_commit(struct store *store, struct stored *stored, int *data) {
    if (!stored->listed) {
        stored->data = *data;
        *data = -1;
        list(store, stored);
    }
    store_account(store, (int64_t)(stored->written - stored->len));
    stored->len = stored->written;
    stored->since = clock_ms();
    close(stored->fd);
    stored->fd = -1;
}

void stored_abandon(struct store *store, struct stored *stored) {
    if (!stored->listed) {
        remove_file(store, stored->hour);
        free_stored(stored);
        return;
    }
    if (stored->fd >= 0) {
        (void)!ftruncate(stored->fd, (off_t)stored->len);
        close(stored->fd);
    }
    stored->fd = -1;
}

/* -- What is done with them -------------------------------------------------------------------- */

int store_open_stored(struct store *store, hour_t hour, uint64_t offset, size_t len,
                      struct file_range *ret) {
    char path[STORED_PATH_MAX];
    pthread_mutex_lock(&store->lock);
    const struct stored *stored = stored_find(store, hour);
    bool has = stored && HEAD_LEN + offset + len <= stored->len;
    pthread_mutex_unlock(&store->lock);
    *ret = (struct file_range){.fd = -1};
    if (!has)
        return -ENODATA;
    format_path(hour, path);
    int err = file_range_open(store->folder, path, HEAD_LEN + offset, len, ret);
    if (err || ret->len == len)
        return err;
    file_range_close(ret);
    return -ENODATA;
}

void store_drop_stored(struct store *store, hour_t hour) {
    pthread_mutex_lock(&store->lock);
    stored_drop(store, hour);
    pthread_mutex_unlock(&store->lock);
}

hour_t store_lost(struct store *store) {
    pthread_mutex_lock(&store->lock);
    const struct stored *stored = store->stored;
    while (stored && stored->data >= 0)
        stored = stored->next;
    hour_t hour = stored ? stored->hour : 0;
    pthread_mutex_unlock(&store->lock);
    return hour;
}

/* Nobody is just writing to the log; the lock is held. */
static bool is_at_rest(struct store *store, const struct stored *stored) {
    const struct log *log = store_find(store, stored->hour);
    return stored->data >= 0 && !(log && log->uncommitted);
}

/* The log that has waited longest, if that is long enough; the lock is held. */
static struct stored *find_due(struct store *store, int64_t before) {
    struct stored *due = NULL;
    for (struct stored *stored = store->stored; stored; stored = stored->next)
        if (stored->since <= before && is_at_rest(store, stored) &&
            (!due || stored->since < due->since))
            due = stored;
    return due;
}

/* The disk has the log's bytes, or cannot be trusted to; the lock is held. */
static void settle(struct store *store, hour_t hour, uint64_t len, int err) {
    struct stored *stored = stored_find(store, hour);
    if (!stored || stored->len != len || !is_at_rest(store, stored))
        return; /* it has grown, or gone, meanwhile */
    if (!err) {
        stored_drop(store, hour);
        return;
    }
    (void)store_drop_data(store, hour);
    close(stored->data);
    stored->data = -1;
}

int store_settle(struct store *store, int64_t age_ms, hour_t *ret) {
    pthread_mutex_lock(&store->lock);
    const struct stored *due = find_due(store, clock_ms() - age_ms);
    uint64_t len = due ? due->len : 0;
    int fd = due ? fcntl(due->data, F_DUPFD_CLOEXEC, 0) : -1;
    *ret = fd < 0 ? 0 : due->hour;
    pthread_mutex_unlock(&store->lock);
    if (fd < 0)
        return 0; /* there is none, or no descriptor now */
    int err = fdatasync(fd) < 0 ? -errno : 0;
    close(fd);
    pthread_mutex_lock(&store->lock);
    settle(store, *ret, len, err);
    pthread_mutex_unlock(&store->lock);
    return err;
}

/* -- A server begins --------------------------------------------------------------------------- */

/* What a log is made of: bytes of its objects as they are stored, and of its lines. */
struct extent {
    uint64_t stored, lines;
};

static int add_entry(void *ctx, const struct journal_entry *entry) {
    struct extent *extent = ctx;
    extent->stored += entry->size;
    extent->lines += entry->length;
    return 0;
}

/* *ret is how long a file is that has all that the log holds; 0 where that is nothing. */
static int len_of_all(const struct store *store, hour_t hour, uint64_t *ret) {
    char path[STORE_PATH_MAX];
    struct extent extent = {0};
    uint64_t journal_len;
    store_path(hour, STORE_JOURNAL, path);
    int err = journal_read(store->folder, path, hour, add_entry, &extent, &journal_len);
    *ret = extent.lines ? HEAD_LEN + extent.stored : 0;
    return err == -ENOENT ? 0 : err;
}

/* Whether what the kernel was given in this file's time is there, on the disk or not. */
static bool is_of_this_boot(const struct store *store, hour_t hour, int fd) {
    char want[HEAD_LEN + 1], head[HEAD_LEN];
    format_head(store, hour, want);
    return store->boot[0] && pread(fd, head, HEAD_LEN, 0) == (ssize_t)HEAD_LEN &&
           memcmp(head, want, HEAD_LEN) == 0;
}

/* Takes up what an earlier server left; `fd` is the file. Returns 0 or -errno. */
static int take_up(struct store *store, hour_t hour, int fd) {
    struct stat st;
    char path[STORE_PATH_MAX];
    uint64_t len;
    int err = len_of_all(store, hour, &len);
    if (err || fstat(fd, &st) < 0)
        return err ? err : -errno;
    if (len == 0 || (uint64_t)st.st_size < len) {
        remove_file(store, hour); /* the disk has what these are not all of */
        return 0;
    }
    struct stored *stored = new_stored(hour);
    if (!stored)
        return -ENOMEM;
    stored->len = len;
    stored->since = clock_ms();
    list(store, stored);
    if (!is_of_this_boot(store, hour, fd))
        return store_drop_data(store, hour);
    store_path(hour, STORE_DATA, path);
    stored->data = openat(store->folder, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return 0;
}

int stored_load(struct store *store) {
    int fd = openat(store->folder, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return -ENOMEM;
    }
    int err = 0;
    for (struct dirent *entry; !err && (entry = readdir(folder));) {
        hour_t hour;
        if (!hour_of_name(entry->d_name, &hour))
            continue;
        int file = openat(fd, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        err = file < 0 ? -errno : take_up(store, hour, file);
        if (file >= 0)
            close(file);
    }
    closedir(folder);
    return err;
}

void stored_free(struct store *store) {
    while (store->stored) {
        struct stored *stored = store->stored;
        unlist(store, stored);
        free_stored(stored);
    }
}
