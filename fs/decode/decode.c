#include "format.h"
#include <maciefs/decode.h>

#include <stdlib.h>
#include <string.h>

/* The first that an object may be is the one it is: their first bytes differ, and plain is last. */
static const struct format *const formats[] = {&gzip_format, &zip_format, &snappy_format,
                                               &hadoop_snappy_format, &plain_format};

struct decoder {
    uint64_t max_decoded;
    const struct format *format; /* of this object; NULL while its first bytes do not tell */
    const struct format *opened; /* whose state is there, of this object or one before it */
    void *state;
    int err; /* once there was one, for ever */
    uint64_t offset;
    size_t held; /* bytes of the head kept until they tell the format */
    uint8_t head[HEAD_MAX];
    struct output out;
};

struct decoder *decoder_new(uint64_t max_decoded, bytes_sink sink, void *ctx) {
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return NULL;
    decoder->max_decoded = max_decoded;
    decoder->out.sink = sink;
    decoder->out.ctx = ctx;
    decoder_reset(decoder);
    return decoder;
}

void decoder_reset(struct decoder *decoder) {
    decoder->format = NULL;
    decoder->err = 0;
    decoder->offset = 0;
    decoder->held = 0;
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

/* Holds the first bytes back until they tell the format. */
static int take_head(struct decoder *decoder, struct span in) {
    size_t room = HEAD_MAX - decoder->held;
    size_t more = in.len < room ? in.len : room;
    memcpy(decoder->head + decoder->held, in.at, more);
    const struct format *format = detect(decoder->head, decoder->held + more);
    if (!format) {
        decoder->held += more;
        return 0;
    }
    int err = begin(decoder, format);
    if (!err)
        err = run(decoder, (struct span){decoder->head, decoder->held});
    return err ? err : run(decoder, in);
}

int decoder_feed(struct decoder *decoder, const uint8_t *at, size_t len) {
    struct span in = {at, len};
    if (!decoder->err && len > 0)
        decoder->err = decoder->format ? run(decoder, in) : take_head(decoder, in);
    return decoder->err;
}

int decoder_finish(struct decoder *decoder) {
    if (decoder->err)
        return decoder->err;
    if (decoder->format)
        decoder->err = decoder->format->finish(decoder->state);
    else if (decoder->held > 0)
        decoder->err = output_damage(&decoder->out, "it ends within its first bytes");
    return decoder->err;
}

const char *decoder_reason(const struct decoder *decoder) {
    return decoder->out.reason;
}

uint64_t decoder_offset(const struct decoder *decoder) {
    return decoder->format ? decoder->offset : decoder->held;
}

const char *decoder_format(const struct decoder *decoder) {
    return decoder->format ? decoder->format->name : plain_format.name;
}
