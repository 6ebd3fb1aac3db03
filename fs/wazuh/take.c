/* From the hours' logs into the view: what one has and the other lacks. */
#include "wazuh_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Objects that are sorted and written together; of a file with more, the rest follows. */
#define TAKE_MAX 65536

/* Bytes, and objects, after which a commit makes what was written count. */
#define COMMIT_OBJECTS 1024
#define COMMIT_BYTES (16u << 20)

struct gathered {
    struct wazuh *wazuh;
    hour_t hour;      /* whose journal is being read */
    uint64_t size;    /* of its log, as announced */
    hour_t file;      /* what is gathered, or 0: only the first such file is looked for, */
    hour_t next_file; /* behind `file`: found meanwhile; 0 for none */
    struct pending *at;
    size_t count, cap;
};

static int add(struct gathered *gathered, const struct journal_entry *entry) {
    if (gathered->count == gathered->cap) {
        size_t cap = gathered->cap ? gathered->cap * 2 : 64;
        struct pending *at = realloc(gathered->at, cap * sizeof *at);
        if (!at)
            return -ENOMEM;
        gathered->at = at;
        gathered->cap = cap;
    }
    char *key = strdup(entry->key);
    if (!key)
        return -ENOMEM;
    struct pending *pending = &gathered->at[gathered->count++];
    *pending = (struct pending){
        .object = {.key = key, .size = entry->size, .modified = entry->modified},
        .hour = gathered->hour,
        .offset = entry->offset,
        .length = entry->length,
        .damaged = entry->damaged,
    };
    memcpy(pending->object.etag, entry->etag, sizeof pending->object.etag);
    return 0;
}

/* Returns 1, which ends the reading, where the log's announced end is reached. */
static int look_at(void *ctx, const struct journal_entry *entry) {
    struct gathered *gathered = ctx;
    struct wazuh *wazuh = gathered->wazuh;
    if (entry->offset + entry->length > gathered->size)
        return 1;
    if (hour_at((time_t)entry->modified) < wazuh->since)
        return 0;
    hour_t file = wazuh_hour_of(wazuh, entry->modified);
    bool is_next = file > gathered->file && (!gathered->next_file || file < gathered->next_file);
    if (file != gathered->file && !is_next)
        return 0;
    struct object object = {.key = entry->key, .modified = entry->modified};
    memcpy(object.etag, entry->etag, sizeof object.etag);
    int has = wazuh_has(wazuh, &object);
    if (has)
        return has < 0 ? has : 0;
    if (is_next)
        gathered->next_file = file;
    return file == gathered->file && gathered->count < TAKE_MAX ? add(gathered, entry) : 0;
}

static int gather_hour(struct gathered *gathered, hour_t hour) {
    struct store *logs = gathered->wazuh->options.logs;
    struct log_state state;
    int err = store_state(logs, hour, &state);
    if (err || !state.known)
        return err;
    gathered->hour = hour;
    gathered->size = state.size;
    err = store_restore_visit(logs, hour, look_at, gathered);
    return err == 1 ? 0 : err;
}

static int gather(struct gathered *gathered, const hour_t *hours, size_t count) {
    int err = 0;
    gathered->count = 0;
    gathered->next_file = 0;
    for (size_t i = 0; !err && i < count; i++)
        err = gather_hour(gathered, hours[i]);
    return err;
}

static void let_go(struct gathered *gathered) {
    for (size_t i = 0; i < gathered->count; i++)
        free((char *)gathered->at[i].object.key);
    gathered->count = 0;
}

static int in_log_order(const void *a, const void *b) {
    return object_order(&((const struct pending *)a)->object, &((const struct pending *)b)->object);
}

/* Evicted data of an older hour comes back first. */
static int make_present(struct wazuh *wazuh, hour_t hour) {
    struct log_state state;
    struct patience patience = {0};
    int err = store_state(wazuh->options.logs, hour, &state);
    return err || state.present ? err : hours_ready(wazuh->hours, hour, true, &patience);
}

static int commit(struct wazuh *wazuh, hour_t file) {
    int err = store_commit(wazuh->store, file);
    return err ? err : wazuh_keep(wazuh, file);
}

/* Errors that have to do with the view's own files: the next object would fare no better. */
static bool ends_all(int err) {
    return err == -ENOSPC || err == -EDQUOT || err == -EROFS || err == -ENOMEM;
}

static int take_one(struct wazuh *wazuh, hour_t file, const struct pending *pending) {
    int err = make_present(wazuh, pending->hour);
    return err ? err : wazuh_write(wazuh, file, pending);
}

/*
 * Appends what was gathered of one file. What cannot be taken now is left for the next time.
 * Returns 0 or the first error.
 */
static int append(struct gathered *gathered, hour_t file) {
    struct wazuh *wazuh = gathered->wazuh;
    uint64_t bytes = 0;
    int first = 0, err = 0;
    for (size_t i = 0; i < gathered->count && !ends_all(err); i++) {
        const struct pending *pending = &gathered->at[i];
        err = take_one(wazuh, file, pending);
        bytes += pending->length;
        if (!err && ((i + 1) % COMMIT_OBJECTS == 0 || bytes >= COMMIT_BYTES)) {
            err = commit(wazuh, file);
            bytes = 0;
        }
        first = first ? first : err;
    }
    err = gathered->count ? commit(wazuh, file) : 0;
    return first ? first : err;
}

int wazuh_take(struct wazuh *wazuh, const hour_t *hours, size_t count) {
    struct gathered gathered = {.wazuh = wazuh};
    int first = 0, err;
    while (!(err = gather(&gathered, hours, count))) {
        bool again = gathered.count == TAKE_MAX; /* the file has more */
        if (gathered.count > 1)
            qsort(gathered.at, gathered.count, sizeof *gathered.at, in_log_order);
        err = append(&gathered, gathered.file);
        let_go(&gathered);
        first = first ? first : err;
        if (ends_all(err) || (again && err) || (!again && !gathered.next_file))
            break;
        if (!again)
            gathered.file = gathered.next_file;
    }
    let_go(&gathered);
    free(gathered.at);
    return first ? first : err;
}
