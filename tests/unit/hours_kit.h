/* For tests of what brings logs up to date: a scripted source, a disk, and hours over them. */
#ifndef MACIEFS_HOURS_KIT_H
#define MACIEFS_HOURS_KIT_H

#include "store_kit.h"

#include "scripted_source.h"

#include <maciefs/clock.h>
#include <maciefs/hours.h>
#include <maciefs/watcher.h>

struct bench {
    struct disk disk;
    struct scripted source;
    struct config config;
    struct catalog *catalog;
    struct hours_options options;
    struct hours *hours;
};

/* What was told, a line each; hours_options has no room for a context. */
static struct {
    pthread_mutex_t lock;
    char text[65536];
    size_t len;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

__attribute__((format(printf, 2, 3))) static inline void tell(enum report_level level,
                                                              const char *format, ...) {
    va_list args;
    (void)level;
    pthread_mutex_lock(&told.lock);
    va_start(args, format);
    size_t room = sizeof told.text - told.len;
    int n = vsnprintf(told.text + told.len, room, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 2 < room) {
        told.len += (size_t)n;
        memcpy(told.text + told.len, "\n", 2);
        told.len++;
    }
    pthread_mutex_unlock(&told.lock);
}

/* How often a text was told. */
static inline unsigned told_times(const char *text) {
    unsigned times = 0;
    pthread_mutex_lock(&told.lock);
    for (const char *at = told.text; (at = strstr(at, text)); at++)
        times++;
    pthread_mutex_unlock(&told.lock);
    return times;
}

static inline void bench_start(struct bench *b) {
    b->source.stopped = false;
    b->catalog = catalog_new(&b->source.base, b->config.dir_ttl_ms, &b->disk.counters);
    assert_non_null(b->catalog);
    b->options = (struct hours_options){.config = &b->config,
                                        .source = &b->source.base,
                                        .store = b->disk.store,
                                        .catalog = b->catalog,
                                        .counters = &b->disk.counters,
                                        .tell = tell};
    assert_int_equal(hours_new(&b->options, &b->hours, NULL), 0);
}

static inline void bench_stop(struct bench *b) {
    hours_free(b->hours);
    catalog_free(b->catalog);
}

static inline void bench_begin(struct bench *b, unsigned connections, unsigned ttl_ms) {
    disk_begin(&b->disk);
    told.len = 0;
    told.text[0] = '\0';
    scripted_init(&b->source, MODIFIED + 1000);
    b->config = (struct config){.connections = connections,
                                .dir_ttl_ms = ttl_ms,
                                .poll_ms = 100,
                                .max_object = 1 << 20,
                                .cache = b->disk.path};
    bench_start(b);
}

static inline void bench_end(struct bench *b) {
    bench_stop(b);
    disk_end(&b->disk);
    scripted_free(&b->source);
}

/* Another server in the same folder. */
static inline void bench_again(struct bench *b) {
    bench_stop(b);
    disk_again(&b->disk);
    bench_start(b);
}

/* The key of an hour's object. */
static inline const char *key_of(hour_t hour, const char *name) {
    static _Thread_local char key[OBJECT_KEY_MAX + 1];
    char path[HOUR_PATH_LEN + 1];
    hour_path(hour, HOUR_DEPTH, path);
    snprintf(key, sizeof key, "%s/%s", path, name);
    return key;
}

/* An object of one event, which names it: {"n":"a"}. */
static inline void bench_put(struct bench *b, hour_t hour, const char *name, int64_t modified) {
    char text[64];
    snprintf(text, sizeof text, "{\"n\":\"%s\"}", name);
    scripted_put(&b->source, key_of(hour, name), text, modified, "e");
}

static inline int bench_ready(struct bench *b, hour_t hour, bool data) {
    struct patience patience = {0};
    return hours_ready(b->hours, hour, data, &patience);
}

/* The names of the events in a log, in their order: "a b c". */
static inline const char *bench_log(struct bench *b, hour_t hour) {
    static char names[65536], bytes[65536];
    ssize_t n = store_read(b->disk.store, hour, 0, bytes, sizeof bytes - 1);
    assert_true(n >= 0);
    bytes[n] = '\0';
    names[0] = '\0';
    for (char *at = bytes, *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        assert_int_equal(strncmp(at, "{\"n\":\"", 6), 0);
        at[strlen(at) - 2] = '\0';
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%s", len ? " " : "", at + 6);
    }
    return names;
}

/* Waits for what happens in the background. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        for (int64_t until = clock_ms() + 20000; !(condition);) {                                  \
            assert_true(clock_ms() < until);                                                       \
            usleep(1000);                                                                          \
        }                                                                                          \
    } while (0)

static inline void bench_evict(struct bench *b, hour_t hour) {
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_nsec = UTIME_OMIT}};
    utimensat(b->disk.folder, disk_file(hour, "ndjson"), times, 0);
    uint64_t now = b->disk.counters.cache_bytes_now;
    bench_stop(b);
    store_free(b->disk.store);
    b->disk.options.size = 1;
    disk_open_store(&b->disk);
    b->disk.counters.cache_bytes_now = now + 2;
    store_evict(b->disk.store, hour + 1);
    assert_false(disk_state(&b->disk, hour).present);
    bench_start(b);
}

#endif
