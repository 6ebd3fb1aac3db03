#include "hours_private.h"
#include "key_set.h"
#include "store_private.h"

#include <maciefs/clock.h>

static uint64_t digest_of(const struct object *object) {
    struct key_digest digest = key_digest(object->key, object->etag);
    return (digest.key[0] ^ digest.etag) | 1; /* 0 is no digest */
}

bool refused_add(struct hours *hours, const struct object *object) {
    uint64_t digest = digest_of(object);
    pthread_mutex_lock(&hours->lock);
    unsigned i = 0;
    while (i < REFUSED_MAX && hours->refused[i].digest != digest)
        i++;
    bool again = i < REFUSED_MAX;
    if (!again) {
        i = hours->refused_next;
        hours->refused_next = (i + 1) % REFUSED_MAX;
    }
    int64_t pause = again ? hours->refused[i].pause * 2 : REFUSED_FIRST_MS;
    hours->refused[i].digest = digest;
    hours->refused[i].pause = pause < REFUSED_MOST_MS ? pause : REFUSED_MOST_MS;
    hours->refused[i].until = clock_ms() + hours->refused[i].pause;
    pthread_mutex_unlock(&hours->lock);
    return again;
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
