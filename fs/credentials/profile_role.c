#include "shared_file.h"

#include <errno.h>
#include <maciefs/credentials.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define DURATION_MIN 900
#define DURATION_MAX 43200

struct profile_role {
    struct credentials_provider base;
    char *name;    /* base.name's memory */
    char *profile; /* NULL for AWS_PROFILE's, else the default one */
    char *region;
    struct credentials_sources sources;
    const struct credentials_network *network;
};

/* A walk from a profile to its source, to the source's source, and so on. */
struct walk {
    const struct profile_role *from;
    const char *profiles[DEPTH_MAX];
    unsigned depth;
    struct fault *fault;
};

/* A profile's settings; NULL where they are not set. */
struct settings {
    char *role_arn, *source_profile, *credential_source, *token_file;
    char *external_id, *session_name, *duration, *mfa_serial;
};

/* Hands a provider on, or says that there was no memory for it. */
static int made(struct walk *walk, struct credentials_provider *provider,
                struct credentials_provider **ret) {
    *ret = provider;
    return provider ? 0 : fault_set(walk->fault, -ENOMEM, "no memory for credentials");
}

static const char *current(const struct walk *walk) {
    return walk->profiles[walk->depth - 1];
}

static void settings_clear(struct settings *settings) {
    free(settings->role_arn);
    free(settings->source_profile);
    free(settings->credential_source);
    free(settings->token_file);
    free(settings->external_id);
    free(settings->session_name);
    free(settings->duration);
    free(settings->mfa_serial);
}

static int settings_read(const char *profile, struct settings *ret, struct fault *fault) {
    struct settings found = {0};
    const struct {
        const char *name;
        char **value;
    } wanted[] = {{"role_arn", &found.role_arn},
                  {"source_profile", &found.source_profile},
                  {"credential_source", &found.credential_source},
                  {"web_identity_token_file", &found.token_file},
                  {"external_id", &found.external_id},
                  {"role_session_name", &found.session_name},
                  {"duration_seconds", &found.duration},
                  {"mfa_serial", &found.mfa_serial}};
    int err = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !err; i++) {
        err = profile_setting(profile, wanted[i].name, wanted[i].value, fault);
        /* Most profiles have no role; then the rest is not looked for. */
        if (err == -ENOENT && i > 0)
            err = 0;
    }
    if (err)
        settings_clear(&found);
    else
        *ret = found;
    return err;
}

/* Returns 0 and true where the profile has the setting. */
static int has_setting(const char *profile, const char *name, bool *ret, struct fault *fault) {
    char *value = NULL;
    int err = profile_setting(profile, name, &value, fault);
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
    *ret = err == 0;
    return err == -ENOENT ? 0 : err;
}

static int parse_duration(const struct walk *walk, const char *text, unsigned *ret) {
    size_t len = strlen(text);
    unsigned long seconds =
        len <= 5 && strspn(text, "0123456789") == len ? strtoul(text, NULL, 10) : 0;
    if (seconds < DURATION_MIN || seconds > DURATION_MAX)
        return fault_set(walk->fault, -EINVAL,
                         "profile '%s' has duration_seconds = %s: give a number from 900 to 43200",
                         current(walk), text);
    *ret = (unsigned)seconds;
    return 0;
}

/* Writes the names of the profiles on the way, and `last`. */
static void tell_way(const struct walk *walk, const char *last, char *ret, size_t size) {
    size_t len = 0;
    for (unsigned i = 0; i < walk->depth && len < size; i++)
        len += (size_t)snprintf(ret + len, size - len, "'%s', ", walk->profiles[i]);
    if (len < size)
        snprintf(ret + len, size - len, "'%s'", last);
}

static int check_way(const struct walk *walk, const char *next) {
    char way[FAULT_TEXT_MAX];
    bool again = false;
    for (unsigned i = 0; i < walk->depth; i++)
        again |= strcmp(walk->profiles[i], next) == 0;
    if (!again && walk->depth < DEPTH_MAX)
        return 0;
    tell_way(walk, next, way, sizeof way);
    return fault_set(walk->fault, -EINVAL,
                     again ? "the source_profile of profiles %s goes in a circle: let one of them "
                             "have keys of its own"
                           : "the profiles %s are each the source_profile of the one before, and "
                             "more than 8: make the way to a role shorter",
                     way);
}

static int walk_role(struct walk *walk, const char *profile, struct credentials_provider **ret);

/* Keys of its own come before a role, as in the AWS CLI; so a profile may be its own source. */
static int find_source_profile(struct walk *walk, const char *profile,
                               struct credentials_provider **ret) {
    bool has_keys, has_role, has_token;
    int err = has_setting(profile, "aws_access_key_id", &has_keys, walk->fault);
    if (!err)
        err = has_setting(profile, "role_arn", &has_role, walk->fault);
    if (!err)
        err = has_setting(profile, "web_identity_token_file", &has_token, walk->fault);
    if (err)
        return err;
    if (has_role && (has_token || !has_keys))
        return walk_role(walk, profile, ret);
    return made(walk, credentials_own_new(profile, walk->from->network), ret);
}

static int find_credential_source(struct walk *walk, const char *kind,
                                  struct credentials_provider **ret) {
    const struct profile_role *from = walk->from;
    if (strcmp(kind, "Environment") == 0)
        return made(walk, credentials_environment_new(), ret);
    if (strcmp(kind, "EcsContainer") == 0 && from->sources.container)
        return made(walk, from->sources.container(from->network), ret);
    if (strcmp(kind, "Ec2InstanceMetadata") == 0 && from->sources.metadata)
        return made(walk, from->sources.metadata(from->network), ret);
    return fault_set(walk->fault, -EINVAL,
                     "profile '%s' has credential_source = %s: give Environment, EcsContainer or "
                     "Ec2InstanceMetadata",
                     current(walk), kind);
}

static int find_source(struct walk *walk, const struct settings *settings,
                       struct credentials_provider **ret) {
    if (settings->mfa_serial)
        return fault_set(walk->fault, -EACCES,
                         "profile '%s' has an mfa_serial, but a daemon cannot be asked for a code: "
                         "use a role that does not require one",
                         current(walk));
    if (!settings->source_profile == !settings->credential_source)
        return fault_set(walk->fault, -EINVAL,
                         "profile '%s' has a role_arn%s: give one of source_profile and "
                         "credential_source",
                         current(walk),
                         settings->source_profile ? ", and two sources for it"
                                                  : ", but nothing to assume it with");
    if (settings->source_profile)
        return find_source_profile(walk, settings->source_profile, ret);
    return find_credential_source(walk, settings->credential_source, ret);
}

static int make_role(struct walk *walk, const struct settings *settings,
                     struct credentials_provider **ret) {
    const struct profile_role *from = walk->from;
    struct credentials_role role = {.role_arn = settings->role_arn,
                                    .session_name = settings->session_name,
                                    .external_id = settings->external_id,
                                    .region = from->region,
                                    .profile = from->profile};
    struct credentials_provider *source;
    int err = settings->duration ? parse_duration(walk, settings->duration, &role.duration_s) : 0;
    if (err)
        return err;
    if (settings->token_file)
        return made(walk,
                    credentials_web_identity_role_new(&role, settings->token_file, from->network),
                    ret);
    err = find_source(walk, settings, &source);
    return err ? err : made(walk, credentials_role_new(&role, source, from->network), ret);
}

static int walk_role(struct walk *walk, const char *profile, struct credentials_provider **ret) {
    struct settings settings;
    int err = check_way(walk, profile);
    if (!err)
        err = settings_read(profile, &settings, walk->fault);
    if (err)
        return err;
    walk->profiles[walk->depth++] = profile;
    err = make_role(walk, &settings, ret);
    settings_clear(&settings);
    return err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    const struct profile_role *from = (struct profile_role *)base;
    struct walk walk = {.from = from, .fault = fault};
    struct credentials_provider *role;
    const char *named = shared_file_named_profile(from->profile);
    int err = walk_role(&walk, named ? named : "default", &role);
    if (err)
        return err;
    err = credentials_get(role, ret, fault);
    credentials_provider_free(role);
    return err;
}

static void free_provider(struct credentials_provider *base) {
    struct profile_role *provider = (struct profile_role *)base;
    free(provider->profile);
    free(provider->region);
    free(provider->name);
    free(provider);
}

struct credentials_provider *
credentials_profile_role_new(const char *profile, const char *region,
                             const struct credentials_sources *sources,
                             const struct credentials_network *network) {
    struct profile_role *provider = calloc(1, sizeof *provider);
    if (!provider)
        return NULL;
    const char *named = shared_file_named_profile(profile);
    provider->base = (struct credentials_provider){.get = get, .free = free_provider};
    provider->sources = *sources;
    provider->network = network;
    provider->profile = profile ? strdup(profile) : NULL;
    provider->region = region ? strdup(region) : NULL;
    if (asprintf(&provider->name, "the role of profile '%s'", named ? named : "default") < 0)
        provider->name = NULL;
    provider->base.name = provider->name;
    if (provider->name && (provider->profile || !profile) && (provider->region || !region))
        return &provider->base;
    free_provider(&provider->base);
    return NULL;
}
