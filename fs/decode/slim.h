/*
 * How much of a message too long for one line is left out.
 *
 * Caps hold for the whole message: no array has more elements, no string more bytes, no object more
 * members. One at a time is lowered, to the highest value with which the message fits, so whatever
 * is longest is cut first and what is shorter than the cap stays whole. Arrays come first, down to
 * a few elements; then strings; only where that is not enough, what is left of both, and members.
 */
#ifndef MACIEFS_DECODE_SLIM_H
#define MACIEFS_DECODE_SLIM_H

#include <stdbool.h>
#include <stdint.h>

#define SLIM_UNCAPPED UINT32_MAX

struct slim_caps {
    uint32_t elements; /* of an array */
    uint32_t text;     /* bytes of a string, as it is written between its quotes */
    uint32_t members;  /* of an object */
};

static inline struct slim_caps slim_uncapped(void) {
    return (struct slim_caps){SLIM_UNCAPPED, SLIM_UNCAPPED, SLIM_UNCAPPED};
}

/*
 * Finds the mildest caps with which the message fits: `fits` answers for caps, and has to agree to
 * whatever is lower than what it agreed to. Returns true when `fits` agreed last, or false where no
 * caps are low enough.
 */
bool slim(bool (*fits)(void *ctx, const struct slim_caps *caps), void *ctx);

#endif
