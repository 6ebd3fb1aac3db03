#include "sts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct role_provider {
    struct credentials_provider base;
    char *name; /* base.name's memory */
    struct credentials_role role;
    struct credentials_provider *source;
    const struct credentials_network *network;
};

static int assume(struct role_provider *provider, struct credentials *source,
                  struct credentials *ret, struct fault *fault) {
    const struct sts_call call = {.role = &provider->role, .network = provider->network};
    int err = credentials_get(provider->source, source, fault);
    if (err == -ENOENT)
        return fault_set(fault, -EACCES,
                         "role %s cannot be assumed: there are no credentials in %s to ask with",
                         provider->role.role_arn, provider->source->name);
    return err ? err : sts_assume_role(&call, source, ret, fault);
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct role_provider *provider = (struct role_provider *)base;
    struct credentials source = {0};
    int err = assume(provider, &source, ret, fault);
    /* The source's session may have ended before its time. */
    if (err == -EACCES && source.access_key_id && credentials_renew(provider->source, &source)) {
        credentials_clear(&source);
        err = assume(provider, &source, ret, fault);
    }
    credentials_clear(&source);
    return err;
}

static void free_provider(struct credentials_provider *base) {
    struct role_provider *provider = (struct role_provider *)base;
    credentials_provider_free(provider->source);
    sts_role_clear(&provider->role);
    free(provider->name);
    free(provider);
}

struct credentials_provider *credentials_role_new(const struct credentials_role *role,
                                                  struct credentials_provider *source,
                                                  const struct credentials_network *network) {
    struct role_provider *provider = source ? calloc(1, sizeof *provider) : NULL;
    if (!provider) {
        credentials_provider_free(source);
        return NULL;
    }
    provider->base = (struct credentials_provider){.get = get, .free = free_provider};
    provider->source = source;
    provider->network = network;
    if (asprintf(&provider->name, "role %s", role->role_arn) < 0)
        provider->name = NULL;
    provider->base.name = provider->name;
    if (sts_role_copy(role, &provider->role) == 0 && provider->name)
        return &provider->base;
    free_provider(&provider->base);
    return NULL;
}
