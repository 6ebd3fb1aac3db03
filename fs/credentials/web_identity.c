#include "sts.h"
#include "token_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct web_identity {
    struct credentials_provider base;
    char *name;                   /* base.name's memory */
    struct credentials_role role; /* without an ARN: the environment's */
    char *token_file;
    const struct credentials_network *network;
};

static const char *non_empty_env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int ask(const struct web_identity *provider, const struct credentials_role *role,
               const char *token_file, struct credentials *ret, struct fault *fault) {
    const struct sts_call call = {.role = role, .network = provider->network};
    struct buf token;
    buf_init_secret(&token, TOKEN_FILE_MAX);
    int err = token_file_read(token_file,
                              "AWS_WEB_IDENTITY_TOKEN_FILE, or the profile's "
                              "web_identity_token_file",
                              &token, fault);
    if (!err)
        err = sts_assume_role_with_web_identity(&call, &token, ret, fault);
    buf_free_secret(&token);
    return err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct web_identity *provider = (struct web_identity *)base;
    if (provider->token_file)
        return ask(provider, &provider->role, provider->token_file, ret, fault);
    const char *file = non_empty_env("AWS_WEB_IDENTITY_TOKEN_FILE");
    struct credentials_role role = provider->role;
    role.role_arn = non_empty_env("AWS_ROLE_ARN");
    role.session_name = non_empty_env("AWS_ROLE_SESSION_NAME");
    /* A role alone says nothing: other tools read it too. */
    if (!file)
        return -ENOENT;
    if (!role.role_arn)
        return fault_set(fault, -EACCES,
                         "AWS_WEB_IDENTITY_TOKEN_FILE is set in the environment, but AWS_ROLE_ARN "
                         "is not: set both or neither");
    return ask(provider, &role, file, ret, fault);
}

static void free_provider(struct credentials_provider *base) {
    struct web_identity *provider = (struct web_identity *)base;
    sts_role_clear(&provider->role);
    free(provider->token_file);
    free(provider->name);
    free(provider);
}

/* `token_file`: NULL for the environment's, and its role. */
static struct credentials_provider *make(const struct credentials_role *role,
                                         const char *token_file,
                                         const struct credentials_network *network) {
    struct web_identity *provider = calloc(1, sizeof *provider);
    if (!provider)
        return NULL;
    provider->base = (struct credentials_provider){.get = get, .free = free_provider};
    provider->network = network;
    provider->token_file = token_file ? strdup(token_file) : NULL;
    if (asprintf(&provider->name, "the web identity%s%s", token_file ? " of role " : "",
                 token_file ? role->role_arn : "") < 0)
        provider->name = NULL;
    provider->base.name = provider->name;
    if (sts_role_copy(role, &provider->role) == 0 && provider->name &&
        (provider->token_file || !token_file))
        return &provider->base;
    free_provider(&provider->base);
    return NULL;
}

struct credentials_provider *
credentials_web_identity_new(const char *region, const struct credentials_network *network) {
    const struct credentials_role role = {.region = region};
    return make(&role, NULL, network);
}

struct credentials_provider *
credentials_web_identity_role_new(const struct credentials_role *role, const char *token_file,
                                  const struct credentials_network *network) {
    return make(role, token_file, network);
}
