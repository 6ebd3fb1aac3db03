/*
 * The Security Token Service: roles in exchange for credentials, or for another issuer's token.
 *
 * Its Query API: a form is POSTed, and XML comes back. One request each, without retries, but for
 * one that is dated by STS's own clock where this machine's is off: whoever asks comes back.
 * Source: AWS STS API Reference, "AssumeRole", "AssumeRoleWithWebIdentity", "Common errors".
 */
#ifndef MACIEFS_CREDENTIALS_STS_H
#define MACIEFS_CREDENTIALS_STS_H

#include <maciefs/credentials.h>

/* Who asks for which role. */
struct sts_call {
    const struct credentials_role *role;
    const struct credentials_network *network;
};

/*
 * Asks for the role, signing with `source`, or showing a token. Errors: those of the get of
 * credentials_role_new's.
 */
int sts_assume_role(const struct sts_call *call, const struct credentials *source,
                    struct credentials *ret, struct fault *fault);
int sts_assume_role_with_web_identity(const struct sts_call *call, const struct buf *token,
                                      struct credentials *ret, struct fault *fault);

/*
 * Parses an answer to either. Returns 0 and credentials; -EPROTO where it is none, where a part of
 * them is missing, told twice, too long, or no date; -ENOMEM.
 */
int sts_credentials_parse(const uint8_t *xml, size_t len, struct credentials *ret);

/* What an error body says; each "" where it does not. */
struct sts_error {
    char code[64];     /* "AccessDenied" */
    char message[512]; /* printable */
};

/* Parses an error body. Fills *ret with what it finds in it, nothing in one that is no XML. */
void sts_error_parse(const uint8_t *xml, size_t len, struct sts_error *ret);

/* A copy to be cleared by its owner. Returns 0 or -ENOMEM. */
int sts_role_copy(const struct credentials_role *from, struct credentials_role *ret);
void sts_role_clear(struct credentials_role *role);

#endif
