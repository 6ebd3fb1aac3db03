#include "sts.h"

#include <errno.h>
#include <maciefs/iso8601.h>
#include <maciefs/xml.h>
#include <string.h>

/* What stands before a name, as "/AssumeRoleResponse/AssumeRoleResult/Credentials/" does; NULL
 * where the path leads elsewhere. */
static const char *name_in_credentials(const char *path) {
    static const char *const folders[] = {
        "/AssumeRoleResponse/AssumeRoleResult/Credentials/",
        "/AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            return path + strlen(folders[i]);
    return NULL;
}

/* Each is told once; a cut secret would only fail later, without saying why. */
static int take_text(const struct xml_text *text, char **ret) {
    if (*ret || text->cut || text->len == 0)
        return -EPROTO;
    *ret = strdup(text->at);
    return *ret ? 0 : -ENOMEM;
}

static int take_expiration(const struct xml_text *text, int64_t *ret) {
    if (*ret || text->cut || !iso8601_parse(text->at, text->len, ret) || *ret <= 0)
        return -EPROTO;
    return 0;
}

static int on_end(void *ctx, const char *path, const struct xml_text *text) {
    struct credentials *found = ctx;
    const char *name = name_in_credentials(path);
    if (!name)
        return 0;
    if (strcmp(name, "AccessKeyId") == 0)
        return take_text(text, &found->access_key_id);
    if (strcmp(name, "SecretAccessKey") == 0)
        return take_text(text, &found->secret_access_key);
    if (strcmp(name, "SessionToken") == 0)
        return take_text(text, &found->session_token);
    if (strcmp(name, "Expiration") == 0)
        return take_expiration(text, &found->expires);
    return 0;
}

int sts_credentials_parse(const uint8_t *xml, size_t len, struct credentials *ret) {
    struct credentials found = {0};
    const struct xml_handler handler = {.end = on_end, .ctx = &found};
    int err = xml_read(xml, len, &handler);
    if (!err && (!found.access_key_id || !found.secret_access_key || !found.session_token ||
                 !found.expires))
        err = -EPROTO;
    if (err)
        credentials_clear(&found);
    else
        *ret = found;
    return err;
}

/* Copies what is left of `text` in `ret`, all but printable ASCII as '?'. */
static void copy_printable(const struct xml_text *text, char *ret, size_t size) {
    size_t len = text->len < size - 1 ? text->len : size - 1;
    for (size_t i = 0; i < len; i++)
        ret[i] = text->at[i] >= ' ' && text->at[i] <= '~' ? text->at[i] : '?';
    ret[len] = '\0';
}

static int on_error_end(void *ctx, const char *path, const struct xml_text *text) {
    struct sts_error *error = ctx;
    if (strcmp(path, "/ErrorResponse/Error/Code") == 0)
        copy_printable(text, error->code, sizeof error->code);
    else if (strcmp(path, "/ErrorResponse/Error/Message") == 0)
        copy_printable(text, error->message, sizeof error->message);
    return 0;
}

void sts_error_parse(const uint8_t *xml, size_t len, struct sts_error *ret) {
    *ret = (struct sts_error){0};
    const struct xml_handler handler = {.end = on_error_end, .ctx = ret};
    /* What came before the place where it breaks is told all the same. */
    (void)xml_read(xml, len, &handler);
}
