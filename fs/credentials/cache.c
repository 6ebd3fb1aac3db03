#include <maciefs/credentials.h>
#include <maciefs/server_clock.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define REFRESH_BEFORE_S 300 /* ahead of their end */
#define REFRESH_AGAIN_S 30   /* after one that failed */

struct cache {
    struct credentials_provider base;
    struct credentials_provider *provider;
    const struct server_clock *clock;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t refreshed;
    bool refreshing;
    unsigned rounds; /* refreshes that ended */
    int failed;      /* how the last one ended: 0, or an error with `why` */
    struct fault why;
    int64_t ask_at;          /* not before that is the provider asked again, while they last */
    struct credentials kept; /* without a key id: none */
    bool rejected;           /* a server refused those that are kept */
    int64_t reject_at;       /* not before that is the provider asked again for that reason */
};

static int64_t clock_of(const struct cache *cache) {
    return server_clock_now(cache->clock);
}

/* Those that never expire are asked for again like others that near their end: they may change. */
static bool has_valid(const struct cache *cache, int64_t now) {
    return cache->kept.access_key_id && !cache->rejected &&
           (!cache->kept.expires || now < cache->kept.expires);
}

/* Who had nothing to say a moment ago, as most of the chain has, is not asked at each request. */
static bool has_nothing(const struct cache *cache, int64_t now) {
    return cache->failed == -ENOENT && now < cache->ask_at;
}

static bool is_due(const struct cache *cache, int64_t now) {
    return now >= cache->ask_at || (!has_valid(cache, now) && !has_nothing(cache, now));
}

static void keep(struct cache *cache, struct credentials *found, int64_t now) {
    credentials_clear(&cache->kept);
    cache->kept = *found;
    cache->rejected = false;
    cache->ask_at = found->expires ? found->expires - REFRESH_BEFORE_S : now + REFRESH_BEFORE_S;
    /* Some come shortly before they end. */
    if (cache->ask_at < now + REFRESH_AGAIN_S)
        cache->ask_at = now + REFRESH_AGAIN_S;
}

/* Asks the provider, without the lock meanwhile. */
static void refresh(struct cache *cache) {
    struct credentials found;
    struct fault why = {.text = ""};
    cache->refreshing = true;
    pthread_mutex_unlock(&cache->lock);
    int err = credentials_get(cache->provider, &found, &why);
    pthread_mutex_lock(&cache->lock);
    cache->refreshing = false;
    cache->rounds++;
    cache->failed = err;
    cache->why = why;
    if (err)
        cache->ask_at = clock_of(cache) + REFRESH_AGAIN_S;
    else
        keep(cache, &found, clock_of(cache));
    pthread_cond_broadcast(&cache->refreshed);
}

/* Brings about that the cache has what is to be had now; who comes while it is being asked for, and
 * has nothing to go on with, waits for that. */
static void freshen(struct cache *cache) {
    unsigned rounds = cache->rounds;
    while (cache->refreshing && !has_valid(cache, clock_of(cache)))
        pthread_cond_wait(&cache->refreshed, &cache->lock);
    if (rounds == cache->rounds && !cache->refreshing && is_due(cache, clock_of(cache)))
        refresh(cache);
}

static int get_locked(struct cache *cache, struct credentials *ret, struct fault *fault) {
    freshen(cache);
    if (has_valid(cache, clock_of(cache)))
        return credentials_copy(&cache->kept, ret) < 0
                   ? fault_set(fault, -ENOMEM, "no memory for credentials")
                   : 0;
    if (!cache->failed)
        return fault_set(
            fault, -EACCES,
            "the AWS credentials from %s have expired already: check what gives them, and "
            "this machine's clock (timedatectl set-ntp true)",
            cache->base.name);
    if (fault)
        *fault = cache->why;
    return cache->failed;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct cache *cache = (struct cache *)base;
    pthread_mutex_lock(&cache->lock);
    int err = get_locked(cache, ret, fault);
    pthread_mutex_unlock(&cache->lock);
    return err;
}

/* Of many requests that were refused with the same credentials, the first brings about a refresh. A
 * server that refuses whatever there is does not have the provider asked at each request. */
static void reject(struct credentials_provider *base, const struct credentials *refused) {
    struct cache *cache = (struct cache *)base;
    pthread_mutex_lock(&cache->lock);
    int64_t now = clock_of(cache);
    if (has_valid(cache, now) && now >= cache->reject_at &&
        credentials_are_same(&cache->kept, refused)) {
        cache->rejected = true;
        cache->reject_at = now + REFRESH_AGAIN_S;
    }
    pthread_mutex_unlock(&cache->lock);
}

static void free_cache(struct credentials_provider *base) {
    struct cache *cache = (struct cache *)base;
    credentials_provider_free(cache->provider);
    credentials_clear(&cache->kept);
    pthread_cond_destroy(&cache->refreshed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct credentials_provider *credentials_cache_new(struct credentials_provider *provider,
                                                   const struct server_clock *clock) {
    struct cache *cache = provider ? calloc(1, sizeof *cache) : NULL;
    if (!cache) {
        credentials_provider_free(provider);
        return NULL;
    }
    cache->base = (struct credentials_provider){
        .name = provider->name, .get = get, .reject = reject, .free = free_cache};
    cache->provider = provider;
    cache->clock = clock;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->refreshed, NULL);
    return &cache->base;
}
