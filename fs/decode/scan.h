/*
 * Where the bytes that shape an event stand, 64 bytes at a time.
 *
 * A block becomes a few masks, bit i for byte i, and arithmetic on those masks tells which quotes
 * are escaped and which bytes stand inside strings, without a branch on any byte. Most blocks turn
 * out plain: the event goes on behind them, and its depth is all that changes. Those are passed
 * over at memory speed; of any other, the marks tell which bytes to look at.
 */
#ifndef MACIEFS_DECODE_SCAN_H
#define MACIEFS_DECODE_SCAN_H

#include <maciefs/split.h>

#define SCAN_BLOCK 64

/* A block, looked at as JSON. */
struct scan_marks {
    uint64_t strings; /* inside a string, its opening quote included, its closing quote not */
    uint64_t escaped; /* right behind an odd number of backslashes */
    uint64_t opens;   /* '{' outside strings */
    uint64_t closes;  /* '}' outside strings */
    uint64_t odd;     /* what needs a closer look: line breaks, a '{' that may not belong there */
    bool escapes;     /* the byte behind the block is escaped */
};

/*
 * Passes over blocks as long as they are plain, and brings `*state` behind them. Returns their
 * bytes. Where that is less than `len`, `*marks` are those of the block that follows, the last of
 * which may be cut short by `len`.
 */
size_t scan(const uint8_t *at, size_t len, struct scan_state *state, struct scan_marks *marks);

/* Sets what stands before byte `i`, which is no quote, or before the byte behind the block. */
void scan_move(struct scan_state *state, const struct scan_marks *marks, size_t i);

/* The ways there are to scan whole blocks: as above, where `len` is as many bytes or more. */
struct scan_way {
    const char *name;
    bool (*usable)(void);
    size_t (*scan)(const uint8_t *at, size_t len, struct scan_state *state,
                   struct scan_marks *marks);
};

/* The best first, the last usable everywhere; ends with a name of NULL. */
extern const struct scan_way scan_ways[];

#endif
