/*
 * Plain bytes → lines, one event each.
 *
 * Firehose puts events behind each other with nothing, white space or newlines in between; an event
 * may be pretty-printed. The splitter finds where each JSON object ends by looking at quotes,
 * backslashes and braces alone, in one pass at memory speed, and never parses: an event's bytes are
 * its own. It holds no event, so an event may be longer than memory; what it wrote since the last
 * `end` is to be taken back by whoever collects the lines, should the object end inside an event.
 *
 * What comes out, exactly:
 *  - Between events, white space (space, tab, CR, LF), NUL, RS (RFC 7464), byte order marks (UTF-8)
 *    and the first comma behind an event are dropped.
 *  - '{' begins an event, which ends with the brace that balances it ('[' and ']' are not counted).
 *    Strings stand between quotes; a quote behind an odd number of backslashes is none. Outside
 *    strings, a CR or LF and the white space that follows it are dropped; every other byte stays.
 *    '\n' is written behind it.
 *  - Three things show that an event was never whole. What was written of it becomes a line of
 *    text and something new begins there: one broken event does not swallow those behind it.
 *      - A '{' outside strings that can follow no token: what stands before it, white space aside,
 *        is not ':', ',' or '['. A new event begins with it.
 *      - A `{"` inside a string whose quote cannot be that string's end: what stands behind it is
 *        neither white space nor one of `:,}]`, or a LF stands before it. (White space may stand
 *        between brace and quote, SPLIT_BLANKS_MAX bytes of it.) The event was cut off inside the
 *        string; a new one begins with the brace.
 *      - A LF inside a string. A new line begins behind it; a CR right before it is dropped.
 *  - Anything else begins a line of text, which from there on passes through unchanged to its LF. A
 *    CR right before the LF is dropped, a last line without LF gets one, and there are no empty
 *    lines. Text that stands on a line behind an event ends already where `{"` or `{}` begins
 *    (with as much white space between).
 *
 * The lines do not depend on how the bytes are cut into chunks.
 */
#ifndef MACIEFS_SPLIT_H
#define MACIEFS_SPLIT_H

#include <maciefs/bytes.h>
#include <stdbool.h>

/* The white space, in bytes, over which the splitter looks from a '{' to what follows it. */
#define SPLIT_BLANKS_MAX 32

/* Who collects the lines. Both return 0 or a negative errno, which ends the pass. */
struct line_sink {
    bytes_sink write;                   /* the next bytes of the line under way */
    int (*end)(void *ctx, bool object); /* it is whole, with its '\n'; `object`: an event */
    void *ctx;
};

enum splitter_state {
    SPLITTER_BETWEEN,
    SPLITTER_EVENT,
    SPLITTER_TEXT,
};

/* What an event's next byte stands in. */
struct scan_state {
    uint64_t depth; /* braces open, at least 1 */
    bool in_string;
    bool escaped; /* an odd number of backslashes came last */
};

/* In place; no memory of its own. The members are the splitter's. */
struct splitter {
    struct line_sink sink;
    enum splitter_state state;
    bool on_line; /* an event ended on this line */
    bool comma;   /* an event ended, and since then only what is dropped came */
    /* In an event: */
    bool dropping; /* white space behind a line break */
    uint8_t last;  /* the last byte that is no white space */
    struct scan_state scan;
    uint8_t held_len;
    uint8_t held[2 * SPLIT_BLANKS_MAX]; /* the end of the bytes so far, too few to decide on */
};

void splitter_init(struct splitter *splitter, const struct line_sink *sink);

/* Takes the next bytes. Returns 0 or the sink's error. */
int splitter_feed(struct splitter *splitter, const uint8_t *at, size_t len);

/*
 * The object ends here: ends a last line of text. Returns 0; -EBADMSG where it ends inside an
 * event, whose bytes so far were written but not ended; or the sink's error.
 */
int splitter_finish(struct splitter *splitter);

#endif
