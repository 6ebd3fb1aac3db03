#include "source_clock.h"

/* Bounds grow by this with each answer, as no two clocks run alike. */
#define DRIFT_MS 1

/* Doubt that is not worth another question. */
#define CLOSE_MS 100

void source_clock_note(struct source_clock *clock, int64_t second, int64_t asked,
                       int64_t answered) {
    int64_t min = second * 1000 - answered, max = (second + 1) * 1000 - asked;
    if (clock->known && clock->min - DRIFT_MS > min)
        min = clock->min - DRIFT_MS;
    if (clock->known && clock->max + DRIFT_MS < max)
        max = clock->max + DRIFT_MS;
    /* Someone set a clock: what was known is worth nothing. */
    if (min > max) {
        min = second * 1000 - answered;
        max = (second + 1) * 1000 - asked;
    }
    *clock = (struct source_clock){true, min, max};
}

int64_t source_clock_reaches(const struct source_clock *clock, int64_t second) {
    int64_t ahead = clock->max - clock->min > CLOSE_MS ? clock->min + (clock->max - clock->min) / 2
                                                       : clock->min;
    return second * 1000 - ahead;
}
