#include <maciefs/credentials.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int get(struct credentials_provider *provider, struct credentials *ret,
               struct fault *fault) {
    const char *id = getenv("AWS_ACCESS_KEY_ID");
    const char *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = getenv("AWS_SESSION_TOKEN");
    (void)provider;
    if (!id || !*id)
        return -ENOENT;
    if (!secret || !*secret)
        return fault_set(fault, -EACCES,
                         "AWS_ACCESS_KEY_ID is set in the environment, but "
                         "AWS_SECRET_ACCESS_KEY is not: set both or neither");
    bool has_token = token && *token;
    struct credentials credentials = {.access_key_id = strdup(id),
                                      .secret_access_key = strdup(secret),
                                      .session_token = has_token ? strdup(token) : NULL};
    if (!credentials.access_key_id || !credentials.secret_access_key ||
        (has_token && !credentials.session_token)) {
        credentials_clear(&credentials);
        return fault_set(fault, -ENOMEM, "no memory for credentials");
    }
    *ret = credentials;
    return 0;
}

static void free_provider(struct credentials_provider *provider) {
    free(provider);
}

struct credentials_provider *credentials_environment_new(void) {
    struct credentials_provider *provider = malloc(sizeof *provider);
    if (provider)
        *provider = (struct credentials_provider){
            .name = "the environment", .get = get, .free = free_provider};
    return provider;
}
