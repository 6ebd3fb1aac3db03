#include <maciefs/sigv4.h>
#include <maciefs/uri.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define PARTS_MAX 64  /* headers, and query parameters */
#define ADDED_MAX 3   /* date, content hash, security token */
#define DIGEST_LEN 32 /* of SHA-256 */
#define TEXT_LIMIT (256 * 1024)

struct slice {
    const char *at;
    size_t len;
};

struct query_parameter {
    struct slice name;
    struct slice value;
};

/* What is being signed, and the moment and place that the signature is good for. */
struct signing {
    const struct sigv4_request *request;
    struct sigv4_header headers[PARTS_MAX + ADDED_MAX]; /* in the order of their names */
    size_t header_count;
    char time[sizeof "20130524T000000Z"];
    char date[sizeof "20130524"];
    struct buf scope; /* "20130524/us-east-1/s3/aws4_request" */
};

static int compare_slices(struct slice a, struct slice b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.at, b.at, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_parameters(const void *a_ptr, const void *b_ptr) {
    const struct query_parameter *a = a_ptr, *b = b_ptr;
    int order = compare_slices(a->name, b->name);
    return order ? order : compare_slices(a->value, b->value);
}

static int compare_headers(const void *a_ptr, const void *b_ptr) {
    const struct sigv4_header *a = a_ptr, *b = b_ptr;
    return strcmp(a->name, b->name);
}

static struct query_parameter query_parameter(const char *at, size_t len) {
    const char *equals = memchr(at, '=', len);
    if (!equals)
        return (struct query_parameter){.name = {at, len}, .value = {at + len, 0}};
    size_t name_len = (size_t)(equals - at);
    return (struct query_parameter){.name = {at, name_len},
                                    .value = {equals + 1, len - name_len - 1}};
}

/* Returns how many parameters there are, or -EINVAL. */
static int split_query(const char *query, struct query_parameter parameters[PARTS_MAX]) {
    int count = 0;
    while (*query) {
        size_t len = strcspn(query, "&");
        if (len > 0) {
            if (count == PARTS_MAX)
                return -EINVAL;
            parameters[count++] = query_parameter(query, len);
        }
        query += len + (query[len] == '&');
    }
    return count;
}

static int append_query(struct buf *out, const char *query) {
    struct query_parameter parameters[PARTS_MAX];
    int count = split_query(query, parameters);
    if (count < 0)
        return count;
    qsort(parameters, (size_t)count, sizeof *parameters, compare_parameters);
    int err = 0;
    for (int i = 0; i < count && !err; i++) {
        const struct query_parameter *p = &parameters[i];
        err = i > 0 ? buf_append_str(out, "&") : 0;
        if (!err)
            err = buf_append(out, p->name.at, p->name.len);
        if (!err)
            err = buf_append_str(out, "=");
        if (!err)
            err = buf_append(out, p->value.at, p->value.len);
    }
    return err;
}

/* Without the spaces around it, and one for each run of them inside. */
static int append_folded(struct buf *out, const char *value) {
    static const char blank[] = " \t";
    int err = 0;
    value += strspn(value, blank);
    while (*value && !err) {
        size_t word = strcspn(value, blank);
        err = buf_append(out, value, word);
        value += word;
        value += strspn(value, blank);
        if (*value && !err)
            err = buf_append_str(out, " ");
    }
    return err;
}

static int append_headers(struct buf *out, const struct signing *signing) {
    int err = 0;
    for (size_t i = 0; i < signing->header_count && !err; i++) {
        err = buf_append_str(out, signing->headers[i].name);
        if (!err)
            err = buf_append_str(out, ":");
        if (!err)
            err = append_folded(out, signing->headers[i].value);
        if (!err)
            err = buf_append_str(out, "\n");
    }
    return err;
}

static int append_header_names(struct buf *out, const struct signing *signing) {
    int err = 0;
    for (size_t i = 0; i < signing->header_count && !err; i++) {
        err = i > 0 ? buf_append_str(out, ";") : 0;
        if (!err)
            err = buf_append_str(out, signing->headers[i].name);
    }
    return err;
}

static int append_path(struct buf *out, const struct sigv4_request *request) {
    if (request->encode_path_twice)
        return uri_encode(out, request->path, strlen(request->path), true);
    return buf_append_str(out, request->path);
}

static int append_canonical_request(struct buf *out, const struct signing *signing) {
    const struct sigv4_request *request = signing->request;
    int err = buf_printf(out, "%s\n", request->method);
    if (!err)
        err = append_path(out, request);
    if (!err)
        err = buf_append_str(out, "\n");
    if (!err)
        err = append_query(out, request->query);
    if (!err)
        err = buf_append_str(out, "\n");
    if (!err)
        err = append_headers(out, signing);
    if (!err)
        err = buf_append_str(out, "\n");
    if (!err)
        err = append_header_names(out, signing);
    if (!err)
        err = buf_printf(out, "\n%s", request->payload_sha256);
    return err;
}

static int append_hex(struct buf *out, const uint8_t digest[DIGEST_LEN]) {
    int err = 0;
    for (int i = 0; i < DIGEST_LEN && !err; i++)
        err = buf_printf(out, "%02x", digest[i]);
    return err;
}

static int append_string_to_sign(struct buf *out, const struct signing *signing) {
    struct buf canonical;
    buf_init_secret(&canonical, TEXT_LIMIT);
    uint8_t digest[DIGEST_LEN];
    int err = append_canonical_request(&canonical, signing);
    if (!err && !EVP_Digest(canonical.at, canonical.len, digest, NULL, EVP_sha256(), NULL))
        err = -EIO;
    if (!err)
        err = buf_printf(out, ALGORITHM "\n%s\n", signing->time);
    if (!err)
        err = buf_append(out, signing->scope.at, signing->scope.len);
    if (!err)
        err = buf_append_str(out, "\n");
    if (!err)
        err = append_hex(out, digest);
    buf_free_secret(&canonical);
    return err;
}

static int hmac(struct slice key, const void *at, size_t len, uint8_t ret[DIGEST_LEN]) {
    uint8_t digest[DIGEST_LEN];
    if (key.len > INT32_MAX || !HMAC(EVP_sha256(), key.at, (int)key.len, at, len, digest, NULL))
        return -EIO;
    memcpy(ret, digest, DIGEST_LEN);
    OPENSSL_cleanse(digest, sizeof digest);
    return 0;
}

/* The secret, narrowed to a day, a region and a service. */
static int signing_key(const struct signing *signing, const char *secret, uint8_t ret[DIGEST_LEN]) {
    struct buf first;
    buf_init_secret(&first, TEXT_LIMIT);
    int err = buf_append_str(&first, "AWS4");
    if (!err)
        err = buf_append_str(&first, secret);
    const char *narrowed_to[] = {signing->date, signing->request->region, signing->request->service,
                                 "aws4_request"};
    struct slice key = {(const char *)first.at, first.len};
    for (size_t i = 0; i < sizeof narrowed_to / sizeof *narrowed_to && !err; i++) {
        err = hmac(key, narrowed_to[i], strlen(narrowed_to[i]), ret);
        key = (struct slice){(const char *)ret, DIGEST_LEN};
    }
    buf_free_secret(&first);
    return err;
}

static int append_signature(struct buf *out, const struct signing *signing, const char *secret) {
    struct buf text;
    buf_init(&text, TEXT_LIMIT);
    uint8_t key[DIGEST_LEN], signature[DIGEST_LEN];
    int err = append_string_to_sign(&text, signing);
    if (!err)
        err = signing_key(signing, secret, key);
    if (!err)
        err = hmac((struct slice){(const char *)key, sizeof key}, text.at, text.len, signature);
    if (!err)
        err = append_hex(out, signature);
    OPENSSL_cleanse(key, sizeof key);
    buf_free(&text);
    return err;
}

static int append_authorization(struct buf *out, const struct signing *signing,
                                const struct credentials *credentials) {
    int err =
        buf_printf(out, "authorization: " ALGORITHM " Credential=%s/", credentials->access_key_id);
    if (!err)
        err = buf_append(out, signing->scope.at, signing->scope.len);
    if (!err)
        err = buf_append_str(out, ", SignedHeaders=");
    if (!err)
        err = append_header_names(out, signing);
    if (!err)
        err = buf_append_str(out, ", Signature=");
    if (!err)
        err = append_signature(out, signing, credentials->secret_access_key);
    return err;
}

/* Adds a header to those signed, and writes its line. */
static int add_header(struct signing *signing, const char *name, const char *value,
                      struct buf *line) {
    signing->headers[signing->header_count++] = (struct sigv4_header){name, value};
    int err = buf_append_str(line, name);
    if (!err)
        err = buf_append_str(line, ": ");
    return err ? err : buf_append_str(line, value);
}

static int add_headers(struct signing *signing, const struct credentials *credentials,
                       struct sigv4_signed *out) {
    const struct sigv4_request *request = signing->request;
    int err = add_header(signing, "x-amz-date", signing->time, &out->amz_date);
    if (!err && !request->omit_content_sha256)
        err = add_header(signing, "x-amz-content-sha256", request->payload_sha256,
                         &out->content_sha256);
    if (!err && credentials->session_token)
        err = add_header(signing, "x-amz-security-token", credentials->session_token,
                         &out->security_token);
    qsort(signing->headers, signing->header_count, sizeof *signing->headers, compare_headers);
    return err;
}

/* A line end in one of these would forge a header. */
static bool fits_header(const char *text) {
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return true;
}

static bool is_signable(const struct sigv4_request *request,
                        const struct credentials *credentials) {
    return request->header_count <= PARTS_MAX && fits_header(request->region) &&
           fits_header(request->service) && fits_header(request->payload_sha256) &&
           fits_header(credentials->access_key_id) &&
           (!credentials->session_token || fits_header(credentials->session_token));
}

static int set_moment(struct signing *signing) {
    struct tm utc;
    if (!gmtime_r(&signing->request->now, &utc) ||
        !strftime(signing->time, sizeof signing->time, "%Y%m%dT%H%M%SZ", &utc) ||
        !strftime(signing->date, sizeof signing->date, "%Y%m%d", &utc))
        return -EINVAL;
    return buf_printf(&signing->scope, "%s/%s/%s/aws4_request", signing->date,
                      signing->request->region, signing->request->service);
}

int sigv4_sign(const struct sigv4_request *request, const struct credentials *credentials,
               struct sigv4_signed *ret) {
    if (!is_signable(request, credentials))
        return -EINVAL;
    struct signing signing = {.request = request, .header_count = request->header_count};
    if (request->header_count > 0)
        memcpy(signing.headers, request->headers, request->header_count * sizeof *signing.headers);
    buf_init(&signing.scope, TEXT_LIMIT);
    struct sigv4_signed lines;
    buf_init_secret(&lines.amz_date, TEXT_LIMIT);
    buf_init_secret(&lines.content_sha256, TEXT_LIMIT);
    buf_init_secret(&lines.security_token, TEXT_LIMIT);
    buf_init_secret(&lines.authorization, TEXT_LIMIT);
    int err = set_moment(&signing);
    if (!err)
        err = add_headers(&signing, credentials, &lines);
    if (!err)
        err = append_authorization(&lines.authorization, &signing, credentials);
    buf_free(&signing.scope);
    if (err)
        sigv4_free(&lines);
    else
        *ret = lines;
    return err;
}

void sigv4_free(struct sigv4_signed *signed_headers) {
    if (!signed_headers)
        return;
    buf_free_secret(&signed_headers->amz_date);
    buf_free_secret(&signed_headers->content_sha256);
    buf_free_secret(&signed_headers->security_token);
    buf_free_secret(&signed_headers->authorization);
}
