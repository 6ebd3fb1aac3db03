/*
 * IAM Identity Center (AWS SSO): a role's credentials for a token that the user was given in a
 * browser.
 *
 * `aws sso login` writes the token to ~/.aws/sso/cache/HASH.json, where HASH is the SHA-1, in hex,
 * of the session's name, or of the start URL for profiles of the old style. The portal gives
 * credentials for it. A session's token ends after an hour or so, but comes with a refresh token
 * and the registration of the client that it was given to; with these the OIDC service gives the
 * next one, as long as the session lasts. Sources: AWS SDKs and Tools Reference Guide, "IAM
 * Identity Center credential provider"; IAM Identity Center Portal API Reference,
 * "GetRoleCredentials"; OIDC API Reference, "CreateToken"; and what the CLI's library does.
 *
 * Where the next token is kept: a refresh token may be good for one time, and the CLI has the same
 * file. So the new one is written there at once, for both: to a new file (mode 0600, of the old
 * one's owner) that takes the old one's name when it is on the disk, with all that the old one says
 * besides. Where that fails (a home that is read-only, a full disk), the process keeps the text,
 * goes on with it and tries to write it again whenever a token is wanted, until the file changes or
 * is gone: then the user has signed in anew, or out.
 *
 * No sentence holds what a server says: it might be the token.
 */
#ifndef MACIEFS_CREDENTIALS_SSO_H
#define MACIEFS_CREDENTIALS_SSO_H

#include <maciefs/credentials.h>

/* What a profile says, and the section of its session, whose sso_registration_scopes are for
 * signing in alone. */
struct sso_settings {
    char *profile;
    char *session; /* NULL: the profile has all, in the old style */
    char *start_url, *region, *account_id, *role_name;
    char *login; /* the command that signs in: "aws sso login --sso-session work" */
};

/*
 * Reads the settings; `profile` as in credentials_profile_new. Returns 0 and settings to be
 * cleared; -ENOENT for a profile that has neither sso_account_id nor sso_role_name, and so uses no
 * role; -EINVAL for settings that are missing or contradict each other, or a session that is none;
 * -ENOMEM; or why the files cannot be read.
 */
int sso_settings_read(const char *profile, struct sso_settings *ret, struct fault *fault);
void sso_settings_clear(struct sso_settings *settings);

/* What is in a file of the token cache. */
struct sso_token {
    char *access_token;
    int64_t expires; /* seconds since 1970 */
    /* For the next one; each may be NULL. */
    char *refresh_token, *client_id, *client_secret;
    int64_t registration_expires; /* of the client; 0 where it is not told */
};

void sso_token_clear(struct sso_token *token); /* accepts a zeroed one */

/*
 * The access token of the moment, renewed where it is a session's that ends within a quarter of an
 * hour and can be. Callers wait for each other, so that many renew it once. Returns 0 and a secret,
 * to be cleared and freed; -EACCES where the user has to sign in (again); -ENETDOWN where the token
 * has ended and the OIDC service cannot be asked now; -ECANCELED; -ENOMEM; -EINVAL and -EPROTO as
 * sso_create_token. As long as a token lasts, it does not matter that renewing it fails.
 */
int sso_token_get(const struct sso_settings *settings, const struct credentials_network *network,
                  char **ret, struct fault *fault);

/*
 * The two services, without retries: whoever asks comes back. They are at AWS_ENDPOINT_URL_SSO and
 * AWS_ENDPOINT_URL_SSO_OIDC or where else service_url.h finds them, else in the region. Errors of
 * both: -EACCES for refusals; -ENETDOWN where the service is away or throttles; -EINVAL for an
 * endpoint or region that is none; -EPROTO for an answer that is none; -ECANCELED; -ENOMEM.
 */

/* The role's credentials ("GetRoleCredentials"). */
int sso_role_credentials(const struct sso_settings *settings,
                         const struct credentials_network *network, const char *access_token,
                         struct credentials *ret, struct fault *fault);

/* The token after `old`, which has all that is needed for it ("CreateToken"); `ret` is to be
 * cleared, and holds what the answer does: an access token, and it may be a refresh token. */
int sso_create_token(const struct sso_settings *settings, const struct credentials_network *network,
                     const struct sso_token *old, struct sso_token *ret, struct fault *fault);

/* Parsers: they return 0 and what is to be cleared; -EPROTO for what is none of it; -ENOMEM. */

/* A file of the token cache. */
int sso_token_parse(const char *text, size_t len, struct sso_token *ret);

/* An answer to GetRoleCredentials. */
int sso_credentials_parse(const char *text, size_t len, struct credentials *ret);

/* An answer to CreateToken that came at `now`. */
int sso_created_parse(const char *text, size_t len, int64_t now, struct sso_token *ret);

/* The error code in a refusal of CreateToken ("invalid_grant"); "" where there is none. */
#define SSO_ERROR_MAX 64
void sso_error_parse(const char *text, size_t len, char ret[static SSO_ERROR_MAX]);

/* Writers, into a buffer that is cleared by its owner: they return 0; -EPROTO where `text` is no
 * object; -ENOMEM or -EMSGSIZE. */

/* The text of a file of the token cache, with the new token in the old one's place. */
int sso_token_write(const char *text, size_t len, const struct sso_token *created, struct buf *ret);

/* The question for the token after `old`. */
int sso_refresh_write(const struct sso_token *old, struct buf *ret);

#endif
