/*
 * AWS Signature Version 4, by header; a body is signed by its hash.
 *
 * Source: "Signature Version 4 signing process" in the AWS General Reference and "Authenticating
 * Requests: Using the Authorization Header" in the S3 API Reference. S3 differs from other services
 * in that the path is not encoded twice and not normalised.
 */
#ifndef MACIEFS_SIGV4_H
#define MACIEFS_SIGV4_H

#include <maciefs/bytes.h>
#include <maciefs/credentials.h>
#include <time.h>

struct sigv4_header {
    const char *name;  /* lower case */
    const char *value; /* surrounding and repeated spaces are folded by the signer */
};

struct sigv4_request {
    const char *method;
    const char *path;  /* as it goes over the wire: encoded once, begins with '/' */
    const char *query; /* as it goes over the wire, without '?': encoded "name=value&…", in any
                          order; "" for none */
    const struct sigv4_header
        *headers; /* all to be signed, each name once, host among them; any
                     order; without the x-amz-* headers that sigv4_sign adds */
    size_t header_count;
    const char *payload_sha256; /* hex, or "UNSIGNED-PAYLOAD" */
    const char *region;
    const char *service;
    time_t now;
    bool encode_path_twice;   /* services other than S3 */
    bool omit_content_sha256; /* do not add x-amz-content-sha256 (services other than S3) */
};

#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Header lines to add to the request, each without its line end; secret, cleared by sigv4_free. */
struct sigv4_signed {
    struct buf amz_date;       /* "x-amz-date: …" */
    struct buf content_sha256; /* "x-amz-content-sha256: …", or empty */
    struct buf security_token; /* "x-amz-security-token: …", or empty */
    struct buf authorization;  /* "authorization: AWS4-HMAC-SHA256 Credential=…" */
};

/*
 * Signs. Returns 0; -ENOMEM; -EMSGSIZE past 256 KiB of text; -EIO where OpenSSL fails; -EINVAL
 * where the request has too many parts (64 headers, 64 query parameters), a control character would
 * get into a header line, or the year has not four digits.
 */
int sigv4_sign(const struct sigv4_request *request, const struct credentials *credentials,
               struct sigv4_signed *ret);

/* Clears and frees. Accepts a zeroed one, and NULL. */
void sigv4_free(struct sigv4_signed *signed_headers);

#endif
