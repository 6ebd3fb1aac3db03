/*
 * An event, whatever it is: a message that Wazuh takes, or none; the same both times, whatever was
 * shaped in between. The event ends at the first zero byte, behind which the object's key stands.
 */
#include "../unit/shape_kit.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVENT_MAX ((size_t)8 << 20)

#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Each '~' stands for so much that the message gets too long. */
static void grow(const uint8_t *at, size_t len, struct buf *ret) {
    static const char piece[] = "1,2,{\"a\":[null,3]},\"x\\ud83d\\ude00\",";
    for (size_t i = 0; i < len; i++) {
        if (at[i] != '~')
            require(buf_append(ret, at + i, 1) == 0);
        for (int times = 0; at[i] == '~' && times < 2000 && ret->len < EVENT_MAX / 2; times++)
            require(buf_append_str(ret, piece) == 0);
    }
}

static int shape(struct shaper *shaper, const char *key, const struct buf *event,
                 struct buf *line) {
    const struct shape_origin origin = {.bucket = "b", .key = key, .account_alias = ""};
    /* A copy of exactly its size, so that the sanitizer sees every byte read beyond. */
    uint8_t *copy = malloc(event->len ? event->len : 1);
    require(copy);
    if (event->len)
        memcpy(copy, event->at, event->len);
    buf_reset(line);
    int became = shape_event(shaper, &origin, copy, event->len, line);
    free(copy);
    require(became == 0 || became == SHAPE_SKIPPED);
    require(became == 0 ? is_message(line) : line->len == 0);
    return became;
}

static void shape_twice(struct shaper *shaper, const char *key, const struct buf *event) {
    static const char other[] = "{\"source\":\"aws.macie\",\"detail\":{\"tags\":[1],\"a\":[2]}}";
    const struct buf between = {.at = (uint8_t *)(uintptr_t)other, .len = sizeof other - 1};
    struct buf one, two;
    buf_init(&one, SHAPE_LINE_MAX);
    buf_init(&two, SHAPE_LINE_MAX);
    int became = shape(shaper, key, event, &one);
    require(shape(shaper, key, &between, &two) == 0);
    require(shape(shaper, key, event, &two) == became);
    require(one.len == two.len);
    require(one.len == 0 || memcmp(one.at, two.at, one.len) == 0);
    buf_free(&one);
    buf_free(&two);
}

static void shape_damage(struct shaper *shaper, const char *text) {
    const struct shape_origin origin = {.bucket = text, .key = text, .account_alias = text};
    struct buf line;
    buf_init(&line, SHAPE_LINE_MAX);
    require(shape_error(shaper, &origin, text, &line) == 0);
    require(is_message(&line));
    buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct shaper *shaper;
    if (!shaper)
        shaper = shaper_new();
    require(shaper);
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - data) : size;
    char *key = strndup(zero ? (const char *)zero + 1 : "", zero ? size - len - 1 : 0);
    require(key);
    struct buf event;
    buf_init(&event, EVENT_MAX);
    grow(data, len, &event);
    shape_twice(shaper, key, &event);
    shape_damage(shaper, key);
    buf_free(&event);
    free(key);
    return 0;
}
