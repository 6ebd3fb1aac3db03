#include "hours_private.h"

#include <maciefs/decode.h>
#include <maciefs/file_sink.h>
#include <maciefs/split.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The stages that an object's bytes go through: decoder → splitter → spool, or decoder → file. */
struct pipe {
    struct hours *hours;
    struct decoder *decoder;
    struct splitter splitter;
    struct spool *spool;   /* NULL for plain bytes */
    struct file_sink file; /* of plain bytes */
    bool damaged;          /* nothing behind the damage is looked at, but all of it is counted */
};

static int take_plain(void *ctx, const uint8_t *at, size_t len) {
    struct pipe *pipe = ctx;
    return pipe->spool ? splitter_feed(&pipe->splitter, at, len)
                       : file_sink_write(&pipe->file, at, len);
}

static int take_stored(void *ctx, const uint8_t *at, size_t len) {
    struct pipe *pipe = ctx;
    atomic_fetch_add(&pipe->hours->options.counters->stored_bytes, len);
    int err = pipe->damaged ? 0 : decoder_feed(pipe->decoder, at, len);
    if (err != -EBADMSG)
        return err;
    pipe->damaged = true;
    return 0;
}

static int begin(struct pipe *pipe) {
    pipe->damaged = false;
    decoder_reset(pipe->decoder);
    if (!pipe->spool) {
        pipe->file = (struct file_sink){.fd = pipe->file.fd};
        return ftruncate(pipe->file.fd, 0) < 0 ? -errno : 0;
    }
    const struct line_sink lines = {spool_write, spool_end, pipe->spool};
    splitter_init(&pipe->splitter, &lines);
    return spool_restart(pipe->spool);
}

static int restart(void *ctx) {
    return begin(ctx);
}

/* The object is all there: what does the pipe make of its end? */
static int finish(struct pipe *pipe, struct fetched *ret) {
    *ret = (struct fetched){0};
    int err = pipe->damaged ? -EBADMSG : decoder_finish(pipe->decoder);
    if (err == -EBADMSG)
        *ret = (struct fetched){true, decoder_offset(pipe->decoder), decoder_reason(pipe->decoder)};
    else if (!err && pipe->spool)
        err = splitter_finish(&pipe->splitter);
    if (err == -EBADMSG && !ret->damaged)
        *ret = (struct fetched){true, decoder_offset(pipe->decoder), "it ends inside an event"};
    if (err == -EBADMSG)
        err = 0;
    return !err && pipe->spool ? spool_seal(pipe->spool) : err;
}

static int fetch(struct pipe *pipe, const struct object *object, struct fetched *ret,
                 struct fault *fault) {
    struct hours *hours = pipe->hours;
    const struct object_sink sink = {take_stored, restart, pipe};
    pipe->decoder =
        decoder_new(hours->options.config->max_object, DECODER_WHOLE_MAX, take_plain, pipe);
    if (!pipe->decoder)
        return fault_set(fault, -ENOMEM, "there is not enough memory to decode an object");
    atomic_fetch_add(&hours->options.counters->gets, 1);
    fault->text[0] = '\0';
    int err = begin(pipe);
    if (!err)
        err = source_get(hours->options.source, object, &sink, fault);
    if (!err)
        err = finish(pipe, ret);
    decoder_free(pipe->decoder);
    if (err && !fault->text[0])
        fault_set(fault, err, "%s%s cannot be taken over: %s", hours->options.source->name,
                  object->key,
                  err == -ENOSYS ? "this maciefs was built without libsnappy" : strerror(-err));
    return err;
}

int fetch_lines(struct hours *hours, const struct object *object, struct spool *spool,
                struct fetched *ret, struct fault *fault) {
    struct pipe pipe = {.hours = hours, .spool = spool};
    return fetch(&pipe, object, ret, fault);
}

int fetch_plain(struct hours *hours, const struct object *object, int fd, struct fetched *ret,
                struct fault *fault) {
    struct pipe pipe = {.hours = hours, .file = {.fd = fd}};
    return fetch(&pipe, object, ret, fault);
}

void fetch_tell(struct hours *hours, const struct object *object, const struct fetched *fetched) {
    struct fault fault;
    if (!fetched->damaged)
        return;
    fault_set(
        &fault, 0,
        "%s%s is damaged at byte %llu: %s; every whole event before that is in its hour's log",
        hours->options.source->name, object->key, (unsigned long long)fetched->offset,
        fetched->reason);
    hours_tell_once(hours, REPORT_WARNING, fault.text);
}
