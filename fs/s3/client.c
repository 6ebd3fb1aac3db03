#include "client.h"
#include "headers.h"

#include <errno.h>
#include <maciefs/uri.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define STALL_TIMEOUT_MS 20000
#define HOST_TIMEOUT_MS 2000 /* of what answers at once, or is not there */
#define URL_MAX (32u << 10)  /* key, prefix and token encoded; of 1 KiB, 1 KiB and 8 KiB */

/* Of one call: a few moves, a clock, and other credentials. */
#define CORRECTIONS_MAX (S3_MOVES_MAX + 2)

/* Where a call goes: the same for all its tries, unless the bucket is found to be elsewhere. */
struct target {
    const struct s3_address *address;
    struct buf path;
    struct buf url;
};

/* One try: how it ended, and how long the server wants to be left alone. */
struct attempt {
    const struct s3_call *call;
    struct target *target;
    int64_t clock_ahead;            /* by which it was dated */
    struct credentials credentials; /* that signed it; none where none did */
    bool customer_key;              /* it carries one */
    bool corrected; /* it is known how to ask instead: where, when, how or as whom */
    unsigned corrections;
    enum try_end end;
    unsigned retry_after_s;
    bool sent;    /* the sink has got bytes */
    int sink_err; /* the sink's own error */
};

/* A customer's key that goes without TLS to this machine does not take the way over a proxy. */
static bool must_be_direct(const struct s3_client *client, const struct config *config) {
    return config->sse_customer_key && strncmp(client->addresses[0].origin, "http:", 5) == 0;
}

static bool open_pools(struct s3_client *client, const struct config *config) {
    const struct http_options options = {.connections = config->connections,
                                         .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                         .stall_timeout_ms = STALL_TIMEOUT_MS,
                                         .ca_bundle = client->ca_bundle,
                                         .direct = must_be_direct(client, config)};
    const struct http_options aws = {.connections = 1,
                                     .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                     .stall_timeout_ms = STALL_TIMEOUT_MS,
                                     .ca_bundle = client->ca_bundle,
                                     .forgetful = true};
    const struct http_options host = {.connections = 1,
                                      .connect_timeout_ms = HOST_TIMEOUT_MS,
                                      .stall_timeout_ms = HOST_TIMEOUT_MS,
                                      .direct = true,
                                      .forgetful = true};
    client->pool = http_pool_new(&options);
    client->network.aws = http_pool_new(&aws);
    client->network.host = http_pool_new(&host);
    client->network.clock = &client->clock;
    return client->pool && client->network.aws && client->network.host;
}

/* The certificates to trust instead of this machine's: the option's, the variable's, the profile's.
 */
static int find_ca_bundle(const struct config *config, char **ret, struct fault *fault) {
    const char *given = config->ca_bundle ? config->ca_bundle : getenv("AWS_CA_BUNDLE");
    if (given && *given) {
        *ret = strdup(given);
        return *ret ? 0 : fault_set(fault, -ENOMEM, "memory is exhausted");
    }
    int err = profile_setting(config->profile, "ca_bundle", ret, fault);
    return err == -ENOENT ? 0 : err;
}

/* Whoever has the key can read the objects: it goes over no line that others may listen to. */
static int find_customer_key(const struct config *config, const struct s3_address *address,
                             struct customer_key *ret, struct fault *fault) {
    if (!config->sse_customer_key)
        return 0;
    if (!s3_address_is_private(address))
        return fault_set(fault, -EINVAL,
                         "sse_customer_key= needs https: a key is not sent to %s as plain text",
                         address->host);
    return customer_key_read(config->sse_customer_key, ret, fault);
}

/* Who signs: the chain, or a role that it assumes. NULL without memory. */
static struct credentials_provider *find_signer(const struct s3_client *client) {
    const struct config *config = client->config;
    const char *region = client->addresses[0].region;
    const struct credentials_role role = {.role_arn = config->role_arn,
                                          .external_id = config->external_id,
                                          .sts_endpoint = config->sts_endpoint,
                                          .region = region,
                                          .profile = config->profile};
    struct credentials_provider *chain =
        credentials_chain_new(config->profile, region, &client->network);
    if (!config->role_arn)
        return chain;
    return credentials_cache_new(credentials_role_new(&role, chain, &client->network),
                                 &client->clock);
}

int s3_client_open(struct s3_client *client, const struct config *config, struct fault *fault) {
    *client = (struct s3_client){.config = config};
    int err = s3_address_find(config, NULL, &client->addresses[0], fault);
    if (err)
        return err;
    retry_init(&client->retry);
    pthread_mutex_init(&client->move_lock, NULL);
    err = find_ca_bundle(config, &client->ca_bundle, fault);
    if (!err)
        err = find_customer_key(config, &client->addresses[0], &client->customer_key, fault);
    if (!err && !open_pools(client, config))
        err = fault_set(fault, -ENOMEM, "memory is exhausted");
    if (!err && !config->no_sign) {
        client->credentials = find_signer(client);
        if (!client->credentials)
            err = fault_set(fault, -ENOMEM, "memory is exhausted");
    }
    if (err)
        s3_client_close(client);
    return err;
}

const struct s3_address *s3_client_address(struct s3_client *client) {
    return &client->addresses[atomic_load(&client->moves)];
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
    free(client->ca_bundle);
    customer_key_clear(&client->customer_key);
    retry_destroy(&client->retry);
    pthread_mutex_destroy(&client->move_lock);
    for (size_t i = 0; i <= S3_MOVES_MAX; i++)
        s3_address_clear(&client->addresses[i]);
}

static void target_free(struct target *target) {
    buf_free(&target->path);
    buf_free(&target->url);
}

static int make_path(const struct s3_address *address, const char *key, struct buf *path) {
    int err = buf_append_str(path, address->base);
    if (!err && (key || path->len == 0))
        err = buf_append_str(path, "/");
    if (!err && key)
        err = uri_encode(path, key, strlen(key), true);
    return err || buf_str(path) ? err : -ENOMEM;
}

static int target_make(const struct s3_address *address, const struct s3_call *call,
                       struct target *ret) {
    struct target target = {.address = address};
    buf_init(&target.path, URL_MAX);
    buf_init(&target.url, 2 * URL_MAX);
    int err = make_path(address, call->resource.key, &target.path);
    if (!err)
        err = buf_printf(&target.url, "%s%s%s%s", address->origin, buf_str(&target.path),
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

/* Makes the header lines of a try; of one that needs no credentials too. */
static int make_headers(struct s3_client *client, struct attempt *attempt, struct s3_headers *ret,
                        struct fault *fault) {
    const struct config *config = client->config;
    const struct s3_address *address = attempt->target->address;
    struct credentials *credentials = client->credentials ? &attempt->credentials : NULL;
    int err = credentials ? get_credentials(client, credentials, fault) : 0;
    if (err)
        return err;
    /* Dated only now: credentials may have taken a while, and told the time. */
    attempt->clock_ahead = server_clock_ahead(&client->clock);
    const struct s3_get get = {.host = address->host,
                               .path = buf_str(&attempt->target->path),
                               .query = attempt->call->query,
                               .region = address->region,
                               .if_match = attempt->call->if_match,
                               .requester_pays = config->requester_pays,
                               .expected_owner = config->expected_bucket_owner,
                               .customer_key = attempt->customer_key ? &client->customer_key : NULL,
                               .now = (time_t)server_clock_now(&client->clock)};
    err = s3_headers_make(&get, credentials, ret);
    return err ? fault_set(fault, err, "the request to %s cannot be made: %s", address->host,
                           strerrordesc_np(-err))
               : 0;
}

static int take(void *ctx, const uint8_t *at, size_t len) {
    struct attempt *attempt = ctx;
    attempt->sent = true;
    attempt->sink_err = attempt->call->write(attempt->call->ctx, at, len);
    return attempt->sink_err;
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

/* --- What the server tells of itself ---------------------------------------------------------- */

/* Adds the bucket's address in that region. The lock is held. */
static bool move_locked(struct s3_client *client, const char *region) {
    unsigned moves = atomic_load(&client->moves);
    struct s3_address found;
    if (moves == S3_MOVES_MAX || s3_address_find(client->config, region, &found, NULL) < 0)
        return false;
    /* What is bound to its region is not elsewhere, whatever it is told. */
    if (strcmp(found.region, region) != 0) {
        s3_address_clear(&found);
        return false;
    }
    client->addresses[moves + 1] = found;
    atomic_store(&client->moves, moves + 1);
    return true;
}

/* Goes to where the bucket is. False where that is where it was asked for, or too often. */
static bool move(struct s3_client *client, const struct s3_address *from, const char *region) {
    bool moved = strcmp(region, from->region) != 0;
    if (!moved)
        return false;
    pthread_mutex_lock(&client->move_lock);
    /* Another call may have been told as well. */
    if (strcmp(region, s3_client_address(client)->region) != 0)
        moved = move_locked(client, region);
    pthread_mutex_unlock(&client->move_lock);
    return moved;
}

/* Whether the answer says how to ask so that it is granted, which is then done. */
static bool correct(struct s3_client *client, struct attempt *attempt,
                    const struct http_answer *answer) {
    char region[64];
    /* Firehose encrypts with no such key: who does so afterwards has both kinds in a bucket. */
    if (attempt->customer_key && s3_refusal_is_of_needless_key(answer)) {
        attempt->customer_key = false;
        return true;
    }
    if (s3_refusal_moves(answer, region, sizeof region))
        return move(client, attempt->target->address, region);
    if (client->credentials && s3_refusal_is_of_credentials(answer))
        return credentials_renew(client->credentials, &attempt->credentials);
    return s3_refusal_is_of_clock(answer) &&
           server_clock_follow(&client->clock, attempt->clock_ahead, answer->date);
}

static int judge(struct s3_client *client, struct attempt *attempt,
                 const struct http_answer *answer, struct fault *fault) {
    const struct s3_call *call = attempt->call;
    if (answer->status / 100 == 2) {
        int err = call->check(call->ctx, answer, fault);
        attempt->end = err == -EIO ? TRY_BUSY : TRY_DONE;
        return err;
    }
    struct s3_resource resource = call->resource;
    resource.region = attempt->target->address->region;
    resource.expected_owner = client->config->expected_bucket_owner;
    resource.is_signed = client->credentials != NULL;
    resource.requester_pays = client->config->requester_pays;
    resource.customer_key = attempt->customer_key;
    /* A server that says so of each answer does not lead us on for ever. */
    attempt->corrected = attempt->corrections < CORRECTIONS_MAX && correct(client, attempt, answer);
    attempt->corrections += attempt->corrected;
    attempt->end = s3_refusal_passes(answer) ? TRY_BUSY : TRY_DONE;
    attempt->retry_after_s = answer->retry_after_s;
    return s3_refusal_explain(answer, &resource, fault);
}

static int send_attempt(struct s3_client *client, struct attempt *attempt, struct fault *fault) {
    struct s3_headers headers;
    struct http_answer answer;
    int err = make_headers(client, attempt, &headers, fault);
    if (err)
        return err;
    err = http_get(client->pool, buf_str(&attempt->target->url), headers.lines, take, attempt,
                   &answer, fault);
    s3_headers_free(&headers);
    if (attempt->sink_err) {
        attempt->end = TRY_DONE;
    } else if (err) {
        attempt->end = end_of_error(err);
    } else {
        err = judge(client, attempt, &answer, fault);
        buf_free(&answer.error_body);
    }
    return err;
}

static int try_once(struct s3_client *client, struct attempt *attempt, struct fault *fault) {
    attempt->end = TRY_NONE;
    attempt->retry_after_s = 0;
    attempt->corrected = false;
    int err = send_attempt(client, attempt, fault);
    credentials_clear(&attempt->credentials);
    return err;
}

static int admit(struct s3_client *client, struct fault *fault) {
    int err = retry_admit(&client->retry);
    if (err == -ECANCELED)
        return fault_set(fault, err, "the request to %s was given up",
                         s3_client_address(client)->host);
    if (err)
        return fault_set(fault, err, "%s is away: it could not be reached a moment ago",
                         s3_client_address(client)->host);
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

/* Points the attempt at where the bucket is asked now. */
static int aim(struct s3_client *client, struct attempt *attempt, struct fault *fault) {
    const struct s3_address *address = s3_client_address(client);
    if (attempt->target->address == address)
        return 0;
    struct target target;
    int err = target_make(address, attempt->call, &target);
    if (err)
        return fault_set(fault, err, "the request to %s cannot be made: %s", address->host,
                         strerrordesc_np(-err));
    target_free(attempt->target);
    *attempt->target = target;
    return 0;
}

static int call_target(struct s3_client *client, struct attempt *attempt, struct fault *fault) {
    for (unsigned tries = 1;;) {
        int err = aim(client, attempt, fault);
        /* Who was admitted has to tell how it ended, so that comes last. */
        if (!err)
            err = admit(client, fault);
        if (err)
            return err;
        err = try_once(client, attempt, fault);
        bool again = retry_go_on(&client->retry, attempt->end, tries);
        if (attempt->corrected)
            continue;
        if (!again)
            return attempt->end == TRY_SILENT || err == -ECONNRESET ? -ENETDOWN : err;
        err = prepare_again(client, attempt, tries++);
        if (err)
            return err;
    }
}

int s3_client_call(struct s3_client *client, const struct s3_call *call, struct fault *fault) {
    struct target target = {0};
    /* Listings are not encrypted, and take no key. */
    bool has_key = client->config->sse_customer_key && call->resource.key;
    struct attempt attempt = {.call = call, .target = &target, .customer_key = has_key};
    /* What failed tries say is only told when the last one fails too. */
    struct fault said = {0};
    int err = call_target(client, &attempt, &said);
    target_free(&target);
    if (err && fault)
        *fault = said;
    return err;
}
