#include "shared_file.h"

#include <errno.h>
#include <maciefs/credentials.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PROFILE "default"

struct profile_provider {
    struct credentials_provider base;
    char *name; /* base.name's memory */
    char *profile;
    bool named; /* by the option or AWS_PROFILE: then it must exist */
    pthread_mutex_t lock;
    struct shared_file credentials; /* under the lock, as the next */
    struct shared_file config;
};

static int look_up(const struct profile_provider *provider, const struct shared_file *file,
                   const char *name, char **ret, struct fault *fault) {
    int err = shared_file_lookup(file, provider->profile, name, ret);
    return err == -ENOMEM ? fault_set(fault, err, "no memory for credentials") : err;
}

/* The keys of the profile in one file. Returns 0; -ENOENT where it has no key id, -ESRCH where
 * there is no such profile; or another error with a fault. */
static int get_from(const struct profile_provider *provider, const struct shared_file *file,
                    struct credentials *ret, struct fault *fault) {
    struct credentials found = {0};
    int err = look_up(provider, file, "aws_access_key_id", &found.access_key_id, fault);
    if (!err) {
        err = look_up(provider, file, "aws_secret_access_key", &found.secret_access_key, fault);
        if (err == -ENOENT)
            err = fault_set(fault, -EACCES,
                            "%s in %s has an aws_access_key_id, but no aws_secret_access_key",
                            provider->name, file->path);
    }
    if (!err) {
        err = look_up(provider, file, "aws_session_token", &found.session_token, fault);
        if (err == -ENOENT)
            err = 0;
    }
    if (err)
        credentials_clear(&found);
    else
        *ret = found;
    return err;
}

static int get_locked(struct profile_provider *provider, struct credentials *ret,
                      struct fault *fault) {
    struct shared_file *credentials = &provider->credentials, *config = &provider->config;
    int err = shared_file_refresh(credentials, fault);
    if (!err)
        err = shared_file_refresh(config, fault);
    if (err)
        return err;
    int first = get_from(provider, credentials, ret, fault);
    if (first != -ENOENT && first != -ESRCH)
        return first;
    int second = get_from(provider, config, ret, fault);
    if (second != -ENOENT && second != -ESRCH)
        return second;
    if (!provider->named)
        return -ENOENT;
    if (first == -ESRCH && second == -ESRCH)
        return fault_set(fault, -EACCES, "there is no %s in %s or %s", provider->name,
                         credentials->path, config->path);
    return fault_set(fault, -ENOENT,
                     "%s has no credentials in %s or %s: it needs aws_access_key_id and "
                     "aws_secret_access_key, role_arn, sso_session, or credential_process",
                     provider->name, credentials->path, config->path);
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct profile_provider *provider = (struct profile_provider *)base;
    pthread_mutex_lock(&provider->lock);
    int err = get_locked(provider, ret, fault);
    pthread_mutex_unlock(&provider->lock);
    return err;
}

static void free_provider(struct credentials_provider *base) {
    struct profile_provider *provider = (struct profile_provider *)base;
    shared_file_clean_up(&provider->credentials);
    shared_file_clean_up(&provider->config);
    pthread_mutex_destroy(&provider->lock);
    free(provider->profile);
    free(provider->name);
    free(provider);
}

struct credentials_provider *credentials_profile_new(const char *profile) {
    struct profile_provider *provider = calloc(1, sizeof *provider);
    if (!provider)
        return NULL;
    const char *named = shared_file_named_profile(profile);
    provider->base = (struct credentials_provider){.get = get, .free = free_provider};
    provider->named = named != NULL;
    pthread_mutex_init(&provider->lock, NULL);
    provider->profile = strdup(named ? named : DEFAULT_PROFILE);
    if (!provider->profile || asprintf(&provider->name, "profile '%s'", provider->profile) < 0)
        provider->name = NULL;
    provider->base.name = provider->name;
    if (provider->name && shared_file_init_credentials(&provider->credentials) == 0 &&
        shared_file_init_config(&provider->config) == 0)
        return &provider->base;
    free_provider(&provider->base);
    return NULL;
}

static int setting_in(int (*init)(struct shared_file *), const char *profile, const char *name,
                      char **ret, struct fault *fault) {
    struct shared_file file;
    if (init(&file) < 0)
        return fault_set(fault, -ENOMEM, "no memory to look up %s", name);
    int err = shared_file_refresh(&file, fault);
    if (!err) {
        err = shared_file_lookup(&file, profile, name, ret);
        if (err == -ENOMEM)
            fault_set(fault, err, "no memory to look up %s", name);
    }
    shared_file_clean_up(&file);
    return err == -ESRCH ? -ENOENT : err;
}

int profile_setting(const char *profile, const char *name, char **ret, struct fault *fault) {
    const char *named = shared_file_named_profile(profile);
    if (!named)
        named = DEFAULT_PROFILE;
    int err = setting_in(shared_file_init_credentials, named, name, ret, fault);
    return err == -ENOENT ? setting_in(shared_file_init_config, named, name, ret, fault) : err;
}
