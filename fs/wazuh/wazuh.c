#include "wazuh_private.h"

#include <maciefs/children.h>
#include <maciefs/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "wazuh"
#define SINCE_FILE "since" /* the first hour that the view ever had */
#define SINCE_NEW "since.new"

/* How long what has grown may wait for the logs to come to rest, so that it is taken in order. */
#define REST_MS 10000

/* After an error, before the next try. */
#define RETRY_MS 10000

/* Between looks whether they have, and whether an hour has left the window. */
#define PAUSE_S 1

/* -- Opening ----------------------------------------------------------------------------------- */

/* The first hour that the window shows is the first that the view ever has. */
static int begin_since(struct wazuh *wazuh, int folder) {
    char path[HOUR_PATH_LEN + 1];
    hour_t last;
    wazuh_window(wazuh, &wazuh->since, &last);
    hour_path(wazuh->since, HOUR_DEPTH, path);
    int fd = openat(folder, SINCE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int err = write(fd, path, HOUR_PATH_LEN) == HOUR_PATH_LEN && fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    if (!err && renameat(folder, SINCE_NEW, folder, SINCE_FILE) < 0)
        err = -errno;
    return !err && fsync(folder) < 0 ? -errno : err;
}

static int find_since(struct wazuh *wazuh, int folder) {
    char key[HOUR_PATH_LEN + 2] = "";
    int fd = openat(folder, SINCE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? begin_since(wazuh, folder) : -errno;
    ssize_t n = read(fd, key, HOUR_PATH_LEN);
    int err = n < 0 ? -errno : 0;
    close(fd);
    if (err)
        return err;
    key[n] = '/';
    return hour_of_key(key, &wazuh->since) ? 0 : begin_since(wazuh, folder);
}

/* Hours on the disk below a folder of the store. */
static int find_kept(struct wazuh *wazuh, hour_t folder, unsigned depth) {
    struct children children = {0};
    hour_t child;
    int err = store_children(wazuh->store, folder, depth, &children);
    for (size_t n = 0; !err && children_at(&children, folder, depth, n, &child); n++)
        err =
            depth + 1 == HOUR_DEPTH ? wazuh_keep(wazuh, child) : find_kept(wazuh, child, depth + 1);
    children_free(&children);
    return err;
}

static int open_folder(const struct wazuh *wazuh) {
    int cache = store_folder(wazuh->options.logs);
    if (mkdirat(cache, FOLDER, 0700) < 0 && errno != EEXIST)
        return -errno;
    int folder = openat(cache, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return folder < 0 ? -errno : folder;
}

static int open_files(struct wazuh *wazuh, struct fault *fault) {
    const struct store_options options = {
        .size = UINT64_MAX,
        .publishing = wazuh->options.publishing,
        .counters = &wazuh->uncounted,
    };
    int folder = open_folder(wazuh);
    int err = folder < 0 ? folder : store_open(folder, &options, &wazuh->store, fault);
    if (!err)
        err = find_since(wazuh, folder);
    if (!err)
        err = find_kept(wazuh, 0, 0);
    if (!err)
        err = pace_new(wazuh->options.config->pace, folder, wazuh->options.pace,
                       wazuh->options.first, &wazuh->pace);
    if (!err)
        store_publish_rest(wazuh->store);
    return err;
}

int wazuh_open(const struct wazuh_options *options, struct wazuh **ret, struct fault *fault) {
    struct wazuh *wazuh = calloc(1, sizeof *wazuh);
    if (!wazuh)
        return fault_set(fault, -ENOMEM, "there is not enough memory to start");
    wazuh->options = *options;
    spool_stock_init(&wazuh->stock, SPOOL_PIECES); /* one object is written after another */
    pthread_mutex_init(&wazuh->lock, NULL);
    pthread_cond_init(&wazuh->woken, NULL);
    wazuh->shaper = shaper_new();
    int err = wazuh->shaper ? open_files(wazuh, fault) : -ENOMEM;
    if (err) {
        wazuh_close(wazuh);
        return fault_set(fault, err,
                         "the files of wazuh/ in the cache folder %s cannot be used: %s",
                         options->config->cache, strerror(-err));
    }
    wazuh->resume = wazuh->kept_count ? wazuh->kept[wazuh->kept_count - 1] : 0;
    *ret = wazuh;
    return 0;
}

void wazuh_close(struct wazuh *wazuh) {
    if (!wazuh)
        return;
    int folder = wazuh->store ? store_folder(wazuh->store) : -1;
    pace_free(wazuh->pace);
    store_free(wazuh->store);
    if (folder >= 0)
        close(folder);
    shaper_free(wazuh->shaper);
    spool_stock_free(&wazuh->stock);
    free(wazuh->kept);
    pthread_cond_destroy(&wazuh->woken);
    pthread_mutex_destroy(&wazuh->lock);
    free(wazuh);
}

/* -- Following the hours ----------------------------------------------------------------------- */

static hour_t oldest(void *ctx) {
    return wazuh_oldest(ctx);
}

static bool wants(void *ctx, const struct hour_listing *listing) {
    struct wazuh *wazuh = ctx;
    for (size_t i = 0; i < listing->count; i++) {
        const struct object *object = &listing->objects[i];
        if (hour_at((time_t)object->modified) >= wazuh->since && !wazuh_has(wazuh, object))
            return true;
    }
    return false;
}

static void swept(void *ctx) {
    struct wazuh *wazuh = ctx;
    pthread_mutex_lock(&wazuh->lock);
    wazuh->swept = wazuh->all = true;
    wazuh->calls++;
    pthread_cond_signal(&wazuh->woken);
    pthread_mutex_unlock(&wazuh->lock);
}

/* The lock is held. */
static bool is_noted(const struct wazuh *wazuh, hour_t hour) {
    for (size_t i = 0; i < wazuh->grown_count; i++)
        if (wazuh->grown[i] == hour)
            return true;
    return false;
}

static void grown(void *ctx, hour_t hour) {
    struct wazuh *wazuh = ctx;
    if (hour < wazuh_oldest(wazuh))
        return;
    pthread_mutex_lock(&wazuh->lock);
    if (wazuh->grown_count == GROWN_MAX)
        wazuh->all = true;
    else if (!is_noted(wazuh, hour))
        wazuh->grown[wazuh->grown_count++] = hour;
    wazuh->calls++;
    pthread_cond_signal(&wazuh->woken);
    pthread_mutex_unlock(&wazuh->lock);
}

struct hours_follower wazuh_follower(struct wazuh *wazuh) {
    return (struct hours_follower){oldest, wants, swept, grown, wazuh};
}

/* -- The thread -------------------------------------------------------------------------------- */

/* All hours whose logs may have what the view lacks. Returns 0 or -ENOMEM. */
static int all_hours(struct wazuh *wazuh, hour_t **ret, size_t *ret_count) {
    hour_t first = wazuh_oldest(wazuh), last = hour_at(time(NULL) + 3600);
    size_t cap = 0, count = 0;
    hour_t *hours = NULL;
    for (hour_t hour = first; hour <= last; hour = hour_add(hour, 1)) {
        if (count == cap) {
            cap = cap ? cap * 2 : 256;
            hour_t *more = realloc(hours, cap * sizeof *more);
            if (!more) {
                free(hours);
                return -ENOMEM;
            }
            hours = more;
        }
        hours[count++] = hour;
    }
    *ret = hours;
    *ret_count = count;
    return 0;
}

static int take_all(struct wazuh *wazuh) {
    hour_t *hours;
    size_t count;
    int err = all_hours(wazuh, &hours, &count);
    if (err)
        return err;
    err = wazuh_take(wazuh, hours, count);
    free(hours);
    return err;
}

static void tell(struct wazuh *wazuh, int err) {
    struct fault fault;
    fault_set(&fault, err,
              "wazuh/ could not take everything over from the logs in %s: %s; it tries "
              "again",
              wazuh->options.config->cache, strerror(-err));
    hours_tell_once(wazuh->hours, REPORT_ERROR, fault.text);
}

/* Takes what was noted; the lock is held, but for the time of it. Returns 0 or -errno. */
static int take_noted(struct wazuh *wazuh) {
    hour_t hours[GROWN_MAX];
    size_t count = wazuh->grown_count;
    bool all = wazuh->all, swept = wazuh->swept;
    memcpy(hours, wazuh->grown, count * sizeof *hours);
    wazuh->grown_count = 0;
    wazuh->all = false;
    pthread_mutex_unlock(&wazuh->lock);
    int err = all ? take_all(wazuh) : wazuh_take(wazuh, hours, count);
    if (err)
        tell(wazuh, err);
    pthread_mutex_lock(&wazuh->lock);
    wazuh->all = wazuh->all || err;
    if (!err && all && swept)
        wazuh->caught_up = true;
    return err;
}

/*
 * Whether it is time to take: everything was listed and the logs have come to rest, so that all
 * there is can be sorted; or, where there is no end of growth, it has waited for long enough.
 */
static bool is_time(struct wazuh *wazuh) {
    pthread_mutex_lock(&wazuh->lock);
    bool caught_up = wazuh->caught_up, listed = wazuh->swept;
    pthread_mutex_unlock(&wazuh->lock);
    if (listed && !hours_are_busy(wazuh->hours, wazuh_oldest(wazuh)))
        return true;
    return (caught_up || !listed) && clock_ms() - wazuh->waits_since > REST_MS;
}

/* Waits for a call behind the last that was heeded, for a second at most; the lock is held. */
static void pause_after(struct wazuh *wazuh, unsigned heeded) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PAUSE_S;
    int err = 0;
    while (!wazuh->stopping && wazuh->calls == heeded && !err)
        err = pthread_cond_clockwait(&wazuh->woken, &wazuh->lock, CLOCK_MONOTONIC, &until);
}

/* One turn of the thread; the lock is held. Returns whether there is more to do at once. */
static bool take_turn(struct wazuh *wazuh) {
    bool noted = wazuh->grown_count > 0 || wazuh->all;
    if (!noted)
        wazuh->waits_since = 0;
    else if (!wazuh->waits_since)
        wazuh->waits_since = clock_ms();
    pthread_mutex_unlock(&wazuh->lock);
    wazuh_roll(wazuh);
    pace_save(wazuh->pace);
    bool now = noted && clock_ms() >= wazuh->not_before && is_time(wazuh);
    pthread_mutex_lock(&wazuh->lock);
    if (!now)
        return false;
    wazuh->waits_since = 0;
    wazuh->not_before = take_noted(wazuh) ? clock_ms() + RETRY_MS : 0;
    return !wazuh->not_before;
}

static void *follow(void *ctx) {
    struct wazuh *wazuh = ctx;
    pthread_mutex_lock(&wazuh->lock);
    while (!wazuh->stopping) {
        unsigned heeded = wazuh->calls;
        if (!take_turn(wazuh))
            pause_after(wazuh, heeded);
    }
    pthread_mutex_unlock(&wazuh->lock);
    return NULL;
}

int wazuh_start(struct wazuh *wazuh, struct hours *hours) {
    wazuh->hours = hours;
    wazuh->all = true; /* what was not taken when the last server ended */
    int err = -pthread_create(&wazuh->thread, NULL, follow, wazuh);
    wazuh->started = !err;
    return err;
}

void wazuh_stop(struct wazuh *wazuh) {
    if (!wazuh || !wazuh->started)
        return;
    pthread_mutex_lock(&wazuh->lock);
    wazuh->stopping = true;
    pthread_cond_signal(&wazuh->woken);
    pthread_mutex_unlock(&wazuh->lock);
    pthread_join(wazuh->thread, NULL);
    wazuh->started = false;
}

/* -- Reading ----------------------------------------------------------------------------------- */

int wazuh_state(struct wazuh *wazuh, hour_t hour, struct log_state *ret) {
    return store_state(wazuh->store, hour, ret);
}

ssize_t wazuh_read(struct wazuh *wazuh, hour_t hour, pid_t reader, uint64_t offset, void *at,
                   size_t len, struct patience *patience) {
    struct log_state state;
    int err = store_state(wazuh->store, hour, &state);
    if (err || offset >= state.size)
        return err;
    if (len > state.size - offset)
        len = (size_t)(state.size - offset);
    ssize_t n = store_read(wazuh->store, hour, offset, at, len);
    if (n <= 0)
        return n == -ENODATA ? 0 : n;
    return pace_give(wazuh->pace, reader, hour, offset, at, (size_t)n, patience);
}
