#include "credentials_json.h"
#include "secret_json.h"

#include <errno.h>
#include <maciefs/iso8601.h>
#include <string.h>

/* Whether what it says of itself is right, and *ret_expires when it ends. */
static bool check(const cJSON *object, int64_t *ret_expires) {
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(object, "Version");
    const cJSON *expiration = cJSON_GetObjectItemCaseSensitive(object, "Expiration");
    const char *code = secret_json_text(object, "Code");
    *ret_expires = 0;
    if (code && strcmp(code, "Success") != 0)
        return false;
    if (version && !(cJSON_IsNumber(version) && version->valuedouble == 1))
        return false;
    if (!expiration || cJSON_IsNull(expiration))
        return true;
    return cJSON_IsString(expiration) &&
           iso8601_parse_offset(expiration->valuestring, strlen(expiration->valuestring),
                                ret_expires);
}

static int read_object(const cJSON *object, struct credentials *ret) {
    const char *token = secret_json_text(object, "SessionToken");
    const struct credentials found = {
        .access_key_id = (char *)secret_json_text(object, "AccessKeyId"),
        .secret_access_key = (char *)secret_json_text(object, "SecretAccessKey"),
        .session_token = (char *)(token ? token : secret_json_text(object, "Token")),
    };
    int64_t expires;
    if (!found.access_key_id || !found.secret_access_key || !check(object, &expires))
        return -EPROTO;
    int err = credentials_copy(&found, ret);
    if (!err)
        ret->expires = expires;
    return err;
}

int credentials_json_parse(const char *text, size_t len, struct credentials *ret) {
    cJSON *object = len <= CREDENTIALS_JSON_MAX ? secret_json_parse(text, len) : NULL;
    if (!object)
        return -EPROTO;
    int err = read_object(object, ret);
    secret_json_free(object);
    return err;
}
