#include <maciefs/clock.h>
#include <maciefs/pace.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GIVEN_FILE "given"
#define GIVEN_NEW "given.new"
#define GIVEN_MAX (64u << 10) /* bytes of the file: a line of at most 35 an hour */

/* What the kernel keeps of the collector's name, "wazuh-logcollector". */
#define COLLECTOR "wazuh-logcollec"

/* Reads are answered in this many steps a second. */
#define STEPS 10

/* Between looks whether who waits has lost patience. */
#define STEP_MS 10

struct pace {
    pthread_mutex_t lock;
    unsigned rate;
    int folder;
    struct pace_shared *shared;
    bool changed;    /* since it was saved */
    int64_t free_us; /* when the next new line may be given; monotonic microseconds */
};

/* -- The file ---------------------------------------------------------------------------------- */

static void note_line(struct pace_shared *shared, size_t slot, const char *line, size_t len) {
    char key[HOUR_PATH_LEN + 2];
    uint64_t given = 0;
    hour_t hour;
    if (len <= HOUR_PATH_LEN + 1 || line[HOUR_PATH_LEN] != ' ')
        return;
    memcpy(key, line, HOUR_PATH_LEN);
    memcpy(key + HOUR_PATH_LEN, "/", 2);
    for (size_t i = HOUR_PATH_LEN + 1; i < len; i++) {
        if (line[i] < '0' || line[i] > '9' || given > (UINT64_MAX - 9) / 10)
            return;
        given = given * 10 + (uint64_t)(line[i] - '0');
    }
    if (!hour_of_key(key, &hour))
        return;
    shared->at[slot].hour = hour;
    shared->at[slot].given = given;
}

/* A line that is none is passed over: its hour is given at the rate again. */
static void load(struct pace *pace) {
    char *text = malloc(GIVEN_MAX);
    int fd = openat(pace->folder, GIVEN_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = text && fd >= 0 ? read(fd, text, GIVEN_MAX) : 0;
    size_t slot = 0;
    const char *newline;
    for (const char *at = text, *end = text + (n > 0 ? n : 0);
         at < end && slot < PACE_HOURS_MAX && (newline = memchr(at, '\n', (size_t)(end - at)));
         at = newline + 1)
        note_line(pace->shared, slot++, at, (size_t)(newline - at));
    if (fd >= 0)
        close(fd);
    free(text);
}

static int format(const struct pace_shared *shared, struct buf *text) {
    int err = 0;
    for (size_t i = 0; !err && i < PACE_HOURS_MAX; i++) {
        char path[HOUR_PATH_LEN + 1];
        if (!shared->at[i].hour)
            continue;
        hour_path(shared->at[i].hour, HOUR_DEPTH, path);
        err = buf_printf(text, "%s %" PRIu64 "\n", path, shared->at[i].given);
    }
    return err;
}

static void write_file(int folder, const struct buf *text) {
    int fd = openat(folder, GIVEN_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    bool whole = write(fd, text->at, text->len) == (ssize_t)text->len && fdatasync(fd) == 0;
    close(fd);
    if (whole)
        (void)renameat(folder, GIVEN_NEW, folder, GIVEN_FILE);
}

void pace_save(struct pace *pace) {
    struct buf text;
    buf_init(&text, GIVEN_MAX);
    pthread_mutex_lock(&pace->lock);
    bool write = pace->changed && format(pace->shared, &text) == 0 && text.len > 0;
    pace->changed = false;
    pthread_mutex_unlock(&pace->lock);
    if (write)
        write_file(pace->folder, &text);
    buf_free(&text);
}

int pace_new(unsigned rate, int folder, struct pace_shared *shared, bool first, struct pace **ret) {
    struct pace *pace = calloc(1, sizeof *pace);
    if (!pace)
        return -ENOMEM;
    pthread_mutex_init(&pace->lock, NULL);
    pace->rate = rate;
    pace->folder = folder;
    pace->shared = shared;
    if (first)
        load(pace);
    *ret = pace;
    return 0;
}

void pace_free(struct pace *pace) {
    if (!pace)
        return;
    pace_save(pace);
    pthread_mutex_destroy(&pace->lock);
    free(pace);
}

/* -- Giving ------------------------------------------------------------------------------------ */

/* Who cannot be asked for its name may be the collector. */
static bool is_collector(pid_t reader) {
    char path[32], name[sizeof COLLECTOR + 1];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)reader);
    int fd = reader > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return true;
    size_t len = strlen(COLLECTOR);
    return (size_t)n >= len && memcmp(name, COLLECTOR, len) == 0;
}

/* The hour's slot, or the one that is to be its own: the oldest hour's. The lock is held. */
static size_t find_slot(const struct pace_shared *shared, hour_t hour) {
    size_t oldest = 0;
    for (size_t i = 0; i < PACE_HOURS_MAX; i++) {
        if (shared->at[i].hour == hour)
            return i;
        if (shared->at[i].hour < shared->at[oldest].hour)
            oldest = i;
    }
    return oldest;
}

static uint64_t given_of(const struct pace *pace, hour_t hour) {
    size_t slot = find_slot(pace->shared, hour);
    return pace->shared->at[slot].hour == hour ? pace->shared->at[slot].given : 0;
}

static void note_given(struct pace *pace, hour_t hour, uint64_t given) {
    size_t slot = find_slot(pace->shared, hour);
    if (pace->shared->at[slot].hour != hour)
        pace->shared->at[slot].given = 0;
    pace->shared->at[slot].hour = hour;
    if (given > pace->shared->at[slot].given)
        pace->shared->at[slot].given = given;
    pace->changed = true;
}

/* Cuts the new bytes behind a step's lines. Returns how many lines they have. */
static unsigned cut_step(unsigned rate, const uint8_t *at, size_t *len) {
    unsigned most = rate / STEPS ? rate / STEPS : 1, lines = 0;
    const uint8_t *end = at + *len, *newline;
    for (const uint8_t *from = at; (newline = memchr(from, '\n', (size_t)(end - from)));
         from = newline + 1)
        if (++lines == most) {
            *len = (size_t)(newline + 1 - at);
            return lines;
        }
    return lines;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Returns whether it was waited for to the end. */
static bool wait_until(int64_t due_us, struct patience *patience) {
    for (int64_t left; (left = due_us - now_us()) > 0;) {
        if (atomic_load(&patience->lost))
            return false;
        usleep((useconds_t)(left < STEP_MS * 1000 ? left : STEP_MS * 1000));
    }
    return true;
}

/* Takes a place in the row for so many lines. Returns when its turn is. */
static int64_t reserve(struct pace *pace, unsigned lines) {
    pthread_mutex_lock(&pace->lock);
    int64_t now = now_us();
    int64_t due = pace->free_us > now ? pace->free_us : now;
    pace->free_us = due + (int64_t)lines * 1000000 / pace->rate;
    pthread_mutex_unlock(&pace->lock);
    return due;
}

ssize_t pace_give(struct pace *pace, pid_t reader, hour_t hour, uint64_t offset, const uint8_t *at,
                  size_t len, struct patience *patience) {
    if (!pace->rate || !len)
        return (ssize_t)len;
    pthread_mutex_lock(&pace->lock);
    uint64_t given = given_of(pace, hour);
    pthread_mutex_unlock(&pace->lock);
    if (offset + len <= given || !is_collector(reader))
        return (ssize_t)len;
    size_t old = given > offset ? (size_t)(given - offset) : 0, fresh = len - old;
    unsigned lines = cut_step(pace->rate, at + old, &fresh);
    if (!wait_until(reserve(pace, lines), patience))
        return -EINTR;
    pthread_mutex_lock(&pace->lock);
    note_given(pace, hour, offset + old + fresh);
    pthread_mutex_unlock(&pace->lock);
    return (ssize_t)(old + fresh);
}
