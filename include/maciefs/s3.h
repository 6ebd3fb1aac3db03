/*
 * S3 as a source: ListObjectsV2 and GetObject, signed, with retries.
 *
 * Answers are retried, with jittered exponential backoff, where trying again can help: 5xx, 429,
 * SlowDown, connections that broke or fell silent, bodies that were cut or do not add up (length,
 * and ETag where it is an MD5). 4xx is final. Sources: S3 API Reference, "ListObjectsV2",
 * "GetObject", "Error responses".
 */
#ifndef MACIEFS_S3_H
#define MACIEFS_S3_H

#include <maciefs/http.h>
#include <maciefs/source.h>

/*
 * Opens the source without asking the server, under exactly `prefix` (NULL: as configured).
 * Errors: source_open's.
 */
int s3_source_new(const struct config *config, const char *prefix, struct source **ret,
                  struct fault *fault);

/* How a source that s3_source_new made asks. Texts are valid as long as the source. */
struct s3_way {
    const char *url;    /* of the bucket: "https://my-logs.s3.eu-west-1.amazonaws.com" */
    const char *region; /* that is asked: the one that was set, until the bucket names its own */
    const char *set_region;  /* that options, environment or profile name */
    const char *region_from; /* which of them: "AWS_REGION" */
};
void s3_source_way(struct source *source, struct s3_way *ret);

/* Who signs a source's requests, without what is secret. */
struct s3_signer {
    char from[256];  /* the provider: "the environment" */
    char key_end[5]; /* the last characters of the access key id */
    bool temporary;  /* there is a session token */
    int64_t expires; /* seconds since 1970; 0: never */
};

/*
 * Has the credentials found that requests are signed with. Returns 0; -ENODATA where the
 * configuration wants none (no_sign); or credentials_get's errors with a fault.
 */
int s3_source_signer(struct source *source, struct s3_signer *ret, struct fault *fault);

/* http_reach of the bucket's server. */
int s3_source_reach(struct source *source, struct http_reach *ret, struct fault *fault);

/*
 * Parses a ListObjectsV2 answer (encoding-type=url) and adds its entries to *ret, less `prefix` at
 * the front of each key (an entry without it, and a common prefix that does not end in `fold`, are
 * counted in `skipped`). Escaped and bare '/' are the
 * same to it. Returns 0; -EPROTO where it is not such an answer, which includes XML that declares a
 * document type, nests deeper than such an answer does, or ends too soon; -ENOMEM. Where keys are
 * not encoded (no EncodingType in the answer) they are taken as they stand. After a failure *ret
 * holds what came before it, and is to be freed all the same.
 */
int s3_list_parse(const uint8_t *xml, size_t len, const char *prefix, char fold,
                  struct listing *ret);

/*
 * Writes the least policy that a mount needs, as IAM's JSON: to list what is below the prefix, and
 * to get it. `denial`: the refusal that it shall mend; NULL for none. Where that one is of a key of
 * KMS, to decrypt with it is allowed too. Returns 0, buf_append's errors, or those of finding the
 * bucket's region.
 */
int s3_policy_render(const struct config *config, const struct fault *denial, struct buf *out);

/* What an error body says; each "" where it does not. */
struct s3_error {
    char code[64];          /* "NoSuchBucket" */
    char message[2048];     /* printable; one that quotes the longest key fits */
    char region[64];        /* the region that the bucket is in */
    char storage_class[32]; /* of an archived object: "GLACIER" */
    char access_tier[32];   /* of one that is archived by itself: "ARCHIVE_ACCESS" */
};

/* Parses an error body. Fills *ret with what it finds in it, nothing in one that is no XML. */
void s3_error_parse(const uint8_t *xml, size_t len, struct s3_error *ret);

#endif
