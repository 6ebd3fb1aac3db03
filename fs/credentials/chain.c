#include "chain.h"

#include <errno.h>
#include <stdlib.h>

static int find_none(const struct fault *hint, struct fault *fault) {
    if (hint->text[0])
        return fault_set(fault, -EACCES, "%s", hint->text);
    return fault_set(fault, -EACCES,
                     "no AWS credentials were found: set AWS_ACCESS_KEY_ID and "
                     "AWS_SECRET_ACCESS_KEY, name a profile of ~/.aws/credentials with "
                     "profile=NAME, or give this machine a role");
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct chain *chain = (struct chain *)base;
    struct fault hint = {.text = ""};
    for (size_t i = 0; i < chain->count; i++) {
        struct fault said = {.text = ""};
        int err = credentials_get(chain->providers[i], ret, &said);
        if (!err)
            ret->from = chain->providers[i]->name;
        if (err != -ENOENT) {
            if (err && fault)
                *fault = said;
            return err;
        }
        /* What the first has to say that has something is nearest to what the user wanted. */
        if (!hint.text[0])
            hint = said;
    }
    return find_none(&hint, fault);
}

/* Whose they are, knows them. */
static void reject(struct credentials_provider *base, const struct credentials *refused) {
    struct chain *chain = (struct chain *)base;
    for (size_t i = 0; i < chain->count; i++)
        if (chain->providers[i]->reject)
            chain->providers[i]->reject(chain->providers[i], refused);
}

static void free_chain(struct credentials_provider *base) {
    struct chain *chain = (struct chain *)base;
    for (size_t i = 0; i < chain->count; i++)
        credentials_provider_free(chain->providers[i]);
    free(chain);
}

void chain_add(struct chain *chain, struct credentials_provider *provider) {
    chain->providers[chain->count++] = provider;
}

void chain_add_cached(struct chain *chain, struct credentials_provider *provider) {
    chain_add(chain, credentials_cache_new(provider, chain->clock));
}

struct chain *chain_new(const struct credentials_network *network) {
    struct chain *chain = calloc(1, sizeof *chain);
    if (!chain)
        return NULL;
    chain->base = (struct credentials_provider){
        .name = "the chain", .get = get, .reject = reject, .free = free_chain};
    chain->clock = network ? network->clock : NULL;
    return chain;
}

struct credentials_provider *chain_finish(struct chain *chain) {
    for (size_t i = 0; i < chain->count; i++) {
        if (!chain->providers[i]) {
            free_chain(&chain->base);
            return NULL;
        }
    }
    return &chain->base;
}
