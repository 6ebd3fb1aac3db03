/*
 * Source → decode → split → shape, in one thread: all there is on the way from the bucket to a
 * line of wazuh/, but for what keeps it on the disk.
 *
 *   bench_shape SOURCE ROUNDS [-o OPTION,…]
 *
 * It is given its fastest round, in CPU time of the process. Its line tells how many events the
 * objects hold, the seconds for 100,000 of them from source to line, and the speed of shaping alone
 * in MB/s of events.
 */
#include <maciefs/bytes.h>
#include <maciefs/decode.h>
#include <maciefs/shape.h>
#include <maciefs/source.h>
#include <maciefs/split.h>

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_LEN = 4 << 20 };

struct bench {
    struct source *source;
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

/* --- From source to line ---------------------------------------------------------------------- */

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

struct pipeline {
    struct decoder *decoder;
    struct splitter splitter;
};

static int feed_decoder(void *ctx, const uint8_t *at, size_t len) {
    return decoder_feed(((struct pipeline *)ctx)->decoder, at, len);
}

static int never_again(void *ctx) {
    (void)ctx;
    return -EIO;
}

static int run_object(struct bench *bench, struct pipeline *pipeline, const struct object *object,
                      struct fault *fault) {
    struct line_sink lines = {take_bytes, take_line, bench};
    struct object_sink sink = {feed_decoder, never_again, pipeline};
    splitter_init(&pipeline->splitter, &lines);
    decoder_reset(pipeline->decoder);
    buf_reset(&bench->lines);
    int err = source_get(bench->source, object, &sink, fault);
    if (!err)
        err = decoder_finish(pipeline->decoder);
    return err ? err : splitter_finish(&pipeline->splitter);
}

static int run_page(struct bench *bench, struct pipeline *pipeline, const char *token,
                    char **ret_next, struct fault *fault) {
    const struct list_query query = {.token = token};
    struct listing listing = {0};
    int err = source_list(bench->source, &query, &listing, fault);
    for (size_t i = 0; i < listing.object_count && !err; i++)
        err = run_object(bench, pipeline, &listing.objects[i], fault);
    *ret_next = !err && listing.next ? strdup(listing.next) : NULL;
    listing_free(&listing);
    return err;
}

static int run_all(struct bench *bench) {
    struct pipeline pipeline = {0};
    struct fault fault = {0};
    pipeline.decoder = decoder_new(UINT64_MAX, DECODER_WHOLE_MAX, split_window, &pipeline.splitter);
    int err = pipeline.decoder ? 0 : -ENOMEM;
    char *token = NULL;
    bench->shaped = 0;
    do {
        char *next = NULL;
        if (!err)
            err = run_page(bench, &pipeline, token, &next, &fault);
        free(token);
        token = next;
    } while (token);
    decoder_free(pipeline.decoder);
    if (err)
        fprintf(stderr, "bench_shape: %s\n", fault.text);
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
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
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

static int prepare(struct bench *bench, const struct config *config) {
    struct fault fault = {0};
    buf_init(&bench->event, LINE_MAX_LEN);
    buf_init(&bench->lines, SIZE_MAX);
    buf_init(&bench->events, SIZE_MAX);
    bench->shaper = shaper_new();
    if (!bench->shaper)
        return -ENOMEM;
    int err = source_open(config, &bench->source, &fault);
    if (err) {
        fprintf(stderr, "bench_shape: %s\n", fault.text);
        return err;
    }
    bench->keep = true;
    err = run_all(bench);
    bench->keep = false;
    return err;
}

static void clean_up(struct bench *bench) {
    source_free(bench->source);
    shaper_free(bench->shaper);
    buf_free(&bench->event);
    buf_free(&bench->lines);
    buf_free(&bench->events);
}

static int run(const struct config *config, unsigned long rounds) {
    struct bench bench = {0};
    double whole = 0;
    double alone = 0;
    int err = prepare(&bench, config);
    if (!err)
        err = measure(&bench, run_shape, rounds, &alone);
    if (!err)
        err = measure(&bench, run_all, rounds, &whole);
    if (!err && bench.shaped > 0)
        printf("%" PRIu64 " events, %.4f s for 100,000, shaping alone %.0f MB/s\n", bench.shaped,
               whole / (double)bench.shaped * 1e5, (double)bench.events.len / 1e6 / alone);
    else
        fprintf(stderr, "bench_shape: %s\n", err ? strerror(-err) : "no events");
    clean_up(&bench);
    return err || bench.shaped == 0;
}

/* The program's own command line, but that rounds stand in the mount point's place. */
int main(int argc, char **argv) {
    struct config config = {0};
    struct fault fault = {0};
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (rounds == 0) {
        fprintf(stderr, "usage: bench_shape SOURCE ROUNDS [-o OPTION,...]\n");
        return 2;
    }
    argv[2] = "/";
    /* As the program has it: an object's buffers come from the heap and stay there. */
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    if (config_parse(argc, argv, &config, &fault) < 0) {
        fprintf(stderr, "bench_shape: %s\n", fault.text);
        return 2;
    }
    int status = run(&config, rounds);
    config_free(&config);
    return status;
}
