/* What can be told of a source's way to its bucket. */
#include "client.h"

#include <errno.h>
#include <maciefs/s3.h>
#include <stdio.h>
#include <string.h>

#define KEY_ID_SHORTEST 16 /* of AWS's; of a shorter one the end would be too much of it */

void s3_source_way(struct source *source, struct s3_way *ret) {
    struct s3_client *client = s3_source_client(source);
    const struct s3_address *set = &client->addresses[0], *now = s3_client_address(client);
    *ret = (struct s3_way){.url = now->origin,
                           .region = now->region,
                           .set_region = set->region,
                           .region_from = set->region_from};
}

static void describe(const struct credentials *credentials, const char *asked,
                     struct s3_signer *ret) {
    const char *id = credentials->access_key_id;
    size_t len = strlen(id);
    *ret = (struct s3_signer){.temporary = credentials->session_token != NULL,
                              .expires = credentials->expires};
    snprintf(ret->from, sizeof ret->from, "%s", credentials->from ? credentials->from : asked);
    if (len >= KEY_ID_SHORTEST)
        snprintf(ret->key_end, sizeof ret->key_end, "%s", id + len - (sizeof ret->key_end - 1));
}

int s3_source_signer(struct source *source, struct s3_signer *ret, struct fault *fault) {
    struct credentials_provider *provider = s3_source_client(source)->credentials;
    struct credentials credentials;
    if (!provider)
        return fault_set(fault, -ENODATA, "no credentials are wanted");
    int err = credentials_get(provider, &credentials, fault);
    if (err)
        return err;
    describe(&credentials, provider->name, ret);
    credentials_clear(&credentials);
    return 0;
}

int s3_source_reach(struct source *source, struct http_reach *ret, struct fault *fault) {
    struct s3_client *client = s3_source_client(source);
    return http_reach(client->pool, s3_client_address(client)->origin, ret, fault);
}
