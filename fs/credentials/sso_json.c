#include "secret_json.h"
#include "sso.h"

#include <errno.h>
#include <maciefs/iso8601.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX (64u << 10)       /* bytes of what is parsed; a token's file has some 5 KiB */
#define LIFE_MAX (366 * 24 * 3600) /* seconds; a session lasts 90 days at most */
#define MILLISECONDS_MAX 1e15      /* since 1970: 30,000 years */

static void free_secret(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void sso_token_clear(struct sso_token *token) {
    free_secret(token->access_token);
    free_secret(token->refresh_token);
    free_secret(token->client_id);
    free_secret(token->client_secret);
    *token = (struct sso_token){0};
}

static cJSON *parse(const char *text, size_t len) {
    return len <= TEXT_MAX ? secret_json_parse(text, len) : NULL;
}

/* It becomes a header's value. */
static bool is_token(const char *text) {
    if (!text)
        return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return true;
}

/* A copy of the text under a name; NULL where there is none. Returns 0 or -ENOMEM. */
static int copy_text(const cJSON *object, const char *name, char **ret) {
    const char *text = secret_json_text(object, name);
    *ret = text ? strdup(text) : NULL;
    return *ret || !text ? 0 : -ENOMEM;
}

static bool read_time(const cJSON *object, const char *name, int64_t *ret) {
    const char *text = secret_json_text(object, name);
    return text && iso8601_parse_offset(text, strlen(text), ret);
}

static int read_token(const cJSON *object, struct sso_token *ret) {
    struct sso_token found = {0};
    if (!is_token(secret_json_text(object, "accessToken")) ||
        !read_time(object, "expiresAt", &found.expires))
        return -EPROTO;
    if (!read_time(object, "registrationExpiresAt", &found.registration_expires))
        found.registration_expires = 0;
    if (copy_text(object, "accessToken", &found.access_token) ||
        copy_text(object, "refreshToken", &found.refresh_token) ||
        copy_text(object, "clientId", &found.client_id) ||
        copy_text(object, "clientSecret", &found.client_secret)) {
        sso_token_clear(&found);
        return -ENOMEM;
    }
    *ret = found;
    return 0;
}

int sso_token_parse(const char *text, size_t len, struct sso_token *ret) {
    cJSON *object = parse(text, len);
    int err = object ? read_token(object, ret) : -EPROTO;
    secret_json_free(object);
    return err;
}

static int read_credentials(const cJSON *object, struct credentials *ret) {
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(object, "roleCredentials");
    const struct credentials found = {
        .access_key_id = (char *)secret_json_text(role, "accessKeyId"),
        .secret_access_key = (char *)secret_json_text(role, "secretAccessKey"),
        .session_token = (char *)secret_json_text(role, "sessionToken"),
        .expires =
            (int64_t)(secret_json_number(role, "expiration", 1000, MILLISECONDS_MAX) / 1000)};
    if (!found.access_key_id || !found.secret_access_key || !found.session_token ||
        found.expires <= 0)
        return -EPROTO;
    return credentials_copy(&found, ret);
}

int sso_credentials_parse(const char *text, size_t len, struct credentials *ret) {
    cJSON *object = parse(text, len);
    int err = object ? read_credentials(object, ret) : -EPROTO;
    secret_json_free(object);
    return err;
}

static int read_created(const cJSON *object, int64_t now, struct sso_token *ret) {
    int64_t life_s = (int64_t)secret_json_number(object, "expiresIn", 1, LIFE_MAX);
    struct sso_token found = {.expires = now + life_s};
    if (!is_token(secret_json_text(object, "accessToken")) || life_s < 1)
        return -EPROTO;
    if (copy_text(object, "accessToken", &found.access_token) ||
        copy_text(object, "refreshToken", &found.refresh_token)) {
        sso_token_clear(&found);
        return -ENOMEM;
    }
    *ret = found;
    return 0;
}

int sso_created_parse(const char *text, size_t len, int64_t now, struct sso_token *ret) {
    cJSON *object = parse(text, len);
    int err = object ? read_created(object, now, ret) : -EPROTO;
    secret_json_free(object);
    return err;
}

void sso_error_parse(const char *text, size_t len, char ret[static SSO_ERROR_MAX]) {
    cJSON *object = parse(text, len);
    const char *code = object ? secret_json_text(object, "error") : NULL;
    snprintf(ret, SSO_ERROR_MAX, "%s", code ? code : "");
    secret_json_free(object);
}

static int put_created(cJSON *object, const struct sso_token *created) {
    time_t expires = (time_t)created->expires;
    struct tm tm;
    char date[64];
    if (!gmtime_r(&expires, &tm) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return -EPROTO;
    int err = secret_json_set(object, "accessToken", created->access_token);
    if (!err)
        err = secret_json_set(object, "expiresAt", date);
    /* Without a new one the old one goes on to hold (RFC 6749, section 6). */
    if (!err && created->refresh_token)
        err = secret_json_set(object, "refreshToken", created->refresh_token);
    return err;
}

int sso_token_write(const char *text, size_t len, const struct sso_token *created,
                    struct buf *ret) {
    cJSON *object = parse(text, len);
    int err = object ? put_created(object, created) : -EPROTO;
    if (!err)
        err = secret_json_print(object, ret);
    secret_json_free(object);
    return err;
}

int sso_refresh_write(const struct sso_token *old, struct buf *ret) {
    cJSON *object = cJSON_CreateObject();
    int err = object ? secret_json_set(object, "grantType", "refresh_token") : -ENOMEM;
    if (!err)
        err = secret_json_set(object, "clientId", old->client_id);
    if (!err)
        err = secret_json_set(object, "clientSecret", old->client_secret);
    if (!err)
        err = secret_json_set(object, "refreshToken", old->refresh_token);
    if (!err)
        err = secret_json_print(object, ret);
    secret_json_free(object);
    return err;
}
