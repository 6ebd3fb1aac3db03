/* Credentials as containers, instances and programs give them: a JSON object. */
#ifndef MACIEFS_CREDENTIALS_JSON_H
#define MACIEFS_CREDENTIALS_JSON_H

#include <maciefs/credentials.h>

#define CREDENTIALS_JSON_MAX (64u << 10) /* bytes of it; some 2 KiB are usual */

/*
 * Parses "AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", and "Expiration" (ISO 8601;
 * without it they never expire). Where there is a "Code" it must be "Success", and where there is a
 * "Version", as programs write it, 1. Returns 0 and credentials to be cleared; -EPROTO where it is
 * none of that; -ENOMEM. The text, which is a secret, stays the caller's.
 */
int credentials_json_parse(const char *text, size_t len, struct credentials *ret);

#endif
