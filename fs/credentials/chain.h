/*
 * Providers that are asked one after another, until one has something to say.
 */
#ifndef MACIEFS_CREDENTIALS_CHAIN_H
#define MACIEFS_CREDENTIALS_CHAIN_H

#include <maciefs/credentials.h>

#define CHAIN_PROVIDERS_MAX 8

struct chain {
    struct credentials_provider base;
    const struct server_clock *clock;                            /* for the caches */
    struct credentials_provider *providers[CHAIN_PROVIDERS_MAX]; /* in the order they are asked */
    size_t count;
};

/* An empty one; NULL without memory. */
struct chain *chain_new(const struct credentials_network *network);

/* Adds a provider, of CHAIN_PROVIDERS_MAX at most, which is taken over; as it is, or behind a
 * cache. NULL stands for one that there was no memory for. */
void chain_add(struct chain *chain, struct credentials_provider *provider);
void chain_add_cached(struct chain *chain, struct credentials_provider *provider);

/* The chain as a provider; NULL, and freed, where one of it was not made. */
struct credentials_provider *chain_finish(struct chain *chain);

#endif
