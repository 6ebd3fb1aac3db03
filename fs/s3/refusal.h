/*
 * What S3's refusals mean, and what a user can do about each.
 */
#ifndef MACIEFS_S3_REFUSAL_H
#define MACIEFS_S3_REFUSAL_H

#include <maciefs/fault.h>
#include <maciefs/http.h>
#include <stdbool.h>

/* What was asked for, as policies name it, and how. */
struct s3_resource {
    const char *action;         /* "s3:GetObject" */
    const char *bucket;         /* or an access point's ARN */
    const char *key;            /* NULL for the bucket itself */
    const char *region;         /* that the request was signed for */
    const char *expected_owner; /* of the bucket, an account; NULL for any */
    bool is_signed;
    bool requester_pays;
    bool customer_key; /* one was sent (SSE-C) */
};

/* How the sentence begins where it is KMS that denies; then follows the key's ARN, if it is known.
 */
#define S3_KMS_DENIED "KMS denies kms:Decrypt with "

/*
 * Writes the ARN of a bucket or, with a key or a pattern of keys, of what is in it. A bucket that
 * is named by the ARN of an access point has that one. Returns 0 or buf_append's errors.
 */
int s3_resource_arn(const char *region, const char *bucket, const char *key, struct buf *out);

/* Whether the answer says that the bucket is in another region, and in which. */
bool s3_refusal_moves(const struct http_answer *answer, char *ret_region, size_t size);

/* Whether the request was refused since its date is too far from the server's. */
bool s3_refusal_is_of_clock(const struct http_answer *answer);

/* Whether the credentials were refused that others may have taken the place of: an ended session, a
 * deleted key. */
bool s3_refusal_is_of_credentials(const struct http_answer *answer);

/* Whether a customer's key was sent for an object that is not encrypted with one. */
bool s3_refusal_is_of_needless_key(const struct http_answer *answer);

/* Whether an answer that is no 2xx only asks for patience. Sources: "Error responses". */
bool s3_refusal_passes(const struct http_answer *answer);

/*
 * Writes the sentence for an answer that is no 2xx, and returns its errno. What a policy could
 * allow makes it a fault of denial.
 */
int s3_refusal_explain(const struct http_answer *answer, const struct s3_resource *resource,
                       struct fault *fault);

#endif
