/*
 * Gzip objects → inflate → split → shape, in one thread.
 *
 *   bench_shape ROUNDS OBJECT …    the objects are gzip files
 *
 * It is given its fastest round, in CPU time. The last line has how many events the objects hold,
 * the seconds for 100,000 of them from object to line, and the speed of shaping alone in MB/s of
 * events.
 */
#include <maciefs/bytes.h>
#include <maciefs/decode.h>
#include <maciefs/shape.h>
#include <maciefs/split.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OBJECT_MAX = 64 << 20, LINE_MAX_LEN = 4 << 20 };

struct bench {
    int count; /* of objects */
    struct buf *objects;
    struct shaper *shaper;
    struct buf event;  /* the line under way */
    struct buf lines;  /* the messages of one object */
    struct buf events; /* with `keep`, all of them, each with its '\n' */
    bool keep;
    uint64_t shaped;
};

static const struct shape_origin origin = {
    .bucket = "bucket",
    .key = "macie/2026/11/24/04/macie-1-2026-11-24-04-00-10-32827c71-c0ca-f8f1-310c-d2663753530d",
    .account_alias = "",
};

/* --- From object to line ---------------------------------------------------------------------- */

static int shape_line(struct bench *bench, const uint8_t *event, size_t len) {
    int became = shape_event(bench->shaper, &origin, event, len, &bench->lines);
    if (became != 0)
        return became < 0 ? became : 0;
    bench->shaped++;
    return buf_append_str(&bench->lines, "\n");
}

static int take_bytes(void *ctx, const uint8_t *at, size_t len) {
    struct bench *bench = ctx;
    return buf_append(&bench->event, at, len);
}

static int take_line(void *ctx, bool object) {
    struct bench *bench = ctx;
    int err = 0;
    if (object && bench->keep)
        err = buf_append(&bench->events, bench->event.at, bench->event.len);
    if (object && !err)
        err = shape_line(bench, bench->event.at, bench->event.len - 1);
    buf_reset(&bench->event);
    return err;
}

static int split_window(void *ctx, const uint8_t *at, size_t len) {
    return splitter_feed(ctx, at, len);
}

static int run_object(struct bench *bench, struct decoder *decoder, struct splitter *splitter,
                      const struct buf *stored) {
    struct line_sink sink = {take_bytes, take_line, bench};
    splitter_init(splitter, &sink);
    decoder_reset(decoder);
    buf_reset(&bench->lines);
    int err = decoder_feed(decoder, stored->at, stored->len);
    if (!err)
        err = decoder_finish(decoder);
    return err ? err : splitter_finish(splitter);
}

static int run_all(struct bench *bench) {
    struct splitter splitter;
    struct decoder *decoder = decoder_new(UINT64_MAX, DECODER_WHOLE_MAX, split_window, &splitter);
    int err = decoder ? 0 : -ENOMEM;
    bench->shaped = 0;
    for (int i = 0; i < bench->count && !err; i++)
        err = run_object(bench, decoder, &splitter, &bench->objects[i]);
    decoder_free(decoder);
    return err;
}

static int run_shape(struct bench *bench) {
    const uint8_t *at = bench->events.at;
    const uint8_t *end = at + bench->events.len;
    int err = 0;
    while (at < end && !err) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
        buf_reset(&bench->lines);
        err = shape_line(bench, at, (size_t)(lf - at));
        at = lf + 1;
    }
    return err;
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The fastest of so many rounds, in seconds. */
static int measure(struct bench *bench, int (*run)(struct bench *), unsigned long rounds,
                   double *ret_seconds) {
    int err = 0;
    *ret_seconds = 0;
    for (unsigned long round = 0; round < rounds && !err; round++) {
        double start = now();
        err = run(bench);
        double seconds = now() - start;
        if (round == 0 || seconds < *ret_seconds)
            *ret_seconds = seconds;
    }
    return err;
}

static int read_object(const char *path, struct buf *ret) {
    static uint8_t chunk[1 << 16];
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    int err = 0;
    for (size_t len; !err && (len = fread(chunk, 1, sizeof chunk, file)) > 0;)
        err = buf_append(ret, chunk, len);
    fclose(file);
    return err;
}

static int prepare(struct bench *bench, int count, char **paths) {
    bench->shaper = shaper_new();
    bench->objects = calloc((size_t)count, sizeof *bench->objects);
    if (!bench->shaper || !bench->objects)
        return -ENOMEM;
    bench->count = count;
    buf_init(&bench->event, LINE_MAX_LEN);
    buf_init(&bench->lines, SIZE_MAX);
    buf_init(&bench->events, SIZE_MAX);
    int err = 0;
    for (int i = 0; i < count && !err; i++) {
        buf_init(&bench->objects[i], OBJECT_MAX);
        err = read_object(paths[i], &bench->objects[i]);
    }
    bench->keep = true;
    if (!err)
        err = run_all(bench);
    bench->keep = false;
    return err;
}

static void clean_up(struct bench *bench) {
    for (int i = 0; i < bench->count; i++)
        buf_free(&bench->objects[i]);
    free(bench->objects);
    shaper_free(bench->shaper);
    buf_free(&bench->event);
    buf_free(&bench->lines);
    buf_free(&bench->events);
}

int main(int argc, char **argv) {
    struct bench bench = {0};
    unsigned long rounds = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (rounds == 0) {
        fprintf(stderr, "usage: bench_shape ROUNDS OBJECT ...\n");
        return 2;
    }
    double whole = 0;
    double alone = 0;
    int err = prepare(&bench, argc - 2, argv + 2);
    if (!err)
        err = measure(&bench, run_shape, rounds, &alone);
    if (!err)
        err = measure(&bench, run_all, rounds, &whole);
    double megabytes = (double)bench.events.len / 1e6;
    clean_up(&bench);
    if (err || bench.shaped == 0) {
        fprintf(stderr, "bench_shape: %s\n", err ? strerror(-err) : "no events");
        return 1;
    }
    printf("%" PRIu64 " events, %.4f s for 100,000, shaping alone %.0f MB/s\n", bench.shaped,
           whole / (double)bench.shaped * 1e5, megabytes / alone);
    return 0;
}
