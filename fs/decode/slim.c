#include "slim.h"

#include <stddef.h>

/* One cap, and how far it is lowered at that point. */
struct step {
    size_t offset;
    uint32_t from; /* higher than this is as good as no cap */
    uint32_t down_to;
};

static const struct step steps[] = {
    {offsetof(struct slim_caps, elements), 1 << 18, 4},
    {offsetof(struct slim_caps, text), 1 << 16, 64},
    {offsetof(struct slim_caps, elements), 4, 0},
    {offsetof(struct slim_caps, text), 64, 0},
    {offsetof(struct slim_caps, members), 1 << 18, 0},
};

/* The highest value that fits, between one that does and one that is too high. */
static bool search(bool (*fits)(void *ctx, const struct slim_caps *caps), void *ctx,
                   struct slim_caps *caps, uint32_t *cap, uint32_t low, uint32_t high) {
    while (high - low > 1) {
        *cap = low + (high - low) / 2;
        if (fits(ctx, caps))
            low = *cap;
        else
            high = *cap;
    }
    *cap = low;
    return fits(ctx, caps);
}

bool slim(bool (*fits)(void *ctx, const struct slim_caps *caps), void *ctx) {
    struct slim_caps caps = slim_uncapped();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint32_t *cap = (uint32_t *)(void *)((char *)&caps + steps[i].offset);
        *cap = steps[i].down_to;
        if (fits(ctx, &caps))
            return search(fits, ctx, &caps, cap, steps[i].down_to, steps[i].from);
    }
    return false;
}
