#include "format.h"

#include <maciefs/decode.h>
#include <stdlib.h>

/* The first that an object may be is the one it is: their first bytes differ, and plain is last. */
static const struct format *const formats[] = {&gzip_format, &zip_format, &snappy_format,
                                               &hadoop_snappy_format, &plain_format};

struct decoder {
    uint64_t max_decoded;
    const struct format *format; /* of this object; NULL while its first bytes do not tell */
    const struct format *opened; /* whose state is there, of this object or one before it */
    void *state;
    int err;         /* once there was one, for ever */
    bool fed;        /* the format is fed; what comes is held until then */
    uint64_t offset; /* of the first byte that it was not fed */
    struct buf held;
    struct output out;
};

struct decoder *decoder_new(uint64_t max_decoded, size_t whole_max, bytes_sink sink, void *ctx) {
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return NULL;
    decoder->max_decoded = max_decoded;
    buf_init(&decoder->held, whole_max > HEAD_MAX ? whole_max : HEAD_MAX);
    decoder->out.sink = sink;
    decoder->out.ctx = ctx;
    decoder_reset(decoder);
    return decoder;
}

void decoder_reset(struct decoder *decoder) {
    decoder->format = NULL;
    decoder->err = 0;
    decoder->fed = false;
    decoder->offset = 0;
    buf_reset(&decoder->held);
    decoder->out.left = decoder->max_decoded;
    decoder->out.reason = NULL;
}

static void close_state(struct decoder *decoder) {
    if (decoder->opened)
        decoder->opened->close(decoder->state);
    decoder->opened = NULL;
}

void decoder_free(struct decoder *decoder) {
    if (!decoder)
        return;
    close_state(decoder);
    buf_free(&decoder->held);
    free(decoder);
}

/* Returns NULL where more bytes are needed to tell. */
static const struct format *detect(const uint8_t *head, size_t len) {
    const struct format *const *format = formats;
    enum match match;
    while ((match = (*format)->match(head, len)) == MATCH_NO)
        format++;
    return match == MATCH_YES ? *format : NULL;
}

/* Most prefixes hold one format, so the state of the object before serves again. */
static int begin(struct decoder *decoder, const struct format *format) {
    decoder->format = format;
    if (decoder->opened == format) {
        format->restart(decoder->state);
        return 0;
    }
    close_state(decoder);
    int err = format->open(&decoder->out, &decoder->state);
    if (!err)
        decoder->opened = format;
    return err;
}

static int run(struct decoder *decoder, struct span in) {
    size_t len = in.len;
    int err = decoder->format->feed(decoder->state, &in);
    decoder->offset += len - in.len;
    return err;
}

/* Holds bytes of `in` as far as `limit` of them are not there yet. */
static int hold(struct decoder *decoder, struct span *in, size_t limit) {
    size_t room = limit - decoder->held.len;
    size_t more = in->len < room ? in->len : room;
    return buf_append(&decoder->held, span_take(in, more), more);
}

/* Holds the first bytes until they tell the format, which is NULL until then. */
static int hold_head(struct decoder *decoder, struct span *in) {
    int err = hold(decoder, in, HEAD_MAX);
    if (err)
        return err;
    const struct format *format = detect(decoder->held.at, decoder->held.len);
    return format ? begin(decoder, format) : 0;
}

/* From now on the format is fed: first what was held. */
static int feed_held(struct decoder *decoder) {
    decoder->fed = true;
    return run(decoder, (struct span){decoder->held.at, decoder->held.len});
}

/* Holds an object back while it may be had whole, and then feeds it. */
static int take(struct decoder *decoder, struct span in) {
    int err = decoder->format ? 0 : hold_head(decoder, &in);
    if (err || !decoder->format)
        return err;
    if (!decoder->fed && decoder->format->whole) {
        err = hold(decoder, &in, decoder->held.limit);
        if (err || in.len == 0)
            return err;
    }
    err = decoder->fed ? 0 : feed_held(decoder);
    return err ? err : run(decoder, in);
}

int decoder_feed(struct decoder *decoder, const uint8_t *at, size_t len) {
    if (!decoder->err && len > 0)
        decoder->err = take(decoder, (struct span){at, len});
    return decoder->err;
}

/* Decodes an object that was held to its end. */
static int finish_held(struct decoder *decoder) {
    int whole = decoder->format->whole(decoder->state, decoder->held.at, decoder->held.len);
    if (whole != 0)
        return whole < 0 ? whole : 0;
    int err = feed_held(decoder);
    return err ? err : decoder->format->finish(decoder->state);
}

int decoder_finish(struct decoder *decoder) {
    if (decoder->err)
        return decoder->err;
    if (decoder->fed)
        decoder->err = decoder->format->finish(decoder->state);
    else if (decoder->format)
        decoder->err = finish_held(decoder);
    else if (decoder->held.len > 0)
        decoder->err = output_damage(&decoder->out, "it ends within its first bytes");
    return decoder->err;
}

const char *decoder_reason(const struct decoder *decoder) {
    return decoder->out.reason;
}

uint64_t decoder_offset(const struct decoder *decoder) {
    return decoder->fed ? decoder->offset : decoder->held.len;
}

const char *decoder_format(const struct decoder *decoder) {
    return decoder->format ? decoder->format->name : plain_format.name;
}
