#include "hours_private.h"

#include <maciefs/clock.h>
#include <maciefs/key_set.h>

static uint64_t digest_of(const struct object *object) {
    struct key_digest digest = key_digest(object->key, object->etag);
    return (digest.key[0] ^ digest.etag) | 1; /* 0 is no digest */
}

/* Its entry, or NULL; the lock is held. */
static struct refused *find(struct hours *hours, uint64_t digest) {
    struct refused *set = hours->refused[digest / 2 % REFUSED_SETS];
    for (unsigned i = 0; i < REFUSED_WAYS; i++)
        if (set[i].digest == digest)
            return &set[i];
    return NULL;
}

/* A new entry; the lock is held. */
static struct refused *make(struct hours *hours, uint64_t digest) {
    struct refused *set = hours->refused[digest / 2 % REFUSED_SETS];
    struct refused *first = set;
    for (unsigned i = 1; i < REFUSED_WAYS; i++)
        if (set[i].until < first->until)
            first = &set[i];
    *first = (struct refused){.digest = digest};
    return first;
}

static int32_t longer(int32_t pause) {
    if (pause == 0)
        return REFUSED_FIRST_MS;
    return pause < REFUSED_MOST_MS / 2 ? pause * 2 : REFUSED_MOST_MS;
}

enum refused_news refused_add(struct hours *hours, const struct object *object, bool gone) {
    enum refused_news news = REFUSED_NEWS;
    uint64_t digest = digest_of(object);
    pthread_mutex_lock(&hours->lock);
    struct refused *entry = find(hours, digest);
    if (!entry) {
        entry = make(hours, digest);
        news = gone ? REFUSED_QUIETLY : REFUSED_NEWS;
    } else if (entry->told) {
        news = REFUSED_AGAIN;
    }
    entry->pause = longer(entry->pause);
    entry->until = clock_ms() + entry->pause;
    entry->told = entry->told || news == REFUSED_NEWS;
    pthread_mutex_unlock(&hours->lock);
    return news;
}

bool refused_now(struct hours *hours, const struct object *object) {
    uint64_t digest = digest_of(object);
    int64_t now = clock_ms();
    pthread_mutex_lock(&hours->lock);
    const struct refused *entry = find(hours, digest);
    bool refused = entry && entry->until > now;
    pthread_mutex_unlock(&hours->lock);
    return refused;
}
