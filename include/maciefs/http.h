/*
 * One HTTP exchange, over a pool of connections that are kept.
 *
 * A thin layer on libcurl: it sends a request with the headers it is given, follows no redirects,
 * asks for no content encoding, verifies TLS, and gives up when connecting, or a pause in the
 * answer, takes too long. What an answer means, and whether to try again, is the caller's to
 * decide. Requests are signed with secrets, so libcurl overwrites what it frees.
 */
#ifndef MACIEFS_HTTP_H
#define MACIEFS_HTTP_H

#include <maciefs/bytes.h>
#include <maciefs/fault.h>
#include <stdbool.h>
#include <stdint.h>

struct http_options {
    unsigned connections;        /* exchanges at once; a further caller waits for its turn */
    unsigned connect_timeout_ms; /* name look-up, TCP and TLS together */
    unsigned stall_timeout_ms;   /* no byte for so long ends an exchange */
    const char *ca_bundle;       /* a file of certificates to trust; NULL for this machine's */
    bool direct;                 /* never through a proxy, whatever the environment says */
    bool forgetful;              /* keeps nothing of an exchange, as its answers are secrets */
};

struct http_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;
    const char *const *headers; /* lines, without line ends; NULL-terminated */
    const char *body;           /* of a POST; NULL for none */
};

struct http_pool;

struct http_answer {
    int status;             /* 200 … 599 */
    int64_t content_length; /* of the body; -1 where the server does not say */
    int64_t date;           /* the server's clock, seconds since 1970; 0 where it does not say */
    unsigned retry_after_s; /* 0 where it does not say */
    char etag[128];         /* without quotes; "" for none */
    bool etag_opaque;       /* encrypted by KMS or a customer's key: the ETag is no MD5 */
    char bucket_region[64]; /* x-amz-bucket-region; "" for none */
    struct buf error_body;  /* of an answer that is no 2xx: its first 64 KiB; freed by the caller */
};

/* Returns a pool to be freed by http_pool_free, or NULL without memory. */
struct http_pool *http_pool_new(const struct http_options *options);

/*
 * Sends the request and hands the body of a 2xx answer to `sink`. Returns 0 when a whole answer of
 * any status came (of one that is no 2xx, as much of the body as is kept). Otherwise, worth a
 * retry: -ENETDOWN where no answer began (name look-up, connecting, TLS handshake, silence),
 * -ETIMEDOUT where one fell silent midway, -ECONNRESET where the connection broke or the body was
 * cut short. Final: -EPROTO where TLS or HTTP itself failed (certificate, protocol, headers without
 * end); -ECANCELED after http_pool_stop; -ENOMEM; or the sink's error. The fault names host, port
 * and cause.
 */
int http_send(struct http_pool *pool, const struct http_request *request, bytes_sink sink,
              void *ctx, struct http_answer *ret, struct fault *fault);

/* http_send of a GET. */
int http_get(struct http_pool *pool, const char *url, const char *const headers[], bytes_sink sink,
             void *ctx, struct http_answer *ret, struct fault *fault);

/* How a server is reached. */
struct http_reach {
    bool connected;   /* its name was found, and it (or the proxy) takes connections */
    char address[80]; /* whom it was connected to: "192.0.2.7, port 443"; "" for nobody */
    char expires[64]; /* its certificate, as "Dec 24 14:19:53 2026 GMT"; "" where it has none */
};

/*
 * Connects to the URL's server, with TLS where it is https, and closes again without a request.
 * Fills *ret also on failure: `connected` then tells that TLS is what failed. Returns 0 or
 * http_send's errors with their faults.
 */
int http_reach(struct http_pool *pool, const char *url, struct http_reach *ret,
               struct fault *fault);

/* Makes exchanges under way and to come return -ECANCELED soon. */
void http_pool_stop(struct http_pool *pool);
bool http_pool_stopped(struct http_pool *pool);

void http_pool_free(struct http_pool *pool); /* accepts NULL; no exchange may be under way */

#endif
