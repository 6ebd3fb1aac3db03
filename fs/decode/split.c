#include <maciefs/split.h>

#include "scan.h"

#include <errno.h>
#include <string.h>

/*
 * A stretch of the input. Whatever is decided looks ahead a bounded number of bytes; where the
 * stretch ends before that, and is not the last, `short_of` is set at the byte that could not be
 * decided on, which comes again at the beginning of the next stretch.
 */
struct stretch {
    const uint8_t *at;
    size_t len;
    size_t pos;  /* before it, all is decided */
    size_t from; /* before it, all is written or dropped */
    bool last;
    bool short_of;
};

enum answer { NO, YES, NOT_YET };

/* What became of the line, besides a negative errno. */
enum { GOES_ON = 0, MOVED = 1 };

static bool is_white(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static int wait_at(struct stretch *in, size_t pos) {
    in->pos = pos;
    in->short_of = true;
    return MOVED;
}

/* --- Lines ------------------------------------------------------------------------------------ */

static int write_to(struct splitter *splitter, struct stretch *in, size_t end) {
    int err = 0;
    if (end > in->from)
        err = splitter->sink.write(splitter->sink.ctx, in->at + in->from, end - in->from);
    in->from = end;
    return err;
}

/* The line ends before `end`; the input goes on at `next`, an LF between them is the line's. */
static int end_line(struct splitter *splitter, struct stretch *in, size_t end, size_t next,
                    bool object) {
    struct line_sink *sink = &splitter->sink;
    bool has_lf = end < next && in->at[end] == '\n';
    int err = write_to(splitter, in, end + has_lf);
    if (!err && !has_lf)
        err = sink->write(sink->ctx, (const uint8_t *)"\n", 1);
    if (!err)
        err = sink->end(sink->ctx, object);
    in->pos = in->from = next;
    splitter->state = SPLITTER_BETWEEN;
    splitter->on_line = object && !has_lf;
    splitter->comma = object;
    return err ? err : MOVED;
}

/* The line of text ends with the LF at `lf`, less a CR right before it. */
static int end_text(struct splitter *splitter, struct stretch *in, size_t lf) {
    size_t end = lf > in->from && in->at[lf - 1] == '\r' ? lf - 1 : lf;
    return end_line(splitter, in, end, lf + 1, false);
}

/* An event begins with the '{' at `pos`. */
static void begin_event(struct splitter *splitter, struct stretch *in) {
    splitter->state = SPLITTER_EVENT;
    splitter->scan = (struct scan_state){.depth = 1};
    in->from = in->pos++;
}

/* The line ends as text, and an event begins at the '{' at `open`. */
static int break_off(struct splitter *splitter, struct stretch *in, size_t open) {
    int err = end_line(splitter, in, open, open, false);
    begin_event(splitter, in);
    return err;
}

/* The event's last brace stands before `end`. */
static int end_event(struct splitter *splitter, struct stretch *in, size_t end) {
    bool has_lf = end < in->len && in->at[end] == '\n';
    return end_line(splitter, in, end, end + has_lf, true);
}

/* --- Between events --------------------------------------------------------------------------- */

static bool is_dropped(uint8_t byte) {
    return is_white(byte) || byte == '\0' || byte == 0x1e;
}

/* Whether a byte order mark stands at `pos`. */
static enum answer is_mark(const struct stretch *in, size_t pos) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    size_t left = in->len - pos;
    if (memcmp(in->at + pos, mark, left < sizeof mark ? left : sizeof mark) != 0)
        return NO;
    if (left >= sizeof mark)
        return YES;
    return in->last ? NO : NOT_YET;
}

/* How many bytes at `pos` are dropped; 0 where a line begins, or cannot be told yet to. */
static size_t dropped_at(struct splitter *splitter, struct stretch *in) {
    uint8_t byte = in->at[in->pos];
    if (byte == '\n')
        splitter->on_line = false;
    if (byte == ',' && splitter->comma) {
        splitter->comma = false;
        return 1;
    }
    if (is_dropped(byte))
        return 1;
    enum answer mark = is_mark(in, in->pos);
    in->short_of = mark == NOT_YET;
    return mark == YES ? 3 : 0;
}

static int pass_between(struct splitter *splitter, struct stretch *in) {
    size_t dropped = 1;
    while (in->pos < in->len && dropped) {
        dropped = dropped_at(splitter, in);
        in->pos += dropped;
    }
    in->from = in->pos;
    if (in->pos == in->len || in->short_of)
        return GOES_ON;
    if (in->at[in->pos] == '{')
        begin_event(splitter, in);
    else
        splitter->state = SPLITTER_TEXT;
    return GOES_ON;
}

/* --- Text ------------------------------------------------------------------------------------- */

/* Where `byte` stands from `pos` on, or `end`. */
static size_t find(const struct stretch *in, size_t pos, size_t end, char byte) {
    const uint8_t *found = memchr(in->at + pos, byte, end - pos);
    return found ? (size_t)(found - in->at) : end;
}

/* YES: `*ret_end` is behind the white space at `pos`, or the most of it, and within the input. */
static enum answer skip_white(const struct stretch *in, size_t pos, size_t *ret_end) {
    size_t max = pos + SPLIT_BLANKS_MAX;
    while (pos < in->len && pos < max && is_white(in->at[pos]))
        pos++;
    if (pos == in->len)
        return in->last ? NO : NOT_YET;
    *ret_end = pos;
    return YES;
}

/* Whether an event begins at the '{' at `open`, in text behind an event. */
static enum answer begins_event(const struct stretch *in, size_t open) {
    size_t next = 0;
    enum answer seen = skip_white(in, open + 1, &next);
    if (seen != YES)
        return seen;
    return in->at[next] == '"' || in->at[next] == '}' ? YES : NO;
}

/* Text that no LF ended within the stretch. */
static int pass_rest(struct stretch *in) {
    if (in->at[in->len - 1] == '\r' && !in->last)
        return wait_at(in, in->len - 1);
    in->pos = in->len;
    return GOES_ON;
}

static int pass_text(struct splitter *splitter, struct stretch *in) {
    size_t pos = in->pos;
    size_t open = in->len;
    if (splitter->on_line)
        open = find(in, pos, in->len, '{');
    size_t lf = find(in, pos, open, '\n');
    while (lf == open && open < in->len) {
        enum answer event = begins_event(in, open);
        if (event == YES)
            return break_off(splitter, in, open);
        if (event == NOT_YET)
            return wait_at(in, open);
        pos = open + 1;
        open = find(in, pos, in->len, '{');
        lf = find(in, pos, open, '\n');
    }
    return lf < in->len ? end_text(splitter, in, lf) : pass_rest(in);
}

/* --- Events ----------------------------------------------------------------------------------- */

/* The last byte of the event before `pos` that is no white space. */
static uint8_t last_before(const struct splitter *splitter, const struct stretch *in, size_t pos) {
    while (pos > 0 && is_white(in->at[pos - 1]))
        pos--;
    return pos > 0 ? in->at[pos - 1] : splitter->last;
}

static int at_open(struct splitter *splitter, struct stretch *in, size_t open) {
    if (!memchr(":,[", last_before(splitter, in, open), 3))
        return break_off(splitter, in, open);
    splitter->scan.depth++;
    return GOES_ON;
}

static int at_close(struct splitter *splitter, struct stretch *in, size_t close) {
    splitter->scan.depth--;
    return splitter->scan.depth > 0 ? GOES_ON : end_event(splitter, in, close + 1);
}

/* Drops the white space from `pos` on. */
static void drop_white(struct splitter *splitter, struct stretch *in, size_t pos) {
    while (pos < in->len && is_white(in->at[pos]))
        pos++;
    in->from = pos;
    splitter->dropping = pos == in->len;
}

/* A line break outside strings. */
static int at_break(struct splitter *splitter, struct stretch *in, size_t pos) {
    int err = write_to(splitter, in, pos);
    drop_white(splitter, in, pos);
    return err;
}

/* Whether the '{' at `open`, inside a string, begins an event that cut this one off. */
static enum answer cuts_off(const struct stretch *in, size_t open) {
    size_t quote = 0;
    enum answer seen = skip_white(in, open + 1, &quote);
    if (seen != YES)
        return seen;
    if (in->at[quote] != '"')
        return NO;
    if (memchr(in->at + open, '\n', quote - open))
        return YES;
    if (quote + 1 == in->len)
        return in->last ? NO : NOT_YET;
    uint8_t next = in->at[quote + 1];
    return is_white(next) || memchr(":,}]", next, 4) ? NO : YES;
}

static int at_open_in_string(struct splitter *splitter, struct stretch *in, size_t open) {
    enum answer cut = cuts_off(in, open);
    if (cut == YES)
        return break_off(splitter, in, open);
    return cut == NOT_YET ? wait_at(in, open) : GOES_ON;
}

static int at_break_in_string(struct splitter *splitter, struct stretch *in, size_t pos) {
    if (in->at[pos] == '\n')
        return end_text(splitter, in, pos);
    return pos + 1 == in->len && !in->last ? wait_at(in, pos) : GOES_ON;
}

static int at_shape(struct splitter *splitter, struct stretch *in, size_t pos) {
    bool in_string = splitter->scan.in_string;
    switch (in->at[pos]) {
    case '{':
        return in_string ? at_open_in_string(splitter, in, pos) : at_open(splitter, in, pos);
    case '}':
        return at_close(splitter, in, pos);
    default:
        return in_string ? at_break_in_string(splitter, in, pos) : at_break(splitter, in, pos);
    }
}

/* The block at `pos`, or what of it comes before the event ends. */
static int pass_block(struct splitter *splitter, struct stretch *in,
                      const struct scan_marks *marks) {
    size_t start = in->pos;
    size_t len = in->len - start < SCAN_BLOCK ? in->len - start : SCAN_BLOCK;
    for (uint64_t left = marks->opens | marks->closes | marks->odd; left; left &= left - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(left);
        if (start + bit < in->from)
            continue;
        scan_move(&splitter->scan, marks, bit);
        int became = at_shape(splitter, in, start + bit);
        if (became != GOES_ON)
            return became;
    }
    scan_move(&splitter->scan, marks, len);
    in->pos = in->from < start + len ? start + len : in->from;
    return GOES_ON;
}

static int pass_event(struct splitter *splitter, struct stretch *in) {
    if (splitter->dropping) {
        drop_white(splitter, in, in->pos);
        in->pos = in->from;
    }
    int became = GOES_ON;
    while (became == GOES_ON && in->pos < in->len) {
        struct scan_marks marks;
        in->pos += scan(in->at + in->pos, in->len - in->pos, &splitter->scan, &marks);
        if (in->pos < in->len)
            became = pass_block(splitter, in, &marks);
    }
    return became;
}

/* --- The whole -------------------------------------------------------------------------------- */

static int pass(struct splitter *splitter, struct stretch *in) {
    switch (splitter->state) {
    case SPLITTER_EVENT:
        return pass_event(splitter, in);
    case SPLITTER_TEXT:
        return pass_text(splitter, in);
    default:
        return pass_between(splitter, in);
    }
}

static int split(struct splitter *splitter, struct stretch *in) {
    while (in->pos < in->len && !in->short_of) {
        int became = pass(splitter, in);
        if (became < 0)
            return became;
    }
    if (splitter->state == SPLITTER_BETWEEN)
        return 0;
    if (splitter->state == SPLITTER_EVENT)
        splitter->last = last_before(splitter, in, in->pos);
    return write_to(splitter, in, in->pos);
}

/* Holds what could not be decided on. */
static void hold(struct splitter *splitter, const struct stretch *in) {
    splitter->held_len = (uint8_t)(in->len - in->pos);
    memmove(splitter->held, in->at + in->pos, splitter->held_len);
}

/* Decides on the held bytes with the first of those at `at`; `*ret_taken` are done with. */
static int split_held(struct splitter *splitter, const uint8_t *at, size_t len, size_t *ret_taken) {
    size_t held = splitter->held_len;
    size_t room = sizeof splitter->held - held;
    size_t more = len < room ? len : room;
    memcpy(splitter->held + held, at, more);
    struct stretch in = {.at = splitter->held, .len = held + more};
    int err = split(splitter, &in);
    if (err)
        return err;
    if (in.pos < held) {
        hold(splitter, &in);
        *ret_taken = more;
    } else {
        splitter->held_len = 0;
        *ret_taken = in.pos - held;
    }
    return 0;
}

void splitter_init(struct splitter *splitter, const struct line_sink *sink) {
    *splitter = (struct splitter){.sink = *sink};
}

int splitter_feed(struct splitter *splitter, const uint8_t *at, size_t len) {
    size_t taken = 0;
    while (splitter->held_len > 0 && taken < len) {
        size_t more = 0;
        int err = split_held(splitter, at + taken, len - taken, &more);
        if (err)
            return err;
        taken += more;
    }
    if (taken == len)
        return 0;
    struct stretch in = {.at = at + taken, .len = len - taken};
    int err = split(splitter, &in);
    if (!err)
        hold(splitter, &in);
    return err;
}

int splitter_finish(struct splitter *splitter) {
    struct stretch in = {.at = splitter->held, .len = splitter->held_len, .last = true};
    int err = split(splitter, &in);
    if (err)
        return err;
    splitter->held_len = 0;
    if (splitter->state == SPLITTER_EVENT)
        return -EBADMSG;
    if (splitter->state == SPLITTER_BETWEEN)
        return 0;
    int ended = end_line(splitter, &in, in.len, in.len, false);
    return ended < 0 ? ended : 0;
}
