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
    const char *from;    /* name of the chain's provider that had them, valid as long as the chain;
                            NULL where no chain was asked */
};

struct credentials_provider {
    const char *name; /* for messages: "the environment", "profile 'audit'" */
    /*
     * Returns 0 and credentials; -ENOENT where this provider has nothing to say (the next is
     * asked), with a fault where a user would want to know why; any other error, with a fault,
     * where it should have and could not.
     */
    int (*get)(struct credentials_provider *, struct credentials *ret, struct fault *);
    /* Told of credentials that a server refuses. NULL for who keeps none. See credentials_renew. */
    void (*reject)(struct credentials_provider *, const struct credentials *refused);
    void (*free)(struct credentials_provider *);
};

struct server_clock;

/* How providers that ask a server do so. */
struct credentials_network {
    struct http_pool *host;     /* for what this machine's host serves: never through a proxy */
    struct http_pool *aws;      /* for AWS's services */
    struct server_clock *clock; /* set by what they answer; NULL for the system's */
};

/*
 * Keeps what a provider gave that asks a server or a program, so that it is asked seldom: again
 * five minutes before the credentials expire, by one caller, while the others go on with those
 * there are. Where it fails then, the old ones serve while they last, and it is asked again every
 * half minute, as it is where it has nothing to say. Those that a server refuses before their time
 * are asked for anew, at most every half minute. Takes the provider over, also where it returns
 * NULL (without memory). May be asked from several threads. `clock`: by which credentials end,
 * which must outlive the cache; NULL for the system's.
 */
struct credentials_provider *credentials_cache_new(struct credentials_provider *provider,
                                                   const struct server_clock *clock);

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. NULL without memory. */
struct credentials_provider *credentials_environment_new(void);

/*
 * Static keys of a profile in the shared credentials file (AWS_SHARED_CREDENTIALS_FILE, else
 * ~/.aws/credentials), then in the config file (AWS_CONFIG_FILE, else ~/.aws/config), read again
 * when they change. `profile`: NULL for AWS_PROFILE's, else "default"; a profile that was named and
 * is in neither is an error (-EACCES) that names the files. NULL without memory.
 * May be asked from several threads.
 */
struct credentials_provider *credentials_profile_new(const char *profile);

/*
 * What the profile's credential_process writes: a command for the shell, with a time limit of a
 * minute (AWS SDK reference guide, "Process credential provider"). Its get returns -ENOENT for a
 * profile without one; -EACCES where it fails. NULL without memory. It runs at each get: wrap it in
 * credentials_cache_new. May be asked from several threads.
 */
struct credentials_provider *credentials_process_new(const char *profile);

/*
 * The role that a profile names with sso_account_id and sso_role_name in IAM Identity Center (AWS
 * SSO), for the token that `aws sso login` left in ~/.aws/sso/cache: by sso_session, the name of a
 * section [sso-session NAME] of the config file with sso_start_url and sso_region, or by these in
 * the profile itself, the old style. Files are read at each get, since the CLI renews the token
 * too; a session's token is renewed and written back here when it is about to end
 * (fs/credentials/sso.h). Its get returns -ENOENT for a profile without such a role; -EACCES where
 * the user has to sign in (again), or has no such role; -EINVAL for settings that are missing or
 * contradict each other; -ENETDOWN where the service is away or throttles; -EPROTO for an answer
 * that is none; -ECANCELED; -ENOMEM. Caching, threads and NULL as above.
 */
struct credentials_provider *credentials_sso_new(const char *profile,
                                                 const struct credentials_network *network);

/*
 * What serves the role of an ECS task or an EKS pod, by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
 * …_FULL_URI, with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or …_TOKEN (AWS SDK reference guide,
 * "Container credential provider"). Its get returns -ENOENT where neither is set; -EACCES for an
 * address that is not safe, a refusal, or an answer that is none; http_get's errors. Caching,
 * threads and NULL as above.
 */
struct credentials_provider *credentials_container_new(const struct credentials_network *network);

/*
 * The role of the EC2 instance, by version 2 of its metadata service (AWS SDK reference guide,
 * "IMDS credential provider"). Its get returns -ENOENT where AWS_EC2_METADATA_DISABLED is true,
 * where there is no such service (which is found out once a minute), or no role; -EACCES for a
 * refusal or an answer that is none. Caching, threads and NULL as above.
 */
struct credentials_provider *credentials_metadata_new(const struct credentials_network *network);

/* A role to assume, and where to ask for it. What is NULL or 0 is left to its default. */
struct credentials_role {
    const char *role_arn;
    const char *session_name; /* NULL: "maciefs-" and the seconds since 1970 */
    const char *external_id;
    unsigned duration_s; /* 0: not sent, which STS takes for an hour */
    /* NULL: where service_url.h finds it named, else https://sts.REGION.amazonaws.com */
    const char *sts_endpoint;
    const char *region;  /* that is asked, and signed for */
    const char *profile; /* whose settings tell which of AWS's addresses; as in profile_setting */
};

/*
 * A role, assumed with the source's credentials (AWS STS API Reference, "AssumeRole"). The source
 * is taken over, also where this returns NULL (without memory); the role is copied; the network
 * must outlive the provider. It asks anew at each get: wrap it in credentials_cache_new. Its get
 * returns the source's errors; -EACCES where STS refuses or the source has nothing; -ENETDOWN where
 * STS is away or throttles; -EINVAL for an endpoint or region that is none; -EPROTO for an answer
 * that is none; -ECANCELED; -ENOMEM. May be asked from several threads where the source may.
 */
struct credentials_provider *credentials_role_new(const struct credentials_role *role,
                                                  struct credentials_provider *source,
                                                  const struct credentials_network *network);

/*
 * The role AWS_ROLE_ARN (and AWS_ROLE_SESSION_NAME), assumed with the token in the file
 * AWS_WEB_IDENTITY_TOKEN_FILE, as EKS sets them for a pod's service account (IRSA; "AssumeRoleWith
 * WebIdentity"). Variables and file are read at each get, since the file is renewed. NULL without
 * memory. Its get returns -ENOENT where the variables are not set; -EACCES for half of them, or a
 * token file that cannot be read; and errors as those of credentials_role_new's, which also says
 * what holds for caching and threads.
 */
struct credentials_provider *
credentials_web_identity_new(const char *region, const struct credentials_network *network);

/* The same for a role and a file that are given. */
struct credentials_provider *
credentials_web_identity_role_new(const struct credentials_role *role, const char *token_file,
                                  const struct credentials_network *network);

/* Makes the providers that a role's credentials come from; each returns NULL without memory. */
struct credentials_sources {
    /* credential_source = EcsContainer and Ec2InstanceMetadata; NULL where there is none. */
    struct credentials_provider *(*container)(const struct credentials_network *network);
    struct credentials_provider *(*metadata)(const struct credentials_network *network);
};

/*
 * The role that a profile names with role_arn, and how it is assumed: web_identity_token_file, else
 * source_profile or credential_source (Environment, EcsContainer, Ec2InstanceMetadata);
 * external_id, role_session_name, duration_seconds. A source_profile has a role in its turn, up to
 * 8 of them, or what credentials_own_new finds; keys of its own come before a role, but for that of
 * a web_identity_token_file. `profile` as in credentials_profile_new; `sources` is copied. The
 * settings are read at each get. NULL without memory. Its get returns -ENOENT for a profile without
 * role_arn; -EINVAL for settings that are missing, contradict each other, are out of range or go in
 * a circle; -EACCES where a code of an mfa_serial would be needed; and errors as those of
 * credentials_role_new's, which also says what holds for caching and threads.
 */
struct credentials_provider *
credentials_profile_role_new(const char *profile, const char *region,
                             const struct credentials_sources *sources,
                             const struct credentials_network *network);

/*
 * What a profile has that is no role of STS, in the CLI's order: its role of IAM Identity Center,
 * keys, process. The network must outlive it. -EACCES where it has none, and where it is not in the
 * files. Caching, threads and NULL as in credentials_process_new.
 */
struct credentials_provider *credentials_own_new(const char *profile,
                                                 const struct credentials_network *network);

/*
 * The providers in the CLI's order: environment, the profile's role, web identity, the profile's
 * role of IAM Identity Center, its keys, its process, the container, the instance. A `profile`
 * named here takes the environment's place, web identity's as well; one that AWS_PROFILE names is
 * asked after it. `region`: where roles are asked for. The network must outlive the chain. -EACCES
 * where none has any. NULL without memory. May be asked from several threads.
 */
struct credentials_provider *credentials_chain_new(const char *profile, const char *region,
                                                   const struct credentials_network *network);

/* As the provider's get; and -EINVAL for credentials with a control character in them. */
int credentials_get(struct credentials_provider *provider, struct credentials *ret,
                    struct fault *fault);

/*
 * Tells the provider that a server refuses these credentials, though they should last: their
 * session was ended, or their key deleted. Returns whether another try is worth it, since there are
 * others by now, or since the next get says why there are none.
 */
bool credentials_renew(struct credentials_provider *provider, const struct credentials *refused);

void credentials_provider_free(struct credentials_provider *provider); /* accepts NULL */

bool credentials_are_same(const struct credentials *a, const struct credentials *b);

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
 * A switch: what the variable says, where it is set, else the profile's setting; true for "true" in
 * any case. Returns 0, or why the files cannot be read.
 */
int profile_switch(const char *profile, const char *variable, const char *setting, bool *ret,
                   struct fault *fault);

/* Which of AWS's addresses the user wants. */
struct address_kind {
    bool fips;       /* AWS_USE_FIPS_ENDPOINT, or the profile's use_fips_endpoint */
    bool dual_stack; /* AWS_USE_DUALSTACK_ENDPOINT, or the profile's use_dualstack_endpoint */
};
int profile_address_kind(const char *profile, struct address_kind *ret, struct fault *fault);

/* What a shared file calls its sections. */
enum profile_section {
    SECTION_BARE,        /* "[NAME]": profiles of the credentials file */
    SECTION_PROFILE,     /* "[profile NAME]", and "[default]": those of the config file */
    SECTION_SSO_SESSION, /* "[sso-session NAME]", in the config file */
};

/*
 * Looks a setting up in the text of a shared file: sections of a kind, "name = value" with names in
 * any case, lines of comment that begin with '#' or ';', lines indented deeper than the setting
 * above, which belong to it. The last of several settings holds; an empty one is as good as none.
 * What is none of these is skipped. Returns 0 and a string to be freed; -ENOENT where the section
 * lacks it; -ESRCH where there is no such section; -ENOMEM.
 */
int profile_file_lookup(const char *text, size_t len, enum profile_section kind,
                        const char *section, const char *name, char **ret);

#endif
