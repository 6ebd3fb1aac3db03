/* A source in memory that does as it is told: pages of any size, failures, calls that are held. */
#ifndef MACIEFS_SCRIPTED_SOURCE_H
#define MACIEFS_SCRIPTED_SOURCE_H

#include <errno.h>
#include <maciefs/source.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stored {
    char *key;
    char *text;
    int64_t modified;
    char etag[16];
    int err;       /* of a get; 0 for none */
    bool held;     /* a get waits until it is not */
    unsigned gets; /* that were begun */
};

struct scripted {
    struct source base; /* the first member */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct stored *objects; /* sorted by key */
    size_t count, cap;
    unsigned page;    /* entries a page at most */
    int64_t now;      /* the clock */
    int64_t now_step; /* by which each list moves it */
    unsigned calls, lists, gets;
    unsigned fail_call; /* the number of the call that fails, from 1; 0 for none */
    int fail_err;
    int err;         /* of all calls, while it is set */
    bool lists_held; /* lists wait until it is not */
    unsigned waiting;
    unsigned running, running_max; /* gets */
    bool stopped;
    bool unsettled;    /* pages tell that something was left out */
    bool token_stands; /* a page that is folded at '-' has its own token for the next */
};

/* -- What the calls do; the lock is held but while they wait ---------------------------------- */

static inline void scripted_wait(struct scripted *s, const bool *held) {
    s->waiting++;
    pthread_cond_broadcast(&s->changed);
    while (*held && !s->stopped)
        pthread_cond_wait(&s->changed, &s->lock);
    s->waiting--;
}

/* Counts a call. Returns how it fails, or 0. */
static inline int scripted_call(struct scripted *s, struct fault *fault) {
    int err = ++s->calls == s->fail_call ? s->fail_err : s->err;
    if (s->stopped)
        err = -ECANCELED;
    return err ? fault_set(fault, err, "the script says %s", strerror(-err)) : 0;
}

/* The first object whose key is greater. */
static inline size_t scripted_after(const struct scripted *s, const char *key) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(s->objects[middle].key, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The folder that a key is folded into, or "". */
static inline void scripted_fold(const struct list_query *query, const char *key, char *ret) {
    const char *at =
        query->fold ? strchr(key + strlen(query->prefix ? query->prefix : ""), query->fold) : NULL;
    size_t len = at ? (size_t)(at + 1 - key) : 0;
    memcpy(ret, key, len);
    ret[len] = '\0';
}

static inline void scripted_page(struct scripted *s, const struct list_query *query,
                                 struct listing *ret) {
    const char *prefix = query->prefix ? query->prefix : "";
    const char *from = query->token ? query->token : query->after ? query->after : "";
    char last[OBJECT_KEY_MAX + 4] = "", folder[OBJECT_KEY_MAX + 2];
    unsigned room = s->page, n = 0;
    for (size_t i = scripted_after(s, from); i < s->count; i++) {
        const struct stored *object = &s->objects[i];
        if (strncmp(object->key, prefix, strlen(prefix)) != 0)
            continue;
        scripted_fold(query, object->key, folder);
        if (n == room) {
            listing_set_next(
                ret, s->token_stands && query->fold == '-' && query->token ? query->token : last);
            return;
        }
        n++;
        if (folder[0]) {
            listing_add_folder(ret, folder, strlen(folder));
            snprintf(last, sizeof last, "%s\xff", folder);
            i = scripted_after(s, last) - 1;
        } else {
            listing_add_object(ret, object->key, strlen(object->key), strlen(object->text),
                               object->modified, object->etag);
            snprintf(last, sizeof last, "%s", object->key);
        }
    }
}

static inline int scripted_list(struct source *source, const struct list_query *query,
                                struct listing *ret, struct fault *fault) {
    struct scripted *s = (struct scripted *)source;
    pthread_mutex_lock(&s->lock);
    s->lists++;
    scripted_wait(s, &s->lists_held);
    int err = scripted_call(s, fault);
    if (!err) {
        ret->now = s->now;
        ret->unsettled = s->unsettled;
        s->now += s->now_step;
        scripted_page(s, query, ret);
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

static inline struct stored *scripted_find(struct scripted *s, const char *key) {
    size_t behind = scripted_after(s, key);
    struct stored *stored = behind ? &s->objects[behind - 1] : NULL;
    return stored && strcmp(stored->key, key) == 0 ? stored : NULL;
}

/* How a get ends, and the text it gives before (to be freed; cut short where it fails). */
static inline int scripted_begin_get(struct scripted *s, const struct object *object, char **text,
                                     struct fault *fault) {
    pthread_mutex_lock(&s->lock);
    struct stored *stored = scripted_find(s, object->key);
    s->gets++;
    if (++s->running > s->running_max)
        s->running_max = s->running;
    if (stored) {
        stored->gets++;
        scripted_wait(s, &stored->held);
    }
    int err = scripted_call(s, fault);
    if (!err && !stored)
        err = fault_set(fault, -ENOENT, "%s is gone", object->key);
    if (!err && strcmp(stored->etag, object->etag) != 0)
        err = fault_set(fault, -ESTALE, "%s was overwritten", object->key);
    if (!err && stored->err)
        err = fault_set(fault, stored->err, "%s: %s", object->key, strerror(-stored->err));
    *text = stored ? strndup(stored->text, strlen(stored->text) / (err ? 2 : 1)) : NULL;
    pthread_mutex_unlock(&s->lock);
    return err;
}

static inline int scripted_get(struct source *source, const struct object *object,
                               const struct object_sink *sink, struct fault *fault) {
    struct scripted *s = (struct scripted *)source;
    char *text;
    int sunk = 0;
    int err = scripted_begin_get(s, object, &text, fault);
    for (size_t i = 0, len = text ? strlen(text) : 0; !sunk && i < len; i += 5)
        sunk = sink->write(sink->ctx, (const uint8_t *)text + i, len - i < 5 ? len - i : 5);
    free(text);
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_mutex_unlock(&s->lock);
    return sunk ? sunk : err;
}

static inline void scripted_stop(struct source *source) {
    struct scripted *s = (struct scripted *)source;
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* -- For tests -------------------------------------------------------------------------------- */

static inline void scripted_init(struct scripted *s, int64_t now) {
    static const struct source_ops ops = {scripted_list, scripted_get, scripted_stop, NULL};
    *s = (struct scripted){
        .base = {&ops, "s3://bucket/macie/", "bucket", "macie/"}, .page = 1000, .now = now};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

static inline void scripted_free(struct scripted *s) {
    for (size_t i = 0; i < s->count; i++) {
        free(s->objects[i].key);
        free(s->objects[i].text);
    }
    free(s->objects);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

/* Puts an object into the bucket, or another in its place. */
static inline void scripted_put(struct scripted *s, const char *key, const char *text,
                                int64_t modified, const char *etag) {
    pthread_mutex_lock(&s->lock);
    struct stored *stored = scripted_find(s, key);
    if (!stored) {
        if (s->count == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 64;
            s->objects = realloc(s->objects, s->cap * sizeof *s->objects);
            assert_non_null(s->objects);
        }
        size_t at = scripted_after(s, key);
        stored = &s->objects[at];
        memmove(stored + 1, stored, (s->count++ - at) * sizeof *stored);
        *stored = (struct stored){.key = strdup(key)};
    }
    free(stored->text);
    stored->text = strdup(text);
    stored->modified = modified;
    snprintf(stored->etag, sizeof stored->etag, "%s", etag);
    pthread_mutex_unlock(&s->lock);
}

static inline void scripted_remove(struct scripted *s, const char *key) {
    pthread_mutex_lock(&s->lock);
    struct stored *stored = scripted_find(s, key);
    free(stored->key);
    free(stored->text);
    memmove(stored, stored + 1, (size_t)(s->objects + --s->count - stored) * sizeof *stored);
    pthread_mutex_unlock(&s->lock);
}

static inline unsigned scripted_gets(struct scripted *s, const char *key) {
    pthread_mutex_lock(&s->lock);
    unsigned gets = scripted_find(s, key)->gets;
    pthread_mutex_unlock(&s->lock);
    return gets;
}

/* How the gets of an object end from now on, and whether they wait. */
static inline void scripted_set(struct scripted *s, const char *key, int err, bool held) {
    pthread_mutex_lock(&s->lock);
    scripted_find(s, key)->err = err;
    scripted_find(s, key)->held = held;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline void scripted_set_err(struct scripted *s, int err) {
    pthread_mutex_lock(&s->lock);
    s->err = err;
    pthread_mutex_unlock(&s->lock);
}

static inline void scripted_hold_lists(struct scripted *s, bool held) {
    pthread_mutex_lock(&s->lock);
    s->lists_held = held;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Returns once as many calls are held. */
static inline void scripted_await_held(struct scripted *s, unsigned count) {
    pthread_mutex_lock(&s->lock);
    while (s->waiting < count)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* Makes the n-th call from now fail. */
static inline void scripted_fail(struct scripted *s, unsigned n, int err) {
    pthread_mutex_lock(&s->lock);
    s->fail_call = s->calls + n;
    s->fail_err = err;
    pthread_mutex_unlock(&s->lock);
}

/* Lets calls be right again. Returns whether the one that was to fail came. */
static inline bool scripted_mend(struct scripted *s) {
    pthread_mutex_lock(&s->lock);
    bool failed = s->fail_call && s->calls >= s->fail_call;
    s->fail_call = 0;
    pthread_mutex_unlock(&s->lock);
    return failed;
}

/* How many calls are held now. */
static inline unsigned scripted_held(struct scripted *s) {
    pthread_mutex_lock(&s->lock);
    unsigned held = s->waiting;
    pthread_mutex_unlock(&s->lock);
    return held;
}

static inline unsigned scripted_lists(struct scripted *s) {
    pthread_mutex_lock(&s->lock);
    unsigned lists = s->lists;
    pthread_mutex_unlock(&s->lock);
    return lists;
}

#endif
