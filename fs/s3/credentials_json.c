#include "credentials_json.h"
#include "iso8601.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET_LEN 6 /* of "+01:00" */

static const char *text_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) && item->valuestring[0] ? item->valuestring : NULL;
}

static int number_of(const char *digits) {
    return (digits[0] - '0') * 10 + digits[1] - '0';
}

/* Programs write an offset where services write 'Z'. */
static bool parse_time(const char *text, int64_t *ret) {
    size_t len = strlen(text);
    char utc[64];
    if (len <= OFFSET_LEN || len >= sizeof utc || text[len - 1] == 'Z')
        return iso8601_parse(text, len, ret);
    const char *offset = text + len - OFFSET_LEN;
    if (!strchr("+-", offset[0]) || strspn(offset + 1, "0123456789") != 2 || offset[3] != ':' ||
        strspn(offset + 4, "0123456789") != 2)
        return false;
    memcpy(utc, text, len - OFFSET_LEN);
    memcpy(utc + len - OFFSET_LEN, "Z", 2);
    if (!iso8601_parse(utc, len - OFFSET_LEN + 1, ret))
        return false;
    int64_t seconds = number_of(offset + 1) * 3600 + number_of(offset + 4) * 60;
    *ret -= offset[0] == '-' ? -seconds : seconds;
    return true;
}

/* Whether what it says of itself is right, and *ret_expires when it ends. */
static bool check(const cJSON *object, int64_t *ret_expires) {
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(object, "Version");
    const cJSON *expiration = cJSON_GetObjectItemCaseSensitive(object, "Expiration");
    const char *code = text_of(object, "Code");
    *ret_expires = 0;
    if (code && strcmp(code, "Success") != 0)
        return false;
    if (version && !(cJSON_IsNumber(version) && version->valuedouble == 1))
        return false;
    if (!expiration || cJSON_IsNull(expiration))
        return true;
    return cJSON_IsString(expiration) && parse_time(expiration->valuestring, ret_expires);
}

static int read_object(const cJSON *object, struct credentials *ret) {
    const char *token = text_of(object, "SessionToken");
    const struct credentials found = {
        .access_key_id = (char *)text_of(object, "AccessKeyId"),
        .secret_access_key = (char *)text_of(object, "SecretAccessKey"),
        .session_token = (char *)(token ? token : text_of(object, "Token")),
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
    if (len > CREDENTIALS_JSON_MAX)
        return -EPROTO;
    /* cJSON notes where it failed in one place for all threads. */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    cJSON *object = cJSON_ParseWithLength(text, len);
    pthread_mutex_unlock(&lock);
    if (!object)
        return -EPROTO;
    int err = cJSON_IsObject(object) ? read_object(object, ret) : -EPROTO;
    cJSON_Delete(object);
    return err;
}
