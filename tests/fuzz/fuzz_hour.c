/* Keys and names of hours, counting on from them, and time zones. */
#include <maciefs/hour.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* A label that was read is written back as it was, and component by component it is the same. */
static void check_label(const char *key, hour_t hour) {
    char path[HOUR_PATH_LEN + 1], component[5];
    hour_path(hour, HOUR_DEPTH, path);
    require(strncmp(key, path, HOUR_PATH_LEN) == 0);
    require(hour >> HOUR_BITS == 0);
    hour_t built = 0;
    const char *at = path;
    for (unsigned depth = 0; depth < HOUR_DEPTH; depth++) {
        size_t len = strcspn(at, "/");
        memcpy(component, at, len);
        component[len] = '\0';
        require(hour_child(built, depth, component, &built));
        at += len + 1;
    }
    require(built == hour);
}

static void check_count(hour_t hour, int n) {
    hour_t other = hour_add(hour, n);
    require(n > 0 ? other >= hour : other <= hour);
    if (hour_year(other) > 1 && hour_year(other) < 8191 && n > -1000000000 && n < 1000000000)
        require(hour_add(other, -n) == hour);
    (void)hour_at(hour_start(hour));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hour_t hour;
    int n = 0;
    if (size < sizeof n)
        return 0;
    memcpy(&n, data, sizeof n);
    size -= sizeof n;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data + sizeof n, size);
    text[size] = '\0';

    if (hour_of_key(text, &hour)) {
        check_label(text, hour);
        check_count(hour, n);
    }
    for (unsigned depth = 0; depth <= HOUR_DEPTH; depth++)
        (void)hour_child((hour_t)n, depth, text, &hour);
    struct fault fault = {0};
    if (hour_zone_set(text, &fault) != 0)
        require(fault.text[0] != '\0');
    int64_t when = (int64_t)n * (n & 1 ? 1 : 4096);
    require(hour_at(when) >> HOUR_BITS == 0);
    free(text);
    return 0;
}
