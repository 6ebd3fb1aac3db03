#include "credentials_json.h"

#include <errno.h>
#include <maciefs/server_clock.h>
#include <maciefs/uri.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define IPV4_ENDPOINT "http://169.254.169.254"
#define IPV6_ENDPOINT "http://[fd00:ec2::254]"
#define ROLES "/latest/meta-data/iam/security-credentials/"
#define URL_MAX 4096u
#define TOKEN_MAX 1024u
#define ABSENT_S 60 /* how long it is taken for absent that could not be reached */

struct metadata {
    struct credentials_provider base;
    const struct credentials_network *network;
    pthread_mutex_t lock;
    int64_t absent_until; /* of CLOCK_MONOTONIC; under the lock, as the next */
    bool answered;        /* once: then it is no machine without such a service */
};

/* An exchange with the service. */
struct visit {
    const struct metadata *metadata;
    char endpoint[URL_MAX];
    struct buf token_line; /* "X-aws-ec2-metadata-token: …" */
};

static int no_memory(struct fault *fault) {
    return fault_set(fault, -ENOMEM, "no memory for credentials");
}

static bool is_set(const char *name, const char *value) {
    const char *text = getenv(name);
    return text && strcasecmp(text, value) == 0;
}

static bool find_endpoint(char *ret, size_t size) {
    const char *given = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    bool ipv6 = is_set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    if (!given || !*given)
        given = ipv6 ? IPV6_ENDPOINT : IPV4_ENDPOINT;
    size_t len = strlen(given);
    while (len > 0 && given[len - 1] == '/')
        len--;
    return (size_t)snprintf(ret, size, "%.*s", (int)len, given) < size;
}

/* Sends one request. Returns 0 and the body where it was granted; -ENOENT for 404; -ENETDOWN where
 * nobody is there; or another error. */
static int ask(const struct visit *visit, const char *method, const char *path, const char *line,
               struct buf *ret, struct fault *fault) {
    const char *headers[2] = {line};
    char url[2 * URL_MAX];
    struct http_answer answer = {0};
    struct server_clock *clock = visit->metadata->network->clock;
    snprintf(url, sizeof url, "%s%s", visit->endpoint, path);
    const struct http_request request = {.method = method, .url = url, .headers = headers};
    int err = http_send(visit->metadata->network->host, &request, buf_sink, ret, &answer, fault);
    buf_free(&answer.error_body);
    server_clock_follow(clock, server_clock_ahead(clock), answer.date);
    if (err || answer.status / 100 == 2)
        return err;
    if (answer.status == 404)
        return -ENOENT;
    return fault_set(fault, -EACCES, "the instance's metadata service refuses %s (%d)", path,
                     answer.status);
}

/* A session, which version 2 of the service wants. */
static int take_token(struct visit *visit, struct fault *fault) {
    struct buf token;
    buf_init_secret(&token, TOKEN_MAX);
    int err = ask(visit, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600",
                  &token, fault);
    for (size_t i = 0; i < token.len && !err; i++)
        if (token.at[i] <= ' ' || token.at[i] >= 0x7f)
            err = fault_set(fault, -EACCES, "the instance's metadata service gives no token");
    if (!err &&
        (buf_append_str(&visit->token_line, "X-aws-ec2-metadata-token: ") ||
         buf_append(&visit->token_line, token.at, token.len) || !buf_str(&visit->token_line)))
        err = no_memory(fault);
    buf_free_secret(&token);
    return err;
}

/* The path of the instance's role: the first that is listed. -ENOENT where there is none. */
static int find_role(struct visit *visit, struct buf *path, struct fault *fault) {
    struct buf roles;
    buf_init(&roles, URL_MAX / 4);
    int err = ask(visit, "GET", ROLES, (const char *)visit->token_line.at, &roles, fault);
    const char *text = err ? NULL : buf_str(&roles);
    size_t len = text ? strcspn(text, "\r\n") : 0;
    if (!err && !text)
        err = no_memory(fault);
    else if (!err && len == 0)
        err = -ENOENT;
    if (!err &&
        (buf_append_str(path, ROLES) || uri_encode(path, text, len, false) || !buf_str(path)))
        err = no_memory(fault);
    buf_free(&roles);
    return err;
}

static int take_credentials(struct visit *visit, const char *path, struct credentials *ret,
                            struct fault *fault) {
    struct buf body;
    buf_init_secret(&body, CREDENTIALS_JSON_MAX);
    int err = ask(visit, "GET", path, (const char *)visit->token_line.at, &body, fault);
    if (!err) {
        err = credentials_json_parse((const char *)body.at, body.len, ret);
        if (err)
            fault_set(fault, err == -ENOMEM ? err : -EACCES,
                      "the instance's metadata service has no credentials for its role: check the "
                      "instance profile and the role's trust");
        err = err == -EPROTO ? -EACCES : err;
    }
    buf_free_secret(&body);
    return err;
}

static int take(struct visit *visit, struct credentials *ret, struct fault *fault) {
    struct buf path;
    buf_init(&path, URL_MAX);
    int err = take_token(visit, fault);
    if (!err)
        err = find_role(visit, &path, fault);
    if (!err)
        err = take_credentials(visit, buf_str(&path), ret, fault);
    buf_free(&path);
    return err;
}

static int64_t monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool is_absent(struct metadata *metadata) {
    pthread_mutex_lock(&metadata->lock);
    bool absent = monotonic_s() < metadata->absent_until;
    pthread_mutex_unlock(&metadata->lock);
    return absent;
}

/* Where there is no such service, that is no error, and not found out anew for a while. */
static int note_end(struct metadata *metadata, int err) {
    pthread_mutex_lock(&metadata->lock);
    metadata->answered |= err == 0;
    bool absent = err == -ENETDOWN && !metadata->answered;
    if (absent)
        metadata->absent_until = monotonic_s() + ABSENT_S;
    pthread_mutex_unlock(&metadata->lock);
    return absent ? -ENOENT : err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct metadata *metadata = (struct metadata *)base;
    struct visit visit = {.metadata = metadata};
    if (is_set("AWS_EC2_METADATA_DISABLED", "true") || is_absent(metadata))
        return -ENOENT;
    if (!find_endpoint(visit.endpoint, sizeof visit.endpoint))
        return fault_set(fault, -EACCES, "AWS_EC2_METADATA_SERVICE_ENDPOINT is too long");
    buf_init_secret(&visit.token_line, 2 * TOKEN_MAX);
    int err = take(&visit, ret, fault);
    buf_free_secret(&visit.token_line);
    return note_end(metadata, err);
}

static void free_provider(struct credentials_provider *base) {
    struct metadata *metadata = (struct metadata *)base;
    pthread_mutex_destroy(&metadata->lock);
    free(metadata);
}

struct credentials_provider *credentials_metadata_new(const struct credentials_network *network) {
    struct metadata *metadata = calloc(1, sizeof *metadata);
    if (!metadata)
        return NULL;
    metadata->base = (struct credentials_provider){
        .name = "the instance's metadata service", .get = get, .free = free_provider};
    metadata->network = network;
    pthread_mutex_init(&metadata->lock, NULL);
    return &metadata->base;
}
