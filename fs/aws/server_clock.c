#include <maciefs/server_clock.h>

#include <stddef.h>
#include <time.h>

#define SLACK_S 60

static int64_t own_now(const struct server_clock *clock) {
    return clock && clock->now ? clock->now() : (int64_t)time(NULL);
}

int64_t server_clock_ahead(const struct server_clock *clock) {
    return clock ? atomic_load(&clock->ahead) : 0;
}

int64_t server_clock_now(const struct server_clock *clock) {
    return own_now(clock) + server_clock_ahead(clock);
}

static bool differ(int64_t a, int64_t b) {
    return a - b > SLACK_S || b - a > SLACK_S;
}

bool server_clock_follow(struct server_clock *clock, int64_t ahead, int64_t date) {
    if (!clock || date == 0)
        return false;
    int64_t found = date - own_now(clock);
    if (differ(found, server_clock_ahead(clock)))
        atomic_store(&clock->ahead, found);
    return differ(found, ahead);
}
