#include <maciefs/credentials.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define PROVIDERS_MAX 8

struct chain {
    struct credentials_provider base;
    const struct server_clock *clock;                      /* for the caches */
    struct credentials_provider *providers[PROVIDERS_MAX]; /* in the order they are asked */
    size_t count;
};

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

/* One that was not made is found when all are. */
static void add(struct chain *chain, struct credentials_provider *provider) {
    chain->providers[chain->count++] = provider;
}

static void add_cached(struct chain *chain, struct credentials_provider *provider) {
    add(chain, credentials_cache_new(provider, chain->clock));
}

static struct chain *chain_new(const struct credentials_network *network) {
    struct chain *chain = calloc(1, sizeof *chain);
    if (!chain)
        return NULL;
    chain->base = (struct credentials_provider){
        .name = "the chain", .get = get, .reject = reject, .free = free_chain};
    chain->clock = network ? network->clock : NULL;
    return chain;
}

/* The chain as a provider; NULL, and freed, where one of it was not made. */
static struct credentials_provider *finish(struct chain *chain) {
    for (size_t i = 0; i < chain->count; i++) {
        if (!chain->providers[i]) {
            free_chain(&chain->base);
            return NULL;
        }
    }
    return &chain->base;
}

struct credentials_provider *credentials_own_new(const char *profile,
                                                 const struct credentials_network *network) {
    struct chain *chain = chain_new(network);
    if (!chain)
        return NULL;
    add(chain, credentials_sso_new(profile, network));
    add(chain, credentials_profile_new(profile));
    add(chain, credentials_process_new(profile));
    return finish(chain);
}

struct credentials_provider *credentials_chain_new(const char *profile, const char *region,
                                                   const struct credentials_network *network) {
    const struct credentials_sources sources = {.container = credentials_container_new,
                                                .metadata = credentials_metadata_new};
    struct chain *chain = chain_new(network);
    if (!chain)
        return NULL;
    if (!profile)
        add(chain, credentials_environment_new());
    add_cached(chain, credentials_profile_role_new(profile, region, &sources, network));
    if (!profile)
        add_cached(chain, credentials_web_identity_new(region, network));
    add_cached(chain, credentials_sso_new(profile, network));
    add(chain, credentials_profile_new(profile));
    add_cached(chain, credentials_process_new(profile));
    add_cached(chain, credentials_container_new(network));
    add_cached(chain, credentials_metadata_new(network));
    return finish(chain);
}

static bool has_control_character(const char *text) {
    for (const char *c = text; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return true;
    return false;
}

int credentials_get(struct credentials_provider *provider, struct credentials *ret,
                    struct fault *fault) {
    struct credentials found;
    int err = provider->get(provider, &found, fault);
    if (err)
        return err;
    /* Usually a line end that came along when the key was copied. */
    if (has_control_character(found.access_key_id) ||
        has_control_character(found.secret_access_key) ||
        has_control_character(found.session_token)) {
        credentials_clear(&found);
        return fault_set(fault, -EINVAL,
                         "the AWS credentials from %s have a line end or another control "
                         "character in them",
                         provider->name);
    }
    *ret = found;
    return 0;
}

bool credentials_renew(struct credentials_provider *provider, const struct credentials *refused) {
    struct credentials now;
    if (provider->reject)
        provider->reject(provider, refused);
    if (credentials_get(provider, &now, NULL) < 0)
        return true;
    bool others = !credentials_are_same(&now, refused);
    credentials_clear(&now);
    return others;
}

void credentials_provider_free(struct credentials_provider *provider) {
    if (provider)
        provider->free(provider);
}

static void free_secret(char *text) {
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static bool is_same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool credentials_are_same(const struct credentials *a, const struct credentials *b) {
    return is_same_text(a->access_key_id, b->access_key_id) &&
           is_same_text(a->secret_access_key, b->secret_access_key) &&
           is_same_text(a->session_token, b->session_token);
}

static bool copy_text(const char *from, char **ret) {
    *ret = from ? strdup(from) : NULL;
    return *ret || !from;
}

int credentials_copy(const struct credentials *from, struct credentials *ret) {
    struct credentials copy = {.expires = from->expires, .from = from->from};
    if (!copy_text(from->access_key_id, &copy.access_key_id) ||
        !copy_text(from->secret_access_key, &copy.secret_access_key) ||
        !copy_text(from->session_token, &copy.session_token)) {
        credentials_clear(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void credentials_clear(struct credentials *credentials) {
    if (!credentials)
        return;
    free_secret(credentials->access_key_id);
    free_secret(credentials->secret_access_key);
    free_secret(credentials->session_token);
    *credentials = (struct credentials){0};
}
