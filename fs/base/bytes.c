#include <maciefs/bytes.h>
#include <maciefs/secret.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

void buf_init(struct buf *buf, size_t limit) {
    *buf = (struct buf){.limit = limit};
}

void buf_init_secret(struct buf *buf, size_t limit) {
    *buf = (struct buf){.limit = limit, .secret = true};
}

static bool resize(struct buf *buf, size_t cap) {
    uint8_t *at = buf->secret ? secret_realloc(buf->at, cap) : realloc(buf->at, cap);
    if (!at)
        return false;
    buf->at = at;
    buf->cap = cap;
    return true;
}

/* Makes room for `more` bytes behind those in use. */
static int buf_reserve(struct buf *buf, size_t more) {
    if (more > buf->limit - buf->len)
        return -EMSGSIZE;
    size_t need = buf->len + more;
    if (need <= buf->cap)
        return 0;
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    return resize(buf, cap) ? 0 : -ENOMEM;
}

int buf_append(struct buf *buf, const void *at, size_t len) {
    if (len == 0)
        return 0;
    int err = buf_reserve(buf, len);
    if (err)
        return err;
    memcpy(buf->at + buf->len, at, len);
    buf->len += len;
    return 0;
}

int buf_append_str(struct buf *buf, const char *text) {
    return buf_append(buf, text, strlen(text));
}

int buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        return -ENOMEM;
    int err = buf_append(buf, text, (size_t)len);
    free(text);
    return err;
}

const char *buf_str(struct buf *buf) {
    /* The NUL may pass the limit by one: it is none of the bytes. */
    if (buf->len == buf->cap && !resize(buf, buf->cap + 1))
        return NULL;
    buf->at[buf->len] = '\0';
    return (const char *)buf->at;
}

int buf_sink(void *ctx, const uint8_t *at, size_t len) {
    return buf_append(ctx, at, len);
}

void buf_reset(struct buf *buf) {
    buf->len = 0;
}

void buf_free(struct buf *buf) {
    if (!buf)
        return;
    if (buf->secret && buf->at)
        OPENSSL_cleanse(buf->at, buf->cap);
    free(buf->at);
    *buf = (struct buf){.limit = buf->limit, .secret = buf->secret};
}

void buf_free_secret(struct buf *buf) {
    if (buf && buf->at)
        OPENSSL_cleanse(buf->at, buf->cap);
    buf_free(buf);
}
