/* Any bytes, as what IAM Identity Center answers and as a file of the token cache: what comes out
 * is whole, and what is written of a token is one again. */
#include "../../fs/credentials/sso.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_credentials(const char *text, size_t len) {
    struct credentials found = {0};
    if (sso_credentials_parse(text, len, &found) != 0)
        return;
    if (!*found.access_key_id || !*found.secret_access_key || !*found.session_token ||
        found.expires <= 0)
        abort();
    credentials_clear(&found);
}

/* `created`: as the token that comes after. */
static void check_written(const char *text, size_t len, const struct sso_token *created) {
    struct buf written;
    struct sso_token again = {0};
    buf_init(&written, 1u << 20);
    if (sso_token_write(text, len, created, &written) != 0)
        abort();
    /* Control characters grow when they are written. */
    if (written.len <= 64u << 10 &&
        (sso_token_parse((const char *)written.at, written.len, &again) != 0 ||
         strcmp(again.access_token, created->access_token) != 0 ||
         again.expires != created->expires))
        abort();
    sso_token_clear(&again);
    buf_free_secret(&written);
}

static void check_token(const char *text, size_t len) {
    const struct sso_token created = {
        .access_token = "NEXT", .expires = 1795521600, .refresh_token = "AGAIN"};
    struct sso_token token = {0};
    struct buf question;
    if (sso_token_parse(text, len, &token) != 0)
        return;
    if (strpbrk(token.access_token, "\r\n "))
        abort();
    check_written(text, len, &created);
    buf_init(&question, 1u << 20);
    if (token.refresh_token && token.client_id && token.client_secret &&
        sso_refresh_write(&token, &question) != 0)
        abort();
    buf_free_secret(&question);
    sso_token_clear(&token);
}

static void check_created(const char *text, size_t len) {
    struct sso_token created = {0};
    if (sso_created_parse(text, len, 1000, &created) != 0)
        return;
    if (created.expires <= 1000 || strpbrk(created.access_token, "\r\n "))
        abort();
    check_written("{}", 2, &created);
    sso_token_clear(&created);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    char code[SSO_ERROR_MAX];
    check_credentials(text, size);
    check_token(text, size);
    check_created(text, size);
    sso_error_parse(text, size, code);
    if (strlen(code) >= sizeof code)
        abort();
    return 0;
}
