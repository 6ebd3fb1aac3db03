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
 *  - Between events, white space, NUL, RS (RFC 7464), a byte order mark at the object's first byte
 *    and a comma right behind an event are dropped.
 *  - '{' begins an event, which ends with the brace that balances it ('[' and ']' are not counted).
 *    Inside it, outside strings, a CR or LF and the white space that follows it are dropped; every
 *    other byte stays. '\n' is written behind it.
 *  - A '{' inside an event that can follow no token there (what stands before it is not ':', ',' or
 *    '['), or a raw LF inside a string, shows that the event was never whole: what was written of
 * it becomes a line of text and a new event, or line, begins there. So one broken event cannot
 *    swallow those behind it.
 *  - Anything else begins a line of text, which passes through unchanged to its newline (a CR
 * before the LF is dropped; a last line without one gets one; empty lines are dropped). Text that
 * stands on a line behind an event ends already where `{"` or `{}` (white space allowed between)
 * begins.
 *
 * The lines do not depend on how the bytes are cut into chunks.
 */
#ifndef MACIEFS_SPLIT_H
#define MACIEFS_SPLIT_H

#include <maciefs/bytes.h>
#include <stdbool.h>

/* Who collects the lines. Both return 0 or a negative errno, which ends the pass. */
struct line_sink {
    bytes_sink write; /* the next bytes of the line under way */
    int (*end)(void *ctx,
               bool object); /* the line is whole, its '\n' was written; object: an event */
    void *ctx;
};

/* In place; no memory of its own. The members are the splitter's. */
struct splitter {
    struct line_sink sink;
    uint8_t state;
    uint8_t last;     /* the last byte of the event under way that is no white space */
    uint8_t pending;  /* bytes of a sequence cut by the chunk's end */
    bool after_event; /* no newline came since the event before */
    bool escaped;
    uint64_t depth;
    uint64_t line_bytes; /* written since the last end */
    uint8_t held[8];
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
