/*
 * A log's growth: write, make durable (the lines, or the objects as they are stored, of which there
 * is far less), journal, make that durable, publish.
 */
#include "store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was written and is not yet committed. */
struct uncommitted {
    int data;              /* the log's file */
    struct stored *stored; /* its objects as they are stored; NULL where one of them is not kept */
    uint64_t len;          /* bytes of it, committed ones included */
    uint64_t started;      /* of those, what the disk was told to write */
    int64_t modified;
    struct buf lines; /* for the journal */
    struct buf keys;  /* struct key_digest, one after another */
    uint64_t objects, events, text_lines, damaged, late;
};

/* The journal's lines and the keys of what one commit may hold; a writer commits long before. */
#define LINES_MAX (256u << 20)

/* Bytes after which the disk is told to begin. */
#define WRITING_BYTES (2u << 20)

/* The writer reads the pointer freely; it is set under the lock for eviction's sake. */
static void set_uncommitted(struct store *store, struct log *log, struct uncommitted *uncommitted) {
    pthread_mutex_lock(&store->lock);
    log->uncommitted = uncommitted;
    pthread_mutex_unlock(&store->lock);
}

static int open_uncommitted(struct store *store, struct log *log, bool keep) {
    char path[STORE_PATH_MAX];
    store_path(log->hour, STORE_DATA, path);
    int err = store_make_parents(store->folder, path);
    if (err)
        return err;
    /* A file made anew would have a hole where the committed bytes were. */
    if (store_is_absent(store, log))
        return -ENODATA;
    int data = openat(store->folder, path,
                      O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (log->committed ? 0 : O_CREAT), 0600);
    if (data < 0)
        return -errno;
    struct uncommitted *uncommitted = calloc(1, sizeof *uncommitted);
    if (!uncommitted) {
        close(data);
        return -ENOMEM;
    }
    uncommitted->data = data;
    uncommitted->len = uncommitted->started = log->committed;
    buf_init(&uncommitted->lines, LINES_MAX);
    buf_init(&uncommitted->keys, LINES_MAX);
    set_uncommitted(store, log, uncommitted);
    if (keep)
        uncommitted->stored = stored_begin(store, log);
    return 0;
}

static void close_uncommitted(struct store *store, struct log *log) {
    struct uncommitted *uncommitted = log->uncommitted;
    if (uncommitted->stored)
        stored_abandon(store, uncommitted->stored);
    set_uncommitted(store, log, NULL);
    if (uncommitted->data >= 0)
        close(uncommitted->data);
    buf_free(&uncommitted->lines);
    buf_free(&uncommitted->keys);
    free(uncommitted);
}

static bool is_late(hour_t hour, const struct object *object) {
    return object->modified >= hour_start(hour_add(hour, 1));
}

static void count(struct uncommitted *uncommitted, hour_t hour, const struct object *object,
                  const struct spool *spool, bool damaged) {
    uncommitted->objects++;
    uncommitted->events += spool->events;
    uncommitted->text_lines += spool->lines - spool->events;
    uncommitted->damaged += damaged;
    uncommitted->late += is_late(hour, object);
    if (object->modified > uncommitted->modified)
        uncommitted->modified = object->modified;
}

/* Adds the object to what the next commit writes into the journal: its line and its key, or none.
 */
static int note(struct uncommitted *uncommitted, const struct journal_entry *entry) {
    struct key_digest digest = key_digest(entry->key, entry->etag);
    size_t before = uncommitted->lines.len;
    int err = journal_format(entry, &uncommitted->lines);
    if (!err)
        err = buf_append(&uncommitted->keys, &digest, sizeof digest);
    if (err)
        uncommitted->lines.len = before;
    return err;
}

static int copy_text(char *to, size_t size, const char *from) {
    size_t len = strlen(from);
    if (len >= size)
        return -ENAMETOOLONG;
    memcpy(to, from, len + 1);
    return 0;
}

/*
 * Lets the disk begin early: else it would stand still while objects are fetched, and those who
 * wait for the commit would wait for all of it.
 */
static void start_writing(struct uncommitted *uncommitted) {
    uint64_t len = uncommitted->len - uncommitted->started;
    if (len < WRITING_BYTES)
        return;
    (void)sync_file_range(uncommitted->data, (off_t)uncommitted->started, (off_t)len,
                          SYNC_FILE_RANGE_WRITE);
    uncommitted->started = uncommitted->len;
}

static int write_object(struct store *store, struct log *log, const struct object *object,
                        const struct spool *spool, const struct spool *stored, bool damaged) {
    struct uncommitted *uncommitted = log->uncommitted;
    struct file_sink sink = {.fd = uncommitted->data, .offset = uncommitted->len};
    int err = spool_save(spool, &sink);
    if (err)
        return err;
    struct journal_entry entry = {
        .offset = uncommitted->len,
        .length = spool->len,
        .crc32c = spool->crc32c,
        .modified = object->modified,
        .size = object->size,
        .events = spool->events,
        .lines = spool->lines,
        .damaged = damaged,
    };
    err = copy_text(entry.etag, sizeof entry.etag, object->etag);
    if (!err)
        err = copy_text(entry.key, sizeof entry.key, object->key);
    if (!err)
        err = note(uncommitted, &entry);
    if (err)
        return err;
    uncommitted->len = sink.offset;
    stored_add(store, &uncommitted->stored, stored, object->size);
    if (!uncommitted->stored)
        start_writing(uncommitted);
    count(uncommitted, log->hour, object, spool, damaged);
    return 0;
}

/* The log, for its one writer. */
static int writers_log(struct store *store, hour_t hour, struct log **ret) {
    pthread_mutex_lock(&store->lock);
    int err = store_log(store, hour, ret);
    pthread_mutex_unlock(&store->lock);
    return err;
}

int store_write(struct store *store, hour_t hour, const struct object *object,
                const struct spool *spool, const struct spool *stored, bool damaged) {
    struct log *log;
    int err = writers_log(store, hour, &log);
    if (!err && !log->uncommitted)
        err = open_uncommitted(store, log, stored != NULL);
    return err ? err : write_object(store, log, object, spool, stored, damaged);
}

static int append_journal(int fd, struct log *log, struct buf *head) {
    int err = file_pwrite(fd, head->at, head->len, log->journal_len);
    if (!err)
        err = file_pwrite(fd, log->uncommitted->lines.at, log->uncommitted->lines.len,
                          log->journal_len + head->len);
    return !err && fdatasync(fd) < 0 ? -errno : err;
}

/* Writes the journal's lines. *ret_len is its new length. */
static int write_journal(struct store *store, struct log *log, uint64_t *ret_len) {
    char path[STORE_PATH_MAX];
    struct buf head;
    store_path(log->hour, STORE_JOURNAL, path);
    int fd = openat(store->folder, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    buf_init(&head, 64);
    int err = log->journal_len ? 0 : journal_format_head(log->hour, &head);
    if (!err)
        err = append_journal(fd, log, &head);
    if (!err && !log->journal_len)
        err = store_sync_parents(store->folder, path);
    if (err)
        (void)!ftruncate(fd, (off_t)log->journal_len); /* what is not committed must not look so */
    *ret_len = log->journal_len + head.len + log->uncommitted->lines.len;
    buf_free(&head);
    close(fd);
    return err;
}

/* The log's bytes, after which nothing needs to stand in for them. */
static int sync_data(struct store *store, struct log *log) {
    if (fdatasync(log->uncommitted->data) < 0)
        return -errno;
    store_drop_stored(store, log->hour);
    return 0;
}

static int make_durable(struct store *store, struct log *log, uint64_t *ret_journal_len) {
    struct uncommitted *uncommitted = log->uncommitted;
    if (store_is_absent(store, log))
        return -ENODATA;
    int err = uncommitted->stored ? stored_sync(store, uncommitted->stored) : sync_data(store, log);
    return err ? err : write_journal(store, log, ret_journal_len);
}

/*
 * Remembers, beyond this process's life, what was announced before. The slots are twice as many as
 * connections can be: each connection commits one log at a time, and an earlier server's may have
 * left as many.
 */
static size_t claim_publishing(struct store *store, struct log *log) {
    struct publishing *publishing = store->options.publishing;
    size_t i = 0;
    pthread_mutex_lock(&store->lock);
    while (i < STORE_PUBLISHING_MAX - 1 && publishing->at[i].hour)
        i++;
    publishing->at[i].announced = log->announced;
    atomic_signal_fence(memory_order_seq_cst); /* the process may end between the two */
    publishing->at[i].hour = log->hour;
    pthread_mutex_unlock(&store->lock);
    return i;
}

static void free_publishing(struct store *store, size_t slot) {
    pthread_mutex_lock(&store->lock);
    store->options.publishing->at[slot].hour = 0;
    pthread_mutex_unlock(&store->lock);
}

/* From here on readers may be given the bytes. */
static void commit_state(struct store *store, struct log *log, uint64_t journal_len) {
    struct uncommitted *uncommitted = log->uncommitted;
    if (uncommitted->stored)
        stored_commit(store, uncommitted->stored, &uncommitted->data);
    uncommitted->stored = NULL;
    log->known = true;
    log->committed = uncommitted->len;
    log->journal_len = journal_len;
    if (uncommitted->modified > log->modified)
        log->modified = uncommitted->modified;
    struct key_digest digest;
    for (size_t at = 0; log->keys_loaded && at < uncommitted->keys.len; at += sizeof digest) {
        memcpy(&digest, uncommitted->keys.at + at, sizeof digest);
        if (key_set_add(&log->keys, digest) < 0) {
            key_set_free(&log->keys); /* they are read from the journal again */
            log->keys_loaded = false;
        }
    }
}

static void count_committed(struct store *store, struct log *log, uint64_t bytes) {
    struct counters *counters = store->options.counters;
    const struct uncommitted *uncommitted = log->uncommitted;
    atomic_fetch_add(&counters->objects, uncommitted->objects);
    atomic_fetch_add(&counters->events, uncommitted->events);
    atomic_fetch_add(&counters->text_lines, uncommitted->text_lines);
    atomic_fetch_add(&counters->damaged, uncommitted->damaged);
    atomic_fetch_add(&counters->late, uncommitted->late);
    atomic_fetch_add(&counters->log_bytes, bytes);
    store_account(store, (int64_t)bytes);
}

/* Another thread, which publishes what an earlier server left, may have announced more. */
static void announce(struct publishing *publishing, struct log *log, uint64_t to) {
    if (to > log->announced)
        log->announced = to;
    for (size_t i = 0; i < STORE_PUBLISHING_MAX; i++)
        if (publishing->at[i].hour == log->hour)
            publishing->at[i].announced = log->announced;
}

/*
 * Makes the kernel drop its last page, which is zero behind the announced end, before it may hear
 * of a size beyond that; then announces. Of a log that was empty it has no page.
 */
static void publish(struct store *store, struct log *log, size_t slot) {
    static const uint64_t page = 64 * 1024; /* the largest page that Linux uses */
    pthread_mutex_lock(&store->lock);
    uint64_t from = log->announced, to = log->committed;
    pthread_mutex_unlock(&store->lock);
    if (store->options.drop_pages && from > 0 && from < to)
        store->options.drop_pages(store->options.ctx, log->hour, from / page * page);
    pthread_mutex_lock(&store->lock);
    announce(store->options.publishing, log, to);
    pthread_mutex_unlock(&store->lock);
    free_publishing(store, slot);
}

int store_commit(struct store *store, hour_t hour) {
    struct log *log;
    int err = writers_log(store, hour, &log);
    if (err || !log->uncommitted)
        return err;
    size_t slot = claim_publishing(store, log);
    uint64_t journal_len = 0;
    err = make_durable(store, log, &journal_len);
    if (err) {
        free_publishing(store, slot);
        store_rollback(store, hour);
        return err;
    }
    count_committed(store, log, log->uncommitted->len - log->committed);
    pthread_mutex_lock(&store->lock);
    commit_state(store, log, journal_len);
    pthread_mutex_unlock(&store->lock);
    close_uncommitted(store, log);
    publish(store, log, slot);
    return 0;
}

void store_rollback(struct store *store, hour_t hour) {
    pthread_mutex_lock(&store->lock);
    struct log *log = store_find(store, hour);
    pthread_mutex_unlock(&store->lock);
    struct stat st;
    if (!log || !log->uncommitted)
        return;
    /* The next load would cut it as well. It must not grow, should someone have cut it shorter. */
    if (fstat(log->uncommitted->data, &st) == 0 && (uint64_t)st.st_size > log->committed)
        (void)!ftruncate(log->uncommitted->data, (off_t)log->committed);
    close_uncommitted(store, log);
}

void store_publish_rest(struct store *store) {
    struct publishing *publishing = store->options.publishing;
    for (size_t i = 0; i < STORE_PUBLISHING_MAX; i++) {
        struct log *log;
        pthread_mutex_lock(&store->lock);
        bool rest = store->left[i] && store_log(store, publishing->at[i].hour, &log) == 0;
        store->left[i] = false;
        pthread_mutex_unlock(&store->lock);
        if (rest)
            publish(store, log, i);
    }
}
