#include "sso.h"

#include <stdlib.h>
#include <string.h>

struct sso_provider {
    struct credentials_provider base;
    char *profile; /* NULL as in credentials_profile_new */
    const struct credentials_network *network;
};

static int ask(const struct sso_provider *provider, const struct sso_settings *settings,
               struct credentials *ret, struct fault *fault) {
    char *token;
    int err = sso_token_get(settings, provider->network, &token, fault);
    if (err)
        return err;
    err = sso_role_credentials(settings, provider->network, token, ret, fault);
    explicit_bzero(token, strlen(token));
    free(token);
    return err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    const struct sso_provider *provider = (struct sso_provider *)base;
    struct sso_settings settings;
    int err = sso_settings_read(provider->profile, &settings, fault);
    if (err)
        return err;
    err = ask(provider, &settings, ret, fault);
    sso_settings_clear(&settings);
    return err;
}

static void free_provider(struct credentials_provider *base) {
    struct sso_provider *provider = (struct sso_provider *)base;
    free(provider->profile);
    free(provider);
}

struct credentials_provider *credentials_sso_new(const char *profile,
                                                 const struct credentials_network *network) {
    struct sso_provider *provider = calloc(1, sizeof *provider);
    if (!provider)
        return NULL;
    provider->base = (struct credentials_provider){
        .name = "IAM Identity Center", .get = get, .free = free_provider};
    provider->network = network;
    provider->profile = profile ? strdup(profile) : NULL;
    if (!profile || provider->profile)
        return &provider->base;
    free(provider);
    return NULL;
}
