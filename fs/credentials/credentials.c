#include <maciefs/credentials.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static bool has_control_character(const char *text) {
    for (const char *c = text; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return true;
    return false;
}

int credentials_get(struct credentials_provider *provider, struct credentials *ret,
                    struct fault *fault) {
    struct credentials found;
    int err = provider->get(provider, &found, fault);
    if (err)
        return err;
    /* Usually a line end that came along when the key was copied. */
    if (has_control_character(found.access_key_id) ||
        has_control_character(found.secret_access_key) ||
        has_control_character(found.session_token)) {
        credentials_clear(&found);
        return fault_set(fault, -EINVAL,
                         "the AWS credentials from %s have a line end or another control "
                         "character in them",
                         provider->name);
    }
    *ret = found;
    return 0;
}

bool credentials_renew(struct credentials_provider *provider, const struct credentials *refused) {
    struct credentials now;
    if (provider->reject)
        provider->reject(provider, refused);
    if (credentials_get(provider, &now, NULL) < 0)
        return true;
    bool others = !credentials_are_same(&now, refused);
    credentials_clear(&now);
    return others;
}

void credentials_provider_free(struct credentials_provider *provider) {
    if (provider)
        provider->free(provider);
}

static void free_secret(char *text) {
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static bool is_same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool credentials_are_same(const struct credentials *a, const struct credentials *b) {
    return is_same_text(a->access_key_id, b->access_key_id) &&
           is_same_text(a->secret_access_key, b->secret_access_key) &&
           is_same_text(a->session_token, b->session_token);
}

static bool copy_text(const char *from, char **ret) {
    *ret = from ? strdup(from) : NULL;
    return *ret || !from;
}

int credentials_copy(const struct credentials *from, struct credentials *ret) {
    struct credentials copy = {.expires = from->expires, .from = from->from};
    if (!copy_text(from->access_key_id, &copy.access_key_id) ||
        !copy_text(from->secret_access_key, &copy.secret_access_key) ||
        !copy_text(from->session_token, &copy.session_token)) {
        credentials_clear(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void credentials_clear(struct credentials *credentials) {
    if (!credentials)
        return;
    free_secret(credentials->access_key_id);
    free_secret(credentials->secret_access_key);
    free_secret(credentials->session_token);
    *credentials = (struct credentials){0};
}
