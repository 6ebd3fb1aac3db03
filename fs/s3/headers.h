/*
 * The header lines of a request to S3, signed.
 */
#ifndef MACIEFS_S3_HEADERS_H
#define MACIEFS_S3_HEADERS_H

#include "customer_key.h"

#include <maciefs/sigv4.h>

#define S3_HEADERS_MAX 12

/* What a request is made of. All texts outlive the call. */
struct s3_get {
    const char *host;
    const char *path;  /* as sigv4_request has it, as the query */
    const char *query; /* "" for none */
    const char *region;
    const char *if_match; /* an ETag; "" for none */
    bool requester_pays;
    const char *expected_owner;              /* an account; NULL for any */
    const struct customer_key *customer_key; /* NULL for none */
    time_t now;
};

struct s3_headers {
    const char *lines[S3_HEADERS_MAX + 1]; /* NULL-terminated */
    size_t count;
    struct buf own[S3_HEADERS_MAX]; /* the memory of those that are not the signature's */
    size_t own_count;
    struct sigv4_signed signature;
};

/*
 * Makes the lines of a GET; without credentials (NULL) it is not signed. Returns 0 and lines to be
 * freed by s3_headers_free, or sigv4_sign's errors.
 */
int s3_headers_make(const struct s3_get *get, const struct credentials *credentials,
                    struct s3_headers *ret);

/* Clears and frees. */
void s3_headers_free(struct s3_headers *headers);

#endif
