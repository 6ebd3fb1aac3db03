/*
 * Signed GETs to one bucket, tried again where that helps.
 *
 * What the server tells of itself is gone by: where the bucket is in another region, it is asked
 * there from then on; where this machine's clock is off, requests are dated by the server's.
 */
#ifndef MACIEFS_S3_CLIENT_H
#define MACIEFS_S3_CLIENT_H

#include "address.h"
#include "customer_key.h"
#include "refusal.h"
#include "retry.h"
#include <maciefs/server_clock.h>

#include <maciefs/credentials.h>
#include <maciefs/http.h>
#include <maciefs/source.h>
#include <stdatomic.h>

/* How often a bucket may send us to another region. */
#define S3_MOVES_MAX 3

struct s3_client {
    const struct config *config;
    pthread_mutex_t move_lock;                     /* for who moves */
    struct s3_address addresses[S3_MOVES_MAX + 1]; /* kept, as calls under way use them */
    _Atomic unsigned moves;                        /* the last of them is the one to ask */
    struct server_clock clock;                     /* by which requests are dated */
    char *ca_bundle;                               /* or NULL */
    struct customer_key customer_key; /* of the objects, where the configuration names one */
    struct http_pool *pool;
    struct retry retry;
    struct credentials_network network; /* of the credentials' providers */
    struct credentials_provider *credentials;
};

/* One call, which may take several tries. */
struct s3_call {
    struct s3_resource resource; /* as its caller has it; the rest is filled in */
    const char *query;           /* encoded; "" for none */
    const char *if_match;        /* an ETag that the object must have; "" for any */
    bytes_sink write;            /* takes the body; its error ends the call */
    /* Called before bytes are sent again from the first. Its error ends the call. */
    int (*restart)(void *ctx);
    /* Judges a whole answer; -EIO asks for another try, any other error is final. */
    int (*check)(void *ctx, const struct http_answer *answer, struct fault *fault);
    void *ctx;
};

/* Returns 0, or s3_address_find's and customer_key_read's errors. The configuration must outlive
 * the client. */
int s3_client_open(struct s3_client *client, const struct config *config, struct fault *fault);

/* The client of a source that s3_source_new made. */
struct s3_client *s3_source_client(struct source *source);

/* Where the bucket is asked now; valid as long as the client. */
const struct s3_address *s3_client_address(struct s3_client *client);

/*
 * Returns 0; an error of the sink or of `check`; -ENETDOWN where all tries failed or the server is
 * away; s3_refusal_explain's errors; credentials_get's; http_get's final ones.
 */
int s3_client_call(struct s3_client *client, const struct s3_call *call, struct fault *fault);

void s3_client_stop(struct s3_client *client);
void s3_client_close(struct s3_client *client);

#endif
