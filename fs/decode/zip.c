/*
 * APPNOTE.TXT zip, read from front to back: a row of records, each told by its signature. Every
 * local header is followed by an entry's data, and all entries' bytes come out one behind the
 * other. The directory behind them repeats what the headers said: it is walked over, so that an
 * archive that was cut off is known for one.
 *
 * Where the sizes stand behind the data (a "data descriptor", which comes with or without a
 * signature and with sizes of 4 or 8 bytes), a deflated entry tells its end by itself; a stored
 * one is searched for what can follow a descriptor.
 */
#include "inflate.h"
#include "integers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_SIZE 4
#define DESCRIPTOR_MAX 24
#define TAIL_MAX (DESCRIPTOR_MAX + SIGNATURE_SIZE)

#define FLAG_ENCRYPTED 0x0001
#define FLAG_DESCRIPTOR 0x0008
#define METHOD_STORED 0
#define METHOD_DEFLATED 8
#define EXTRA_ZIP64 0x0001

struct zip;
typedef int (*zip_step)(struct zip *zip, struct span *in);

/* What begins with a signature: its fixed part is `size` bytes, to be read by `read`. */
struct record {
    char signature[SIGNATURE_SIZE + 1];
    uint8_t size;
    int (*read)(struct zip *zip, const uint8_t *at);
};

/* A checksum with lengths: what a header or descriptor says, and what came in truth. */
struct sums {
    uint32_t crc;
    uint64_t stored; /* bytes in the archive */
    uint64_t plain;  /* bytes when decoded */
};

struct zip {
    struct output *out;
    zip_step step;
    struct buf part;             /* of bytes that belong together and come in pieces */
    const struct record *record; /* the one under way */
    uint64_t skip;               /* bytes to pass over, */
    zip_step behind;             /* and the step behind them */
    bool whole;                  /* the record before was the last of an archive */
    bool deflated;
    bool described; /* by a descriptor behind the data */
    uint16_t extra_len;
    struct sums said;
    struct sums real;
    z_stream z;
    size_t held; /* bytes in `tail`, or in the window while a stored entry is searched */
    uint8_t tail[TAIL_MAX];
};

static int step_signature(struct zip *zip, struct span *in);
static int step_record(struct zip *zip, struct span *in);
static const struct record *find_record(const uint8_t *signature);

static int damage(struct zip *zip, const char *reason) {
    return output_damage(zip->out, reason);
}

/* ---- Entries ---- */

static int wrong_checksum(struct zip *zip) {
    return damage(zip, "its zip checksum is wrong");
}

/* Writes an entry's plain bytes: a bytes_sink. */
static int write_plain(void *ctx, const uint8_t *at, size_t len) {
    struct zip *zip = ctx;
    zip->real.crc = (uint32_t)crc32_z(zip->real.crc, at, len);
    zip->real.plain += len;
    return output_write(zip->out, at, len);
}

/*
 * Whether a descriptor of this length stands here, with these sizes. The checksum is no part of the
 * question: sizes that fit are no chance, so a checksum that then does not is damage.
 */
static bool is_descriptor(const uint8_t *at, size_t len, uint64_t stored, uint64_t plain) {
    if (len == 16 || len == 24) {
        if (memcmp(at, "PK\7\10", SIGNATURE_SIZE) != 0)
            return false;
        at += SIGNATURE_SIZE;
        len -= SIGNATURE_SIZE;
    }
    at += sizeof(uint32_t);
    if (len == 12)
        return le32(at) == stored && le32(at + 4) == plain;
    return len == 20 && le64(at) == stored && le64(at + 8) == plain;
}

static uint32_t descriptor_crc(const uint8_t *at, size_t len) {
    return le32(len == 16 || len == 24 ? at + SIGNATURE_SIZE : at);
}

/* Goes on with the record whose signature was met behind a descriptor. */
static int leave_entry(struct zip *zip, const struct record *record, uint32_t crc) {
    if (crc != zip->real.crc)
        return wrong_checksum(zip);
    zip->record = record;
    zip->step = step_record;
    return 0;
}

/* A descriptor ends where the next signature begins; nothing else tells its form. */
static int step_descriptor(struct zip *zip, struct span *in) {
    while (in->len > 0 && zip->held < TAIL_MAX) {
        zip->tail[zip->held++] = *span_take(in, 1);
        if (zip->held < SIGNATURE_SIZE + 12)
            continue;
        size_t len = zip->held - SIGNATURE_SIZE;
        const struct record *record = find_record(zip->tail + len);
        if (record && is_descriptor(zip->tail, len, zip->real.stored, zip->real.plain))
            return leave_entry(zip, record, descriptor_crc(zip->tail, len));
    }
    return zip->held < TAIL_MAX ? 0 : damage(zip, "its zip data descriptor is wrong");
}

static int end_data(struct zip *zip) {
    if (zip->described) {
        zip->held = 0;
        zip->step = step_descriptor;
        return 0;
    }
    zip->step = step_signature;
    if (zip->real.stored != zip->said.stored || zip->real.plain != zip->said.plain)
        return damage(zip, "its zip sizes are wrong");
    return zip->real.crc == zip->said.crc ? 0 : wrong_checksum(zip);
}

/* What of `in` can belong to the entry. */
static size_t data_left(const struct zip *zip, const struct span *in) {
    uint64_t left = zip->described ? UINT64_MAX : zip->said.stored - zip->real.stored;
    return in->len < left ? in->len : (size_t)left;
}

static int step_stored(struct zip *zip, struct span *in) {
    size_t len = data_left(zip, in);
    zip->real.stored += len;
    int err = write_plain(zip, span_take(in, len), len);
    if (err)
        return err;
    return zip->real.stored == zip->said.stored ? end_data(zip) : 0;
}

static int step_deflated(struct zip *zip, struct span *in) {
    struct span data = {in->at, data_left(zip, in)};
    int code;
    int err = inflate_span(&zip->z, &data, zip->out->window, write_plain, zip, &code);
    size_t taken = (size_t)(data.at - in->at);
    zip->real.stored += taken;
    span_take(in, taken);
    if (err)
        return err;
    if (code == Z_STREAM_END)
        return end_data(zip);
    if (code != Z_OK)
        return damage(zip, "its zip data cannot be inflated");
    if (!zip->described && zip->real.stored == zip->said.stored)
        return damage(zip, "its zip sizes are wrong");
    return 0;
}

/* What can follow a descriptor: the next entry or the directory. Returns `len` where none is. */
static size_t find_follower(const uint8_t *at, size_t from, size_t len) {
    while (from + SIGNATURE_SIZE <= len) {
        const uint8_t *p = memchr(at + from, 'P', len - from - SIGNATURE_SIZE + 1);
        if (!p)
            return len;
        if (memcmp(p, "PK\3\4", SIGNATURE_SIZE) == 0 || memcmp(p, "PK\1\2", SIGNATURE_SIZE) == 0)
            return (size_t)(p - at);
        from = (size_t)(p - at) + 1;
    }
    return len;
}

/* Returns the length of the descriptor that ends `end` bytes into the window, or 0. */
static size_t descriptor_before(const struct zip *zip, size_t end) {
    const uint8_t *window = zip->out->window;
    for (size_t len = 12; len <= DESCRIPTOR_MAX && len <= end; len += 4) {
        uint64_t plain = zip->real.plain + (end - len);
        if (is_descriptor(window + end - len, len, plain, plain))
            return len;
    }
    return 0;
}

/* Ends a stored entry whose descriptor stands before what follows it. */
static int end_search(struct zip *zip, size_t descriptor, size_t follower) {
    const uint8_t *window = zip->out->window;
    size_t len = follower - descriptor;
    int err = write_plain(zip, window, len);
    if (err)
        return err;
    return leave_entry(zip, find_record(window + follower),
                       descriptor_crc(window + len, descriptor));
}

/* The directory begins, and before it stands no descriptor, or a broken one. */
static int miss_descriptor(struct zip *zip, size_t directory) {
    size_t len = directory > DESCRIPTOR_MAX ? directory - DESCRIPTOR_MAX : 0;
    int err = write_plain(zip, zip->out->window, len);
    return err ? err : damage(zip, "its zip entry has no data descriptor that fits");
}

/* Writes what can be no descriptor any more, and holds the rest. */
static int write_all_but_tail(struct zip *zip, size_t len) {
    uint8_t *window = zip->out->window;
    zip->held = len < TAIL_MAX - 1 ? len : TAIL_MAX - 1;
    int err = write_plain(zip, window, len - zip->held);
    if (!err)
        memmove(window, window + len - zip->held, zip->held);
    return err;
}

/* Searches a stored entry for its end, in the window; between two feeds it holds what might be a
 * descriptor and all but the last byte of a signature. */
static int step_search(struct zip *zip, struct span *in) {
    uint8_t *window = zip->out->window;
    size_t room = OUTPUT_WINDOW - zip->held;
    size_t more = in->len < room ? in->len : room;
    size_t from = zip->held < SIGNATURE_SIZE ? 0 : zip->held - SIGNATURE_SIZE + 1;
    size_t len = zip->held + more;
    memcpy(window + zip->held, in->at, more);
    for (size_t at = from; (at = find_follower(window, at, len)) < len; at++) {
        size_t descriptor = descriptor_before(zip, at);
        if (descriptor == 0 && memcmp(window + at, "PK\1\2", SIGNATURE_SIZE) != 0)
            continue; /* an archive inside this one, it seems */
        /* The signature's last byte is new, or it had been found before. */
        span_take(in, at + SIGNATURE_SIZE - zip->held);
        return descriptor > 0 ? end_search(zip, descriptor, at) : miss_descriptor(zip, at);
    }
    span_take(in, more);
    return write_all_but_tail(zip, len);
}

static int step_entry(struct zip *zip, struct span *in) {
    (void)in;
    zip->real = (struct sums){0};
    zip->held = 0;
    if (!zip->described && zip->said.stored == 0)
        return end_data(zip);
    if (zip->deflated)
        zip->step = step_deflated;
    else
        zip->step = zip->described ? step_search : step_stored;
    return inflateReset(&zip->z) == Z_OK ? 0 : -ENOMEM;
}

/* ---- Records ---- */

static void skip_then(struct zip *zip, uint64_t len, zip_step behind);

static int step_skip(struct zip *zip, struct span *in) {
    size_t len = in->len < zip->skip ? in->len : (size_t)zip->skip;
    span_take(in, len);
    skip_then(zip, zip->skip - len, zip->behind);
    return 0;
}

static void skip_then(struct zip *zip, uint64_t len, zip_step behind) {
    zip->skip = len;
    zip->behind = behind;
    zip->step = len > 0 ? step_skip : behind;
}

/* In zip64's field stand, in this order, the sizes for which the header has no room. */
static void read_zip64(struct sums *said, const uint8_t *at, size_t len) {
    uint64_t *sizes[] = {&said->plain, &said->stored};
    for (size_t i = 0; i < 2; i++) {
        if (*sizes[i] != UINT32_MAX || len < 8)
            continue;
        *sizes[i] = le64(at);
        at += 8;
        len -= 8;
    }
}

static int step_extra(struct zip *zip, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &zip->part, zip->extra_len, &at);
    if (got <= 0)
        return got;
    for (size_t left = zip->extra_len; left >= 4;) {
        size_t len = le16(at + 2);
        if (len > left - 4)
            break;
        if (le16(at) == EXTRA_ZIP64)
            read_zip64(&zip->said, at + 4, len);
        at += 4 + len;
        left -= 4 + len;
    }
    zip->step = step_entry;
    return 0;
}

static int read_local_header(struct zip *zip, const uint8_t *at) {
    uint16_t flags = le16(at + 2);
    uint16_t method = le16(at + 4);
    if (flags & FLAG_ENCRYPTED)
        return damage(zip, "its zip entry is encrypted");
    if (method != METHOD_STORED && method != METHOD_DEFLATED)
        return damage(zip, "its zip entry is neither stored nor deflated");
    zip->described = flags & FLAG_DESCRIPTOR;
    zip->deflated = method == METHOD_DEFLATED;
    zip->said = (struct sums){le32(at + 10), le32(at + 14), le32(at + 18)};
    zip->extra_len = le16(at + 24);
    skip_then(zip, le16(at + 22), step_extra);
    return 0;
}

static int read_directory_header(struct zip *zip, const uint8_t *at) {
    uint32_t names = le16(at + 24);
    skip_then(zip, names + le16(at + 26) + le16(at + 28), step_signature);
    return 0;
}

static int read_signed(struct zip *zip, const uint8_t *at) {
    skip_then(zip, le16(at), step_signature);
    return 0;
}

static int read_extra_data(struct zip *zip, const uint8_t *at) {
    skip_then(zip, le32(at), step_signature);
    return 0;
}

static int read_zip64_end(struct zip *zip, const uint8_t *at) {
    skip_then(zip, le64(at), step_signature);
    return 0;
}

static int read_zip64_locator(struct zip *zip, const uint8_t *at) {
    (void)at;
    zip->step = step_signature;
    return 0;
}

static int refuse_split(struct zip *zip, const uint8_t *at) {
    (void)at;
    return damage(zip, "it is one part of a zip archive in several parts");
}

static int read_end(struct zip *zip, const uint8_t *at) {
    uint16_t disk = le16(at);
    if (disk != 0 && disk != UINT16_MAX) /* the latter: zip64's end has it */
        return refuse_split(zip, at);
    zip->whole = true;
    skip_then(zip, le16(at + 16), step_signature);
    return 0;
}

static const struct record records[] = {
    {"PK\3\4", 26, read_local_header},  {"PK\1\2", 42, read_directory_header},
    {"PK\5\6", 18, read_end},           {"PK\6\6", 8, read_zip64_end},
    {"PK\6\7", 16, read_zip64_locator}, {"PK\5\5", 2, read_signed},
    {"PK\6\10", 4, read_extra_data},    {"PK\7\10", 0, refuse_split},
};

static const struct record *find_record(const uint8_t *signature) {
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        if (memcmp(signature, records[i].signature, SIGNATURE_SIZE) == 0)
            return &records[i];
    return NULL;
}

static int step_record(struct zip *zip, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &zip->part, zip->record->size, &at);
    return got <= 0 ? got : zip->record->read(zip, at);
}

static int step_signature(struct zip *zip, struct span *in) {
    const uint8_t *at;
    int got = span_gather(in, &zip->part, SIGNATURE_SIZE, &at);
    if (got <= 0)
        return got;
    zip->record = find_record(at);
    if (!zip->record)
        return damage(zip, "it has bytes between its zip records that are none");
    zip->whole = false;
    zip->step = step_record;
    return 0;
}

/* ---- The format ---- */

static enum match zip_match(const uint8_t *head, size_t len) {
    static const char *const firsts[] = {"PK\3\4", "PK\5\6", "PK\7\10"};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        enum match match = match_magic(head, len, firsts[i], SIGNATURE_SIZE);
        if (match != MATCH_NO)
            return match;
    }
    return MATCH_NO;
}

static void zip_restart(void *state) {
    struct zip *zip = state;
    buf_reset(&zip->part);
    zip->step = step_signature;
    zip->whole = false;
}

static int zip_open(struct output *out, void **ret_state) {
    struct zip *zip = calloc(1, sizeof *zip);
    if (!zip)
        return -ENOMEM;
    zip->out = out;
    if (inflateInit2(&zip->z, -MAX_WBITS) != Z_OK) {
        free(zip);
        return -ENOMEM;
    }
    buf_init(&zip->part, UINT16_MAX);
    zip_restart(zip);
    *ret_state = zip;
    return 0;
}

static int zip_feed(void *state, struct span *in) {
    struct zip *zip = state;
    int err = 0;
    while (in->len > 0 && !err)
        err = zip->step(zip, in);
    return err;
}

static int zip_finish(void *state) {
    struct zip *zip = state;
    if (zip->whole && zip->step == step_signature && zip->part.len == 0)
        return 0;
    return damage(zip, "it ends before its zip archive does");
}

static void zip_close(void *state) {
    struct zip *zip = state;
    inflateEnd(&zip->z);
    buf_free(&zip->part);
    free(zip);
}

const struct format zip_format = {
    .name = "zip",
    .match = zip_match,
    .open = zip_open,
    .restart = zip_restart,
    .feed = zip_feed,
    .finish = zip_finish,
    .close = zip_close,
};
