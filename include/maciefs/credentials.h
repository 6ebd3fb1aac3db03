/*
 * Who signs the requests.
 *
 * A provider is one way to come by credentials; each is one file behind this interface, and they
 * are asked in the AWS CLI's order until one has some. Secrets live in this struct alone and are
 * cleared when it is freed.
 */
#ifndef MACIEFS_CREDENTIALS_H
#define MACIEFS_CREDENTIALS_H

#include <maciefs/fault.h>
#include <maciefs/http.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* or NULL */
    int64_t expires;     /* seconds since 1970; 0: never */
};

struct credentials_provider {
    const char *name; /* for messages: "the environment", "profile 'audit'" */
    /*
     * Returns 0 and credentials; -ENOENT where this provider has nothing to say (the next is
     * asked); any other error, with a fault, where it should have and could not.
     */
    int (*get)(struct credentials_provider *, struct credentials *ret, struct fault *);
    void (*free)(struct credentials_provider *);
};

/* How providers that ask a server do so. */
struct credentials_network {
    struct http_pool *host; /* for what this machine's host serves: never through a proxy */
    struct http_pool *aws;  /* for AWS's services */
};

/*
 * Keeps what a provider gave that asks a server or a program, so that it is asked seldom: again
 * five minutes before the credentials expire, by one caller, while the others go on with those
 * there are. Where it fails then, the old ones serve while they last, and it is asked again every
 * half minute. Takes the provider over, also where it returns NULL (without memory). May be asked
 * from several threads. `now`: the clock, seconds since 1970; NULL for the system's.
 */
struct credentials_provider *credentials_cache_new(struct credentials_provider *provider,
                                                   int64_t (*now)(void));

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. NULL without memory. */
struct credentials_provider *credentials_environment_new(void);

/*
 * Static keys of a profile in the shared credentials file (AWS_SHARED_CREDENTIALS_FILE, else
 * ~/.aws/credentials), then in the config file (AWS_CONFIG_FILE, else ~/.aws/config), read again
 * when they change. `profile`: NULL for AWS_PROFILE's, else "default"; a profile that was named and
 * has no keys is an error (-EACCES) that names the files it was looked for in. NULL without memory.
 * May be asked from several threads.
 */
struct credentials_provider *credentials_profile_new(const char *profile);

/*
 * The providers in the CLI's order. A `profile` named here takes the environment's place; one that
 * AWS_PROFILE names is asked after the environment. The network must outlive the chain. -EACCES
 * where none has any. NULL without memory. May be asked from several threads.
 */
struct credentials_provider *credentials_chain_new(const char *profile,
                                                   const struct credentials_network *network);

/* As the provider's get; and -EINVAL for credentials with a control character in them. */
int credentials_get(struct credentials_provider *provider, struct credentials *ret,
                    struct fault *fault);
void credentials_provider_free(struct credentials_provider *provider); /* accepts NULL */

/* A copy to be cleared by its owner. Returns 0 or -ENOMEM. */
int credentials_copy(const struct credentials *from, struct credentials *ret);

/* Clears and frees the strings. Accepts a zeroed one, and NULL. */
void credentials_clear(struct credentials *credentials);

/*
 * A setting of the profile ("region", "endpoint_url"), from the credentials file and then the
 * config file, as the CLI overlays them. `profile` as in credentials_profile_new. Returns 0 and a
 * string to be freed; -ENOENT where it is not set; or an error with a fault.
 */
int profile_setting(const char *profile, const char *name, char **ret, struct fault *fault);

/*
 * Looks a setting up in the text of a shared file: sections "[name]" or, where `prefixed`,
 * "[profile name]" ("[default]" in both), "name = value" with names in any case, lines of comment
 * that begin with '#' or ';', lines indented deeper than the setting above, which belong to it. The
 * last of several settings holds; an empty one is as good as none. What is none of these is
 * skipped. Returns 0 and a string to be freed; -ENOENT where the section lacks it; -ESRCH where
 * there is no such section; -ENOMEM.
 */
int profile_file_lookup(const char *text, size_t len, bool prefixed, const char *profile,
                        const char *name, char **ret);

#endif
