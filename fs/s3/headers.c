#include "headers.h"

#include <errno.h>

#define LINE_MAX_LEN (32u << 10)

/* The headers that are sent and signed, host and those of x-amz-…; all that are must be signed. */
struct named {
    struct sigv4_header at[6];
    size_t count;
};

static void name(struct named *named, const char *header, const char *value) {
    named->at[named->count++] = (struct sigv4_header){header, value};
}

static void name_headers(const struct s3_get *get, struct named *ret) {
    ret->count = 0;
    name(ret, "host", get->host);
    if (get->requester_pays)
        name(ret, "x-amz-request-payer", "requester");
    if (get->expected_owner)
        name(ret, "x-amz-expected-bucket-owner", get->expected_owner);
    if (get->customer_key) {
        name(ret, "x-amz-server-side-encryption-customer-algorithm", "AES256");
        name(ret, "x-amz-server-side-encryption-customer-key", get->customer_key->key);
        name(ret, "x-amz-server-side-encryption-customer-key-md5", get->customer_key->md5);
    }
}

static int add(struct s3_headers *headers, struct buf *line) {
    const char *text = buf_str(line);
    if (!text)
        return -ENOMEM;
    headers->lines[headers->count++] = text;
    headers->lines[headers->count] = NULL;
    return 0;
}

static int add_own(struct s3_headers *headers, const char *name, const char *before,
                   const char *value, const char *after) {
    struct buf *line = &headers->own[headers->own_count++];
    buf_init_secret(line, LINE_MAX_LEN);
    const char *const parts[] = {name, ": ", before, value, after};
    int err = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !err; i++)
        err = buf_append_str(line, parts[i]);
    return err ? err : add(headers, line);
}

static int sign(const struct s3_get *get, const struct named *named,
                const struct credentials *credentials, struct s3_headers *headers) {
    const struct sigv4_request request = {.method = "GET",
                                          .path = get->path,
                                          .query = get->query,
                                          .headers = named->at,
                                          .header_count = named->count,
                                          .payload_sha256 = SIGV4_EMPTY_SHA256,
                                          .region = get->region,
                                          .service = "s3",
                                          .now = get->now};
    struct sigv4_signed *signature = &headers->signature;
    int err = sigv4_sign(&request, credentials, signature);
    if (!err)
        err = add(headers, &signature->amz_date);
    if (!err)
        err = add(headers, &signature->content_sha256);
    if (!err && signature->security_token.len)
        err = add(headers, &signature->security_token);
    return err ? err : add(headers, &signature->authorization);
}

int s3_headers_make(const struct s3_get *get, const struct credentials *credentials,
                    struct s3_headers *ret) {
    struct named named;
    int err = 0;
    *ret = (struct s3_headers){0};
    name_headers(get, &named);
    for (size_t i = 0; i < named.count && !err; i++)
        err = add_own(ret, named.at[i].name, "", named.at[i].value, "");
    if (!err && get->if_match[0])
        err = add_own(ret, "if-match", "\"", get->if_match, "\"");
    if (!err && credentials)
        err = sign(get, &named, credentials, ret);
    if (err)
        s3_headers_free(ret);
    return err;
}

void s3_headers_free(struct s3_headers *headers) {
    for (size_t i = 0; i < headers->own_count; i++)
        buf_free_secret(&headers->own[i]);
    sigv4_free(&headers->signature);
    *headers = (struct s3_headers){0};
}
