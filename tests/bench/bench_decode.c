/*
 * Decode and split of gzip objects, against bare inflate() of the same objects, in one thread.
 *
 *   bench_decode [ROUNDS]
 *
 * They take turns, and each is given its fastest round, in CPU time. The last line has both speeds,
 * in MB/s of plain bytes, and the ratio that is to be at least 0.85.
 */
#include <maciefs/bytes.h>
#include <maciefs/decode.h>
#include <maciefs/split.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { OBJECTS = 100, EVENTS = 190, ROUNDS = 15, WINDOW = 64 << 10, OBJECT_MAX = 4 << 20 };

struct object {
    struct buf plain;
    struct buf stored;
};

struct bench {
    struct object objects[OBJECTS];
    uint64_t plain_bytes;
    uint64_t stored_bytes;
    uint8_t window[WINDOW];
};

/* --- Objects like Firehose's ------------------------------------------------------------------ */

static uint64_t random_state = 2026;

static uint64_t draw(uint64_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 24) % below;
}

static const char *word(void) {
    static const char *const words[] = {"region", "policy", "export",  "unusual",     "bucket",
                                        "leak",   "key",    "public",  "\\\"key\\\"", "passport",
                                        "access", "health", "rotated", "anonymous",   "{licence}"};
    return words[draw(sizeof words / sizeof *words)];
}

/* What EventBridge puts around every event, up to the detail. */
static int append_envelope(struct buf *buf, const char *type) {
    return buf_printf(
        buf,
        "{\"version\":\"0\",\"id\":\"%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64
        "\",\"detail-type\":\"%s\",\"source\":\"aws.macie\",\"account\":\"%012" PRIu64
        "\",\"time\":\"2026-11-24T04:%02" PRIu64 ":%02" PRIu64 "Z\",\"region\":\"us-east-1\","
        "\"resources\":[\"arn:aws:macie:us-east-1:1:trigger/x\"],\"detail\":",
        draw(1ULL << 32), draw(1 << 16), draw(1 << 16), draw(1ULL << 40), type, draw(1000000000000),
        draw(60), draw(60));
}

/* A map from names to counts, as alerts are full of. */
static int append_counts(struct buf *buf, const char *name, const char *item) {
    int err = buf_printf(buf, "\"%s\":{", name);
    for (uint64_t left = 1 + draw(5); left && !err; left--)
        err = buf_printf(buf, "\"%s%" PRIu64 "\":%" PRIu64 "%s", item, draw(100000), draw(500),
                         left > 1 ? "," : "},");
    return err;
}

static int append_alert(struct buf *buf) {
    int err = append_envelope(buf, "Macie Alert");
    if (!err)
        err = buf_printf(buf,
                         "{\"notification-type\":\"ALERT_CREATED\",\"name\":\"%s %s %s\",\"tags\":"
                         "[\"Insider\"],\"url\":\"https://mt.us-east-1.macie.aws.amazon.com/posts/"
                         "arn%%3Aaws\",\"risk-score\":%" PRIu64 ",\"trigger\":{\"alert-type\":"
                         "\"basic\",\"created-at\":\"2017-01-02 19:54:00.644000\",\"description\":"
                         "\"%s %s %s %s\",\"risk\":%" PRIu64
                         "},\"created-at\":\"2026-11-24T04:%02" PRIu64 ":07Z\",\"summary\":{",
                         word(), word(), word(), draw(10), word(), word(), word(), word(), draw(10),
                         draw(60));
    static const char *const maps[][2] = {{"IP", "192.0.2."},      {"Location", "eu-west-"},
                                          {"Bucket", "b-1bvtqrv"}, {"Object", "in/a/b.txt."},
                                          {"Owner", "46594806"},   {"Themes", "aws/secret_key"},
                                          {"DLP risk", ""},        {"Timestamps", "2026-11-24T"}};
    for (size_t i = 0; i < sizeof maps / sizeof *maps && !err; i++)
        err = append_counts(buf, maps[i][0], maps[i][1]);
    return err ? err
               : buf_printf(buf,
                            "\"Events\":{},\"Event Count\":%" PRIu64
                            "},\"severity\":{\"score\":5,\"description\":\"LOW\"}}}",
                            draw(1000));
}

static int append_cells(struct buf *buf) {
    int err = 0;
    for (uint64_t left = 1 + draw(12); left && !err; left--)
        err = buf_printf(buf,
                         "{\"cellReference\":null,\"column\":%" PRIu64
                         ",\"columnName\":\"%s\",\"row\":%" PRIu64 "}%s",
                         draw(20), word(), draw(100000), left > 1 ? "," : "");
    return err;
}

static int append_finding(struct buf *buf) {
    int err = append_envelope(buf, "Macie Finding");
    if (!err)
        err = buf_printf(
            buf,
            "{\"schemaVersion\":\"1.0\",\"id\":\"%016" PRIx64 "\",\"partition\":\"aws\",\"type\":"
            "\"SensitiveData:S3Object/Personal\",\"title\":\"%s %s\",\"description\":\"%s %s %s\","
            "\"severity\":{\"score\":%" PRIu64 ",\"description\":\"High\"},\"count\":%" PRIu64
            ",\"resourcesAffected\":{\"s3Bucket\":{\"arn\":\"arn:aws:s3:::b-%08" PRIx64
            "\",\"owner\":{\"displayName\":\"%s\",\"id\":\"%016" PRIx64 "\"},\"tags\":[{\"key\":"
            "\"%s\",\"value\":\"%s\"}],\"defaultServerSideEncryption\":{\"encryptionType\":"
            "\"AES256\",\"kmsMasterKeyId\":null},\"publicAccess\":{\"permissionConfiguration\":{"
            "\"bucketLevelPermissions\":{\"accessControlList\":{\"allowsPublicReadAccess\":true,"
            "\"allowsPublicWriteAccess\":false}}},\"effectivePermission\":\"PUBLIC\"}}},"
            "\"classificationDetails\":{\"result\":{\"status\":{\"code\":\"COMPLETE\"},"
            "\"sensitiveData\":[{\"category\":\"PERSONAL_INFORMATION\",\"detections\":[{\"type\":"
            "\"NAME\",\"occurrences\":{\"cells\":[",
            draw(1ULL << 40), word(), word(), word(), word(), word(), draw(4), draw(1ULL << 40),
            draw(1ULL << 32), word(), draw(1ULL << 40), word(), word());
    if (!err)
        err = append_cells(buf);
    return err ? err : buf_append_str(buf, "]}}]}]}},\"policyDetails\":null}}");
}

static int deflate_object(struct object *object) {
    z_stream z = {0};
    if (deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    static uint8_t out[OBJECT_MAX];
    z.next_in = object->plain.at;
    z.avail_in = (uInt)object->plain.len;
    z.next_out = out;
    z.avail_out = sizeof out;
    int code = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return code == Z_STREAM_END ? buf_append(&object->stored, out, z.total_out) : -EMSGSIZE;
}

static int make_object(struct object *object) {
    buf_init(&object->plain, OBJECT_MAX);
    buf_init(&object->stored, OBJECT_MAX);
    int err = 0;
    for (int i = 0; i < EVENTS && !err; i++)
        err = draw(2) ? append_alert(&object->plain) : append_finding(&object->plain);
    return err ? err : deflate_object(object);
}

static int make_objects(struct bench *bench) {
    int err = 0;
    for (int i = 0; i < OBJECTS && !err; i++) {
        err = make_object(&bench->objects[i]);
        bench->plain_bytes += bench->objects[i].plain.len;
        bench->stored_bytes += bench->objects[i].stored.len;
    }
    return err;
}

static void free_objects(struct bench *bench) {
    for (int i = 0; i < OBJECTS; i++) {
        buf_free(&bench->objects[i].plain);
        buf_free(&bench->objects[i].stored);
    }
}

/* --- What is measured --------------------------------------------------------------------------
 */

struct counts {
    uint64_t bytes;
    uint64_t events;
};

static int count_write(void *ctx, const uint8_t *at, size_t len) {
    struct counts *counts = ctx;
    (void)at;
    counts->bytes += len;
    return 0;
}

static int count_end(void *ctx, bool object) {
    struct counts *counts = ctx;
    counts->events += object;
    return 0;
}

static int split_window(void *ctx, const uint8_t *at, size_t len) {
    return splitter_feed(ctx, at, len);
}

static int check_counts(const struct bench *bench, const struct counts *counts) {
    bool right = counts->events == OBJECTS * EVENTS &&
                 counts->bytes == bench->plain_bytes + OBJECTS * EVENTS;
    return right ? 0 : -EBADMSG;
}

static int run_decode_and_split(struct bench *bench) {
    struct counts counts = {0};
    struct line_sink sink = {count_write, count_end, &counts};
    struct splitter splitter;
    struct decoder *decoder = decoder_new(UINT64_MAX, DECODER_WHOLE_MAX, split_window, &splitter);
    int err = decoder ? 0 : -ENOMEM;
    for (int i = 0; i < OBJECTS && !err; i++) {
        const struct buf *stored = &bench->objects[i].stored;
        splitter_init(&splitter, &sink);
        decoder_reset(decoder);
        err = decoder_feed(decoder, stored->at, stored->len);
        if (!err)
            err = decoder_finish(decoder);
        if (!err)
            err = splitter_finish(&splitter);
    }
    decoder_free(decoder);
    return err ? err : check_counts(bench, &counts);
}

static int run_split(struct bench *bench) {
    struct counts counts = {0};
    struct line_sink sink = {count_write, count_end, &counts};
    int err = 0;
    for (int i = 0; i < OBJECTS && !err; i++) {
        const struct buf *plain = &bench->objects[i].plain;
        struct splitter splitter;
        splitter_init(&splitter, &sink);
        for (size_t at = 0; at < plain->len && !err; at += WINDOW)
            err = splitter_feed(&splitter, plain->at + at,
                                plain->len - at < WINDOW ? plain->len - at : WINDOW);
        if (!err)
            err = splitter_finish(&splitter);
    }
    return err ? err : check_counts(bench, &counts);
}

static int inflate_object(struct bench *bench, z_stream *z, const struct buf *stored) {
    z->next_in = stored->at;
    z->avail_in = (uInt)stored->len;
    int code = Z_OK;
    while (code == Z_OK) {
        z->next_out = bench->window;
        z->avail_out = WINDOW;
        code = inflate(z, Z_NO_FLUSH);
    }
    return code == Z_STREAM_END && inflateReset(z) == Z_OK ? 0 : -EBADMSG;
}

static int run_inflate(struct bench *bench) {
    z_stream z = {0};
    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
        return -ENOMEM;
    int err = 0;
    for (int i = 0; i < OBJECTS && !err; i++)
        err = inflate_object(bench, &z, &bench->objects[i].stored);
    inflateEnd(&z);
    return err;
}

/* --- Rounds ------------------------------------------------------------------------------------
 */

struct run {
    int (*run)(struct bench *bench);
    double seconds; /* of the fastest round */
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int run_once(struct bench *bench, struct run *run) {
    double start = now();
    int err = run->run(bench);
    double seconds = now() - start;
    if (run->seconds == 0 || seconds < run->seconds)
        run->seconds = seconds;
    return err;
}

static int measure(struct bench *bench, struct run *runs, size_t count, unsigned long rounds) {
    int err = make_objects(bench);
    for (unsigned long round = 0; round < rounds && !err; round++)
        for (size_t i = 0; i < count && !err; i++)
            err = run_once(bench, &runs[i]);
    return err;
}

int main(int argc, char **argv) {
    static struct bench bench;
    struct run runs[] = {{.run = run_inflate}, {.run = run_decode_and_split}, {.run = run_split}};
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    int err = measure(&bench, runs, sizeof runs / sizeof *runs, rounds ? rounds : 1);
    free_objects(&bench);
    if (err) {
        fprintf(stderr, "bench_decode: %s\n", strerror(-err));
        return 1;
    }
    double megabytes = (double)bench.plain_bytes / 1e6;
    printf("%d objects of %" PRIu64 " bytes, %" PRIu64 " stored, %d events each\n", OBJECTS,
           bench.plain_bytes / OBJECTS, bench.stored_bytes / OBJECTS, EVENTS);
    printf("split alone: %.0f MB/s\n", megabytes / runs[2].seconds);
    printf("decode and split: %.0f MB/s, inflate(): %.0f MB/s, ratio %.3f\n",
           megabytes / runs[1].seconds, megabytes / runs[0].seconds,
           runs[0].seconds / runs[1].seconds);
    return 0;
}
