#include "secret_json.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

cJSON *secret_json_parse(const char *text, size_t len) {
    /* cJSON notes where it failed in one place for all threads. */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    cJSON *object = cJSON_ParseWithLength(text, len);
    pthread_mutex_unlock(&lock);
    if (!object || cJSON_IsObject(object))
        return object;
    secret_json_free(object);
    return NULL;
}

const char *secret_json_text(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) && item->valuestring[0] ? item->valuestring : NULL;
}

double secret_json_number(const cJSON *object, const char *name, double least, double most) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    bool fits = cJSON_IsNumber(item) && item->valuedouble >= least && item->valuedouble <= most;
    return fits ? item->valuedouble : -1;
}

/* cJSON bounds how deep it parses. */
static void clear(cJSON *item) {
    for (; item; item = item->next) {
        if (item->valuestring)
            OPENSSL_cleanse(item->valuestring, strlen(item->valuestring));
        clear(item->child);
    }
}

int secret_json_set(cJSON *object, const char *name, const char *text) {
    cJSON *old;
    while ((old = cJSON_DetachItemFromObjectCaseSensitive(object, name)))
        secret_json_free(old);
    return cJSON_AddStringToObject(object, name, text) ? 0 : -ENOMEM;
}

int secret_json_print(const cJSON *object, struct buf *ret) {
    size_t size = ret->limit - ret->len;
    char *text = malloc(size);
    if (!text)
        return -ENOMEM;
    int err = cJSON_PrintPreallocated((cJSON *)object, text, (int)size, false)
                  ? buf_append_str(ret, text)
                  : -EMSGSIZE;
    OPENSSL_cleanse(text, size);
    free(text);
    return err;
}

void secret_json_free(cJSON *object) {
    clear(object);
    cJSON_Delete(object);
}
