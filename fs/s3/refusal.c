#include "refusal.h"
#include "partition.h"

#include <errno.h>
#include <maciefs/access_point.h>
#include <maciefs/s3.h>
#include <stdio.h>
#include <string.h>

/*
 * {action}, {resource} (as policies name it), {bucket}, {key}, {mine} (the region asked), {region}
 * (the bucket's own), {answer} (status and code) and {said} (the server's message, in brackets) are
 * filled in.
 */
#define WRONG_REGION "the bucket {bucket} is in {region}: mount it with -o region={region}"
#define UNKNOWN_REGION                                                                             \
    "the bucket {bucket} is not served where it was asked for, in {mine} ({answer}): give "        \
    "its own region with -o region=, or check -o endpoint="

static const struct refusal {
    const char *code;
    int err;
    const char *sentence;
    const char *without_region; /* where the answer does not tell the bucket's region */
} refusals[] = {
    {"AccessDenied", -EACCES,
     "S3 denies {action} on {resource}: allow it in the policy of the credentials' user or role, "
     "and in the bucket's{said}",
     NULL},
    {"AllAccessDisabled", -EACCES,
     "S3 has disabled all access to {bucket}: its owner must ask AWS why", NULL},
    {"InvalidAccessKeyId", -EACCES,
     "S3 does not know the access key id: check the credentials (profile=, or AWS_ACCESS_KEY_ID), "
     "whether they were deleted, and that they belong to this endpoint",
     NULL},
    {"SignatureDoesNotMatch", -EACCES,
     "the secret access key does not belong to the access key id: check the credentials "
     "(profile=, or AWS_SECRET_ACCESS_KEY)",
     NULL},
    {"ExpiredToken", -EACCES,
     "the session of the credentials has expired: renew it (aws sso login, or new keys)", NULL},
    {"TokenRefreshRequired", -EACCES,
     "the session of the credentials must be renewed (aws sso login, or new keys)", NULL},
    {"InvalidToken", -EACCES,
     "the session token does not belong to the access key: check the credentials (profile=, or "
     "AWS_SESSION_TOKEN)",
     NULL},
    {"RequestTimeTooSkewed", -EACCES,
     "this machine's clock is too far from S3's: set it (timedatectl set-ntp true)", NULL},
    {"NoSuchBucket", -ENOENT,
     "there is no bucket {bucket}: check its name, and that -o endpoint= and the credentials are "
     "those of its owner's partition",
     NULL},
    {"InvalidBucketName", -EINVAL, "{bucket} cannot be the name of a bucket: check it", NULL},
    {"NoSuchKey", -ENOENT, "there is no object {key} in {bucket} any more", NULL},
    {"PreconditionFailed", -ESTALE,
     "the object {key} in {bucket} was overwritten after it was listed: it is read anew when it is "
     "listed again",
     NULL},
    {"InvalidObjectState", -EACCES,
     "the object {key} in {bucket} is archived (Glacier): restore it before it is read", NULL},
    {"PermanentRedirect", -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"TemporaryRedirect", -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"Redirect", -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"AuthorizationHeaderMalformed", -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"IllegalLocationConstraintException", -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"SlowDown", -ENETDOWN, "S3 asks to slow down, again and again ({answer}){said}", NULL},
    {"NoSuchAccessPoint", -ENOENT,
     "there is no access point {bucket}: check its name, region and account", NULL},
    /* These three are told by more than the code. */
    {"CustomerKeyMissing", -EACCES,
     "the object {key} in {bucket} is encrypted with a customer's key (SSE-C): give the file that "
     "holds it with -o sse_customer_key=",
     NULL},
    {"CustomerKeyWrong", -EACCES,
     "the object {key} in {bucket} is encrypted with another key than that of -o "
     "sse_customer_key=: give the file that holds its own",
     NULL},
    {"AccessDeniedWithKey", -EACCES,
     "S3 denies {action} on {resource}: check that -o sse_customer_key= has the key that it is "
     "encrypted with, and allow the action in the policy of the credentials' user or role, and in "
     "the bucket's{said}",
     NULL},
};

static const struct refusal unavailable = {
    "", -ENETDOWN, "S3 cannot serve {action} on {resource} now ({answer}){said}", NULL};
static const struct refusal other = {"", -EPROTO,
                                     "S3 refuses {action} on {resource} ({answer}){said}", NULL};

/* The code that stands for a status, where the body does not tell one (a proxy's, a HEAD-like). */
static const char *code_of_status(int status, bool object) {
    switch (status) {
    case 301:
    case 308:
        return "PermanentRedirect";
    case 302:
    case 303:
    case 307:
        return "TemporaryRedirect";
    case 403:
        return "AccessDenied";
    case 404:
        return object ? "NoSuchKey" : "NoSuchBucket";
    case 412:
        return "PreconditionFailed";
    default:
        return "";
    }
}

static bool is_status_passing(int status) {
    return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

static void parse_error(const struct http_answer *answer, struct s3_error *ret) {
    s3_error_parse(answer->error_body.at, answer->error_body.len, ret);
}

static bool is_among(const char *code, const char *const *codes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

bool s3_refusal_passes(const struct http_answer *answer) {
    static const char *const codes[] = {"SlowDown",   "RequestTimeout",      "RequestLimitExceeded",
                                        "Throttling", "ThrottlingException", "InternalError"};
    if (is_status_passing(answer->status))
        return true;
    struct s3_error error;
    parse_error(answer, &error);
    return is_among(error.code, codes, sizeof codes / sizeof *codes);
}

bool s3_refusal_moves(const struct http_answer *answer, char *ret_region, size_t size) {
    static const char *const codes[] = {"PermanentRedirect", "TemporaryRedirect", "Redirect",
                                        "AuthorizationHeaderMalformed",
                                        "IllegalLocationConstraintException"};
    struct s3_error error;
    parse_error(answer, &error);
    const char *code = error.code[0] ? error.code : code_of_status(answer->status, false);
    const char *region = error.region[0] ? error.region : answer->bucket_region;
    if (region[0] == '\0' || !is_among(code, codes, sizeof codes / sizeof *codes))
        return false;
    return snprintf(ret_region, size, "%s", region) < (int)size;
}

bool s3_refusal_is_of_clock(const struct http_answer *answer) {
    struct s3_error error;
    parse_error(answer, &error);
    return strcmp(error.code, "RequestTimeTooSkewed") == 0;
}

/* Of requests that are invalid only the message tells why (AWS's, and that of Ceph). */
static bool is_invalid_for(const struct s3_error *error, const char *why) {
    static const char *const codes[] = {"InvalidRequest", "InvalidArgument"};
    return is_among(error->code, codes, sizeof codes / sizeof *codes) &&
           strstr(error->message, why);
}

bool s3_refusal_is_of_needless_key(const struct http_answer *answer) {
    struct s3_error error;
    parse_error(answer, &error);
    return is_invalid_for(&error, "encryption parameters are not applicable");
}

/* The code by which a refusal is known here. */
static const char *code_of(const struct http_answer *answer, const struct s3_error *error,
                           const struct s3_resource *resource) {
    const char *code =
        error->code[0] ? error->code : code_of_status(answer->status, resource->key != NULL);
    if (resource->customer_key && strcmp(code, "AccessDenied") == 0)
        return "AccessDeniedWithKey";
    if (resource->customer_key && is_invalid_for(error, "hash of the key did not match"))
        return "CustomerKeyWrong";
    if (resource->key && !resource->customer_key && is_invalid_for(error, "Server Side Encryption"))
        return "CustomerKeyMissing";
    return code;
}

static const struct refusal *find_refusal(const char *code, int status) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strcmp(refusals[i].code, code) == 0)
            return &refusals[i];
    return is_status_passing(status) ? &unavailable : &other;
}

/* Writes the resource as policies name it. */
static void write_arn(const struct s3_resource *resource, char *ret, size_t size) {
    const char *key = resource->key ? resource->key : "";
    if (access_point_is(resource->bucket))
        snprintf(ret, size, "%s%s%s", resource->bucket, resource->key ? "/object/" : "", key);
    else
        snprintf(ret, size, "arn:%s:s3:::%s%s%s", partition_of(resource->region)->name,
                 resource->bucket, resource->key ? "/" : "", key);
}

struct word {
    const char *name;
    const char *text;
};

/* Writes `sentence` with each {name} replaced by its word. `words` end with a nameless one. */
static int fill_in(const char *sentence, const struct word *words, struct buf *out) {
    while (*sentence) {
        size_t plain = strcspn(sentence, "{");
        int err = buf_append(out, sentence, plain);
        if (err || sentence[plain] == '\0')
            return err;
        const char *name = sentence + plain + 1;
        size_t len = strcspn(name, "}");
        const struct word *word = words;
        while (word->name && (strlen(word->name) != len || strncmp(word->name, name, len) != 0))
            word++;
        err = buf_append_str(out, word->name ? word->text : "?");
        if (err)
            return err;
        sentence = name + len + 1;
    }
    return 0;
}

int s3_refusal_explain(const struct http_answer *answer, const struct s3_resource *resource,
                       struct fault *fault) {
    struct s3_error error;
    parse_error(answer, &error);
    const char *code =
        error.code[0] ? error.code : code_of_status(answer->status, resource->key != NULL);
    const struct refusal *refusal = find_refusal(code_of(answer, &error, resource), answer->status);
    const char *region = error.region[0] ? error.region : answer->bucket_region;
    const char *key = resource->key ? resource->key : "";
    char arn[FAULT_TEXT_MAX], told[16 + sizeof error.code], said[32 + sizeof error.message] = "";
    write_arn(resource, arn, sizeof arn);
    snprintf(told, sizeof told, "%d%s%s", answer->status, code[0] ? " " : "", code);
    if (error.message[0])
        snprintf(said, sizeof said, " (it says: %s)", error.message);
    const struct word words[] = {
        {"action", resource->action},
        {"resource", arn},
        {"bucket", resource->bucket},
        {"key", key},
        {"mine", resource->region},
        {"region", region},
        {"answer", told},
        {"said", said},
        {NULL, NULL},
    };
    bool placeless = region[0] == '\0' && refusal->without_region;
    struct buf text;
    buf_init(&text, 4 * FAULT_TEXT_MAX);
    int err = fill_in(placeless ? refusal->without_region : refusal->sentence, words, &text);
    const char *sentence = err ? NULL : buf_str(&text);
    fault_set(fault, refusal->err, "%s", sentence ? sentence : told);
    buf_free(&text);
    return refusal->err;
}
