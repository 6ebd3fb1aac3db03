#include "hours_private.h"
#include "key_set.h"
#include "store_private.h"

#include <maciefs/clock.h>

static uint64_t digest_of(const struct object *object) {
    struct key_digest digest = key_digest(object->key, object->etag);
    return (digest.key[0] ^ digest.etag) | 1; /* 0 is no digest */
}

void refused_add(struct hours *hours, const struct object *object) {
    uint64_t digest = digest_of(object);
    pthread_mutex_lock(&hours->lock);
    unsigned i = 0;
    while (i < REFUSED_MAX && hours->refused[i].digest != digest)
        i++;
    if (i == REFUSED_MAX) {
        i = hours->refused_next;
        hours->refused_next = (i + 1) % REFUSED_MAX;
        hours->refused[i].digest = digest;
        hours->refused[i].pause = REFUSED_FIRST_MS / 2;
    }
    if (hours->refused[i].pause < REFUSED_MAX_MS)
        hours->refused[i].pause *= 2;
    hours->refused[i].until = clock_ms() + hours->refused[i].pause;
    pthread_mutex_unlock(&hours->lock);
}

bool refused_now(struct hours *hours, const struct object *object) {
    uint64_t digest = digest_of(object);
    int64_t now = clock_ms();
    bool refused = false;
    pthread_mutex_lock(&hours->lock);
    for (unsigned i = 0; i < REFUSED_MAX && !refused; i++)
        refused = hours->refused[i].digest == digest && hours->refused[i].until > now;
    pthread_mutex_unlock(&hours->lock);
    return refused;
}
