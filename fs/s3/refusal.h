/*
 * What S3's refusals mean, and what a user can do about each.
 */
#ifndef MACIEFS_S3_REFUSAL_H
#define MACIEFS_S3_REFUSAL_H

#include <maciefs/fault.h>
#include <maciefs/http.h>
#include <stdbool.h>

/* What was asked for, as policies name it. */
struct s3_resource {
    const char *action; /* "s3:GetObject" */
    const char *bucket; /* or an access point's ARN */
    const char *key;    /* NULL for the bucket itself */
    const char *region; /* that the request was signed for */
    bool customer_key;  /* one was sent (SSE-C) */
};

/* Whether the answer says that the bucket is in another region, and in which. */
bool s3_refusal_moves(const struct http_answer *answer, char *ret_region, size_t size);

/* Whether the request was refused since its date is too far from the server's. */
bool s3_refusal_is_of_clock(const struct http_answer *answer);

/* Whether a customer's key was sent for an object that is not encrypted with one. */
bool s3_refusal_is_of_needless_key(const struct http_answer *answer);

/* Whether an answer that is no 2xx only asks for patience. Sources: "Error responses". */
bool s3_refusal_passes(const struct http_answer *answer);

/* Writes the sentence for an answer that is no 2xx, and returns its errno. */
int s3_refusal_explain(const struct http_answer *answer, const struct s3_resource *resource,
                       struct fault *fault);

#endif
