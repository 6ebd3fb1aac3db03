#include "hours_private.h"

#include <maciefs/decode.h>
#include <maciefs/file_sink.h>
#include <maciefs/split.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pipes that are kept from one object to the next, with what their decoders need. */
#define PIPES_KEPT 8

/* The stages that an object's bytes go through: decoder → splitter → spool, or decoder → file. */
struct pipe {
    struct pipe *next; /* of those that nobody uses */
    struct hours *hours;
    struct decoder *decoder;
    struct splitter splitter;
    struct spool *spool;   /* NULL for plain bytes */
    struct spool *stored;  /* what comes in, as it comes; or NULL */
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
    if (pipe->stored && spool_write(pipe->stored, at, len) < 0)
        pipe->stored = NULL; /* it stays too short to be of use */
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
    int err = pipe->stored ? spool_restart(pipe->stored) : 0;
    return err ? err : spool_restart(pipe->spool);
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

static void pipe_free(struct pipe *pipe) {
    decoder_free(pipe->decoder);
    free(pipe);
}

static struct pipe *pipe_new(struct hours *hours) {
    struct pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe)
        return NULL;
    pipe->hours = hours;
    pipe->decoder =
        decoder_new(hours->options.config->max_object, DECODER_WHOLE_MAX, take_plain, pipe);
    if (pipe->decoder)
        return pipe;
    free(pipe);
    return NULL;
}

static struct pipe *take_pipe(struct hours *hours) {
    pthread_mutex_lock(&hours->lock);
    struct pipe *pipe = hours->pipes;
    if (pipe) {
        hours->pipes = pipe->next;
        hours->pipe_count--;
    }
    pthread_mutex_unlock(&hours->lock);
    return pipe ? pipe : pipe_new(hours);
}

static void give_back(struct pipe *pipe) {
    struct hours *hours = pipe->hours;
    pthread_mutex_lock(&hours->lock);
    bool keep = hours->pipe_count < PIPES_KEPT;
    if (keep) {
        pipe->next = hours->pipes;
        hours->pipes = pipe;
        hours->pipe_count++;
    }
    pthread_mutex_unlock(&hours->lock);
    if (!keep)
        pipe_free(pipe);
}

void fetch_free(struct hours *hours) {
    for (struct pipe *pipe = hours->pipes, *next; pipe; pipe = next) {
        next = pipe->next;
        pipe_free(pipe);
    }
    hours->pipes = NULL;
}

static int get(struct pipe *pipe, const struct object *object, struct fault *fault) {
    struct hours *hours = pipe->hours;
    const struct object_sink sink = {take_stored, restart, pipe};
    atomic_fetch_add(&hours->options.counters->gets, 1);
    return source_get(hours->options.source, object, &sink, fault);
}

/* Reads what was kept of an object. */
static int get_kept(struct pipe *pipe, struct file_range *kept) {
    int err = 0;
    uint8_t *piece = malloc(SPOOL_PIECE);
    if (!piece)
        return -ENOMEM;
    while (!err && kept->len > 0) {
        size_t want = kept->len < SPOOL_PIECE ? kept->len : SPOOL_PIECE;
        ssize_t n = pread(kept->fd, piece, want, (off_t)kept->offset);
        err = n < 0 ? -errno : n == 0 ? -EIO : take_stored(pipe, piece, (size_t)n);
        if (err == -EINTR)
            err = 0;
        kept->offset += n > 0 ? (uint64_t)n : 0;
        kept->len -= n > 0 ? (size_t)n : 0;
    }
    free(piece);
    return err;
}

static int fetch(struct pipe *pipe, const struct object *object, struct file_range *kept,
                 struct fetched *ret, struct fault *fault) {
    struct hours *hours = pipe->hours;
    fault->text[0] = '\0';
    int err = begin(pipe);
    if (!err)
        err = kept ? get_kept(pipe, kept) : get(pipe, object, fault);
    if (!err)
        err = finish(pipe, ret);
    if (err && !fault->text[0])
        fault_set(fault, err, "%s%s cannot be taken over: %s", hours->options.source->name,
                  object->key,
                  err == -ENOSYS ? "this maciefs was built without libsnappy" : strerror(-err));
    return err;
}

static int no_memory(struct fault *fault) {
    return fault_set(fault, -ENOMEM, "there is not enough memory to decode an object");
}

int fetch_lines(struct hours *hours, const struct object *object, struct spool *spool,
                struct spool *stored, struct fetched *ret, struct fault *fault) {
    struct pipe *pipe = take_pipe(hours);
    if (!pipe)
        return no_memory(fault);
    pipe->spool = spool;
    pipe->stored = stored;
    int err = fetch(pipe, object, NULL, ret, fault);
    give_back(pipe);
    return err;
}

int fetch_kept(struct hours *hours, const struct object *object, struct file_range *kept,
               struct spool *spool, struct fetched *ret, struct fault *fault) {
    struct pipe *pipe = take_pipe(hours);
    int err = pipe ? 0 : no_memory(fault);
    if (pipe) {
        pipe->spool = spool;
        pipe->stored = NULL;
        err = fetch(pipe, object, kept, ret, fault);
        give_back(pipe);
    }
    file_range_close(kept);
    return err;
}

int fetch_plain(struct hours *hours, const struct object *object, int fd, struct fetched *ret,
                struct fault *fault) {
    struct pipe *pipe = take_pipe(hours);
    if (!pipe)
        return no_memory(fault);
    pipe->spool = pipe->stored = NULL;
    pipe->file.fd = fd;
    int err = fetch(pipe, object, NULL, ret, fault);
    give_back(pipe);
    return err;
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
