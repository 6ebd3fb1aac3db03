/*
 * Where a bucket is: its URL, the Host header, and the region to sign for.
 */
#ifndef MACIEFS_S3_ADDRESS_H
#define MACIEFS_S3_ADDRESS_H

#include <maciefs/config.h>
#include <stdbool.h>

struct s3_address {
    char *origin; /* "https://bucket.s3.eu-west-1.amazonaws.com" */
    char *host;   /* "bucket.s3.eu-west-1.amazonaws.com", with a port where the URL has one */
    char *base;   /* the bucket's own path, encoded, without a final '/': "" or "/bucket" */
    char *region;
    const char *region_from; /* who named it: "AWS_REGION" */
};

/*
 * Finds it from the options, the environment and the profile, as AWS's tools do (AWS SDK reference
 * guide, "Service-specific endpoints", "Dual-stack and FIPS endpoints"). `region`: what is known of
 * the region; NULL for what is set, else us-east-1. An access point's is always its ARN's. Returns
 * 0 and an address to be cleared by s3_address_clear; or -EINVAL, -ENOMEM, or an error of the
 * profile's files.
 */
int s3_address_find(const struct config *config, const char *region, struct s3_address *ret,
                    struct fault *fault);

/* Whether what is sent there goes over TLS, or does not leave this machine. */
bool s3_address_is_private(const struct s3_address *address);

void s3_address_clear(struct s3_address *address);

#endif
