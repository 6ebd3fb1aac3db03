#include "client.h"

#include <errno.h>
#include <maciefs/sigv4.h>
#include <maciefs/uri.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define STALL_TIMEOUT_MS 20000
#define HOST_TIMEOUT_MS 2000 /* of what answers at once, or is not there */
#define URL_MAX (32u << 10)  /* key, prefix and token encoded; of 1 KiB, 1 KiB and 8 KiB */

/* The path and URL of a call, the same for all its tries. */
struct target {
    struct buf path;
    struct buf url;
};

/* One try: how it ended, and how long the server wants to be left alone. */
struct attempt {
    const struct s3_call *call;
    enum try_end end;
    unsigned retry_after_s;
    bool sent;    /* the sink has got bytes */
    int sink_err; /* the sink's own error */
};

int s3_client_open(struct s3_client *client, const struct config *config, struct fault *fault) {
    const struct http_options options = {.connections = config->connections,
                                         .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                         .stall_timeout_ms = STALL_TIMEOUT_MS};
    static const struct http_options host_options = {.connections = 1,
                                                     .connect_timeout_ms = HOST_TIMEOUT_MS,
                                                     .stall_timeout_ms = HOST_TIMEOUT_MS,
                                                     .direct = true};
    static const struct http_options aws_options = {.connections = 1,
                                                    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                                    .stall_timeout_ms = STALL_TIMEOUT_MS};
    *client = (struct s3_client){0};
    int err = s3_address_find(config, &client->address, fault);
    if (err)
        return err;
    retry_init(&client->retry);
    client->pool = http_pool_new(&options);
    client->network.host = http_pool_new(&host_options);
    client->network.aws = http_pool_new(&aws_options);
    client->credentials = credentials_chain_new(config->profile, &client->network);
    if (!client->pool || !client->network.host || !client->network.aws || !client->credentials) {
        s3_client_close(client);
        return fault_set(fault, -ENOMEM, "memory is exhausted");
    }
    return 0;
}

void s3_client_stop(struct s3_client *client) {
    retry_stop(&client->retry);
    http_pool_stop(client->network.host);
    http_pool_stop(client->network.aws);
    http_pool_stop(client->pool);
}

void s3_client_close(struct s3_client *client) {
    credentials_provider_free(client->credentials);
    http_pool_free(client->network.host);
    http_pool_free(client->network.aws);
    http_pool_free(client->pool);
    retry_destroy(&client->retry);
    s3_address_clear(&client->address);
}

static void target_free(struct target *target) {
    buf_free(&target->path);
    buf_free(&target->url);
}

static int make_path(const struct s3_client *client, const char *key, struct buf *path) {
    int err = buf_append_str(path, client->address.base);
    if (!err && (key || path->len == 0))
        err = buf_append_str(path, "/");
    if (!err && key)
        err = uri_encode(path, key, strlen(key), true);
    return err || buf_str(path) ? err : -ENOMEM;
}

static int target_make(const struct s3_client *client, const struct s3_call *call,
                       struct target *ret) {
    struct target target;
    buf_init(&target.path, URL_MAX);
    buf_init(&target.url, 2 * URL_MAX);
    int err = make_path(client, call->resource.key, &target.path);
    if (!err)
        err = buf_printf(&target.url, "%s%s%s%s", client->address.origin, buf_str(&target.path),
                         call->query[0] ? "?" : "", call->query);
    if (!err && !buf_str(&target.url))
        err = -ENOMEM;
    if (err)
        target_free(&target);
    else
        *ret = target;
    return err;
}

static int get_credentials(struct s3_client *client, struct credentials *ret, struct fault *fault) {
    int err = credentials_get(client->credentials, ret, fault);
    /* To callers -ENOENT says that an object is gone. */
    return err == -ENOENT ? -EACCES : err;
}

static int sign(struct s3_client *client, const struct s3_call *call, struct target *target,
                struct sigv4_signed *ret, struct fault *fault) {
    struct credentials credentials;
    int err = get_credentials(client, &credentials, fault);
    if (err)
        return err;
    const struct sigv4_header host = {"host", client->address.host};
    const struct sigv4_request request = {.method = "GET",
                                          .path = buf_str(&target->path),
                                          .query = call->query,
                                          .headers = &host,
                                          .header_count = 1,
                                          .payload_sha256 = SIGV4_EMPTY_SHA256,
                                          .region = client->address.region,
                                          .service = "s3",
                                          .now = time(NULL)};
    err = sigv4_sign(&request, &credentials, ret);
    credentials_clear(&credentials);
    return err ? fault_set(fault, err, "the request to %s cannot be signed: %s",
                           client->address.host, strerrordesc_np(-err))
               : 0;
}

static int take(void *ctx, const uint8_t *at, size_t len) {
    struct attempt *attempt = ctx;
    attempt->sent = true;
    attempt->sink_err = attempt->call->write(attempt->call->ctx, at, len);
    return attempt->sink_err;
}

static int send_signed(struct s3_client *client, struct attempt *attempt, struct target *target,
                       struct sigv4_signed *lines, struct http_answer *ret, struct fault *fault) {
    const char *etag = attempt->call->if_match;
    struct buf host, if_match;
    buf_init(&host, URL_MAX);
    buf_init(&if_match, URL_MAX);
    int err = buf_printf(&host, "host: %s", client->address.host);
    if (!err)
        err = buf_printf(&if_match, "if-match: \"%s\"", etag);
    if (!err) {
        const char *headers[7] = {buf_str(&host), buf_str(&lines->amz_date),
                                  buf_str(&lines->content_sha256), buf_str(&lines->authorization)};
        size_t count = 4;
        if (lines->security_token.len)
            headers[count++] = buf_str(&lines->security_token);
        if (etag[0])
            headers[count++] = buf_str(&if_match);
        err = http_get(client->pool, buf_str(&target->url), headers, take, attempt, ret, fault);
    }
    buf_free(&host);
    buf_free(&if_match);
    return err;
}

/* How a try ended that brought no whole answer. */
static enum try_end end_of_error(int err) {
    switch (err) {
    case -ENETDOWN:
        return TRY_AWAY;
    case -ETIMEDOUT:
        return TRY_SILENT;
    case -ECONNRESET:
        return TRY_BUSY;
    case -EPROTO:
        return TRY_DONE;
    default:
        return TRY_NONE;
    }
}

static int judge(const struct s3_call *call, const struct http_answer *answer,
                 struct attempt *attempt, struct fault *fault) {
    int err;
    if (answer->status / 100 == 2) {
        err = call->check(call->ctx, answer, fault);
        attempt->end = err == -EIO ? TRY_BUSY : TRY_DONE;
        return err;
    }
    err = s3_refusal_explain(answer, &call->resource, fault);
    attempt->end = s3_refusal_passes(answer) ? TRY_BUSY : TRY_DONE;
    attempt->retry_after_s = answer->retry_after_s;
    return err;
}

static int try_once(struct s3_client *client, struct target *target, struct attempt *attempt,
                    struct fault *fault) {
    struct sigv4_signed lines = {0};
    struct http_answer answer;
    attempt->end = TRY_NONE;
    attempt->retry_after_s = 0;
    int err = sign(client, attempt->call, target, &lines, fault);
    if (err)
        return err;
    err = send_signed(client, attempt, target, &lines, &answer, fault);
    sigv4_free(&lines);
    if (attempt->sink_err) {
        attempt->end = TRY_DONE;
    } else if (err) {
        attempt->end = end_of_error(err);
    } else {
        err = judge(attempt->call, &answer, attempt, fault);
        buf_free(&answer.error_body);
    }
    return err;
}

static int admit(struct s3_client *client, struct fault *fault) {
    int err = retry_admit(&client->retry);
    if (err == -ECANCELED)
        return fault_set(fault, err, "the request to %s was given up", client->address.host);
    if (err)
        return fault_set(fault, err, "%s is away: it could not be reached a moment ago",
                         client->address.host);
    return 0;
}

/* Waits, and has the sink forget what it got. */
static int prepare_again(struct s3_client *client, struct attempt *attempt, unsigned tries) {
    int err = retry_wait(&client->retry, tries, attempt->retry_after_s);
    if (err || !attempt->sent)
        return err;
    attempt->sent = false;
    return attempt->call->restart(attempt->call->ctx);
}

static int call_target(struct s3_client *client, const struct s3_call *call, struct target *target,
                       struct fault *fault) {
    struct attempt attempt = {.call = call};
    for (unsigned tries = 1;; tries++) {
        int err = admit(client, fault);
        if (err)
            return err;
        err = try_once(client, target, &attempt, fault);
        if (!retry_go_on(&client->retry, attempt.end, tries))
            return attempt.end == TRY_SILENT || err == -ECONNRESET ? -ENETDOWN : err;
        err = prepare_again(client, &attempt, tries);
        if (err)
            return err;
    }
}

int s3_client_call(struct s3_client *client, const struct s3_call *call, struct fault *fault) {
    struct target target;
    int err = target_make(client, call, &target);
    if (err)
        return fault_set(fault, err, "the request to %s cannot be made: %s", client->address.host,
                         strerrordesc_np(-err));
    /* What failed tries say is only told when the last one fails too. */
    struct fault said = {0};
    err = call_target(client, call, &target, &said);
    target_free(&target);
    if (err && fault)
        *fault = said;
    return err;
}
