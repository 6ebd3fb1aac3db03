#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The names in one folder that are still to be visited; folders' end in '/', as in keys. */
struct level {
    DIR *dir;
    size_t base;  /* bytes of the path that lead here, with the final '/' */
    char **names; /* sorted */
    size_t count, next;
    char *last; /* where an earlier batch of names ended; NULL in the first */
    bool cut;   /* greater names were left for the next batch */
};

struct walk {
    const char *root_name;
    const char *prefix, *after, *token;
    bool folders; /* keys are folded at '/' */
    size_t limit;
    const atomic_bool *stop;
    struct timespec now;
    struct level *levels;
    size_t depth, room;
    char path[OBJECT_KEY_MAX + 1];
    struct listing *page;
    const char *newest; /* the greatest entry on the page; of the page's memory */
};

int walk_failed(const char *root_name, const char *key, int err, struct fault *fault) {
    int code = err == EACCES || err == EPERM ? -EACCES : err == ENOMEM ? -ENOMEM : -ENETDOWN;
    return fault_set(fault, code, "cannot read %s/%s: %s", root_name, key, strerror(err));
}

void walk_etag(const struct stat *st, char ret[OBJECT_ETAG_MAX + 1]) {
    snprintf(ret, OBJECT_ETAG_MAX + 1, "%jx-%jx.%09ld-%jx", (uintmax_t)st->st_size,
             (uintmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (uintmax_t)st->st_ino);
}

/* ---- What is asked for ---- */

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends_in_slash(const char *text) {
    size_t len = strlen(text);
    return len && text[len - 1] == '/';
}

/* The folder that the page before ended with is done with whatever it holds. */
static bool told(const struct walk *walk, const char *path) {
    return ends_in_slash(walk->token) && begins(path, walk->token);
}

static bool file_wanted(const struct walk *walk, const char *path) {
    return begins(path, walk->prefix) && strcmp(path, walk->after) > 0 &&
           strcmp(path, walk->token) > 0 && !told(walk, path);
}

/* Whether any path in the folder can be greater than `bound`. */
static bool reaches(const char *folder, const char *bound) {
    return begins(bound, folder) || strcmp(folder, bound) > 0;
}

static bool folder_wanted(const struct walk *walk, const char *path) {
    return (begins(path, walk->prefix) || begins(walk->prefix, path)) &&
           reaches(path, walk->after) && reaches(path, walk->token) && !told(walk, path);
}

/* ---- One folder's names ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_names(struct level *level, size_t from) {
    for (size_t i = from; i < level->count; i++)
        free(level->names[i]);
    level->count = from;
}

/* A page needs at most this many names of a folder, unless some turn out to be no entries. */
static size_t batch(const struct walk *walk) {
    return walk->limit + 1;
}

/* Keeps the name if it is among the least; there is room for two batches. */
static int keep_name(const struct walk *walk, struct level *level, const char *name) {
    size_t n = batch(walk);
    if (level->cut && strcmp(name, level->names[n - 1]) > 0)
        return 0;
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    level->names[level->count++] = copy;
    if (level->count == 2 * n) {
        qsort(level->names, level->count, sizeof *level->names, compare_names);
        drop_names(level, n);
        level->cut = true;
    }
    return 0;
}

enum kind { KIND_OTHER, KIND_FILE, KIND_FOLDER };

static enum kind kind_of(const struct level *level, const struct dirent *entry) {
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG   ? KIND_FILE
               : entry->d_type == DT_DIR ? KIND_FOLDER
                                         : KIND_OTHER;
    if (fstatat(dirfd(level->dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return KIND_OTHER;
    return S_ISREG(st.st_mode) ? KIND_FILE : S_ISDIR(st.st_mode) ? KIND_FOLDER : KIND_OTHER;
}

static int consider(struct walk *walk, struct level *level, const struct dirent *entry) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    enum kind kind = kind_of(level, entry);
    if (kind == KIND_OTHER)
        return 0;
    size_t room = sizeof walk->path - level->base;
    char *at = walk->path + level->base;
    int len = snprintf(at, room, "%s%s", name, kind == KIND_FOLDER ? "/" : "");
    if (len < 0 || (size_t)len >= room) {
        walk->page->skipped++;
        return 0;
    }
    if (level->last && strcmp(at, level->last) <= 0)
        return 0;
    bool wanted =
        kind == KIND_FOLDER ? folder_wanted(walk, walk->path) : file_wanted(walk, walk->path);
    return wanted ? keep_name(walk, level, at) : 0;
}

/* Reads the next batch of names, those behind `last`. */
static int read_names(struct walk *walk, struct level *level, struct fault *fault) {
    level->next = 0;
    level->cut = false;
    rewinddir(level->dir);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(level->dir);
        /* A folder that was deleted meanwhile reads as ended, or so. */
        if (!entry && errno != 0 && errno != ENOENT) {
            int err = errno;
            walk->path[level->base] = '\0';
            return walk_failed(walk->root_name, walk->path, err, fault);
        }
        if (!entry)
            break;
        if (atomic_load(walk->stop))
            return fault_set(fault, -ECANCELED, "stopped");
        if (consider(walk, level, entry) != 0)
            return fault_set(fault, -ENOMEM, "no memory");
    }
    if (level->count)
        qsort(level->names, level->count, sizeof *level->names, compare_names);
    return 0;
}

static int read_more_names(struct walk *walk, struct level *level, struct fault *fault) {
    free(level->last);
    level->last = level->names[level->count - 1];
    level->count--;
    drop_names(level, 0);
    return read_names(walk, level, fault);
}

/* ---- Levels ---- */

static void pop(struct walk *walk) {
    struct level *level = &walk->levels[--walk->depth];
    drop_names(level, 0);
    free(level->names);
    free(level->last);
    closedir(level->dir);
}

static int make_room(struct walk *walk) {
    if (walk->depth < walk->room)
        return 0;
    size_t room = walk->room ? walk->room * 2 : 8;
    struct level *levels = realloc(walk->levels, room * sizeof *levels);
    if (!levels)
        return -ENOMEM;
    walk->levels = levels;
    walk->room = room;
    return 0;
}

/* Takes the descriptor. The depth is bounded by the path's length. */
static int push(struct walk *walk, int fd, size_t base, struct fault *fault) {
    char **names = calloc(2 * batch(walk), sizeof *names);
    DIR *dir = names && make_room(walk) == 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        free(names);
        close(fd);
        return fault_set(fault, -ENOMEM, "no memory");
    }
    struct level *level = &walk->levels[walk->depth++];
    *level = (struct level){.dir = dir, .base = base, .names = names};
    return read_names(walk, level, fault);
}

/* Opens the folder that the path has come to. One that went, or became a link, is passed by. */
static int enter(struct walk *walk, const struct level *from, struct fault *fault) {
    char name[OBJECT_KEY_MAX + 1];
    size_t len = strlen(walk->path);
    memcpy(name, walk->path + from->base, len - from->base);
    name[len - from->base - 1] = '\0';
    int fd = openat(dirfd(from->dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        return push(walk, fd, len, fault);
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return 0;
    return walk_failed(walk->root_name, walk->path, errno, fault);
}

/* ---- Entries ---- */

static bool is_not_after(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec <= b->tv_nsec);
}

/* A whole second past, so that what is still being written is left for later. */
static bool settled(struct walk *walk, const struct stat *st) {
    const struct timespec second_ago = {walk->now.tv_sec - 1, walk->now.tv_nsec};
    if (is_not_after(&st->st_mtim, &second_ago))
        return true;
    if (is_not_after(&st->st_mtim, &walk->now))
        walk->page->unsettled = true;
    return false;
}

static bool page_full(const struct walk *walk) {
    return walk->page->object_count + walk->page->folder_count >= walk->limit;
}

static int add_folder(struct walk *walk, size_t len) {
    int err = listing_add_folder(walk->page, walk->path, len);
    if (err)
        return err;
    walk->newest = walk->page->folders[walk->page->folder_count - 1];
    while (walk->depth && walk->levels[walk->depth - 1].base >= len)
        pop(walk);
    return 0;
}

static int add_file(struct walk *walk, const struct stat *st) {
    char etag[OBJECT_ETAG_MAX + 1];
    walk_etag(st, etag);
    int err = listing_add_object(walk->page, walk->path, strlen(walk->path), (uint64_t)st->st_size,
                                 st->st_mtim.tv_sec, etag);
    if (!err)
        walk->newest = walk->page->objects[walk->page->object_count - 1].key;
    return err;
}

/* Adds the file that the path has come to, or the folder that it is folded into. */
static int visit(struct walk *walk, const struct level *level, bool *ret_done,
                 struct fault *fault) {
    struct stat st;
    if (fstatat(dirfd(level->dir), walk->path + level->base, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : walk_failed(walk->root_name, walk->path, errno, fault);
    if (!S_ISREG(st.st_mode) || !settled(walk, &st))
        return 0;
    int err;
    if (page_full(walk)) {
        *ret_done = true;
        err = listing_set_next(walk->page, walk->newest);
    } else {
        const char *slash = walk->folders ? strchr(walk->path + strlen(walk->prefix), '/') : NULL;
        err = slash ? add_folder(walk, (size_t)(slash + 1 - walk->path)) : add_file(walk, &st);
    }
    return err ? fault_set(fault, err, "no memory") : 0;
}

/* Goes to the next name of the innermost folder, or out of it. */
static int step(struct walk *walk, bool *ret_done, struct fault *fault) {
    struct level *level = &walk->levels[walk->depth - 1];
    if (level->next == level->count) {
        if (level->cut)
            return read_more_names(walk, level, fault);
        pop(walk);
        return 0;
    }
    const char *name = level->names[level->next++];
    memcpy(walk->path + level->base, name, strlen(name) + 1);
    return ends_in_slash(name) ? enter(walk, level, fault) : visit(walk, level, ret_done, fault);
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

int walk_list(int root, const char *root_name, const struct list_query *query,
              const atomic_bool *stop, struct listing *page, struct fault *fault) {
    struct walk walk = {
        .root_name = root_name,
        .prefix = or_empty(query->prefix),
        .after = or_empty(query->after),
        .token = or_empty(query->token),
        .folders = query->fold == '/',
        .limit = query->limit && query->limit < LISTING_PAGE_MAX ? query->limit : LISTING_PAGE_MAX,
        .stop = stop,
        .page = page,
    };
    clock_gettime(CLOCK_REALTIME, &walk.now);
    page->now = walk.now.tv_sec;
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 ? walk_failed(root_name, "", errno, fault) : push(&walk, fd, 0, fault);
    for (bool done = false; !err && !done && walk.depth;) {
        err =
            atomic_load(stop) ? fault_set(fault, -ECANCELED, "stopped") : step(&walk, &done, fault);
    }
    while (walk.depth)
        pop(&walk);
    free(walk.levels);
    return err;
}
