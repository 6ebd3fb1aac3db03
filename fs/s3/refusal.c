#include "refusal.h"

#include <errno.h>
#include <maciefs/access_point.h>
#include <maciefs/partition.h>
#include <maciefs/s3.h>
#include <stdio.h>
#include <string.h>

#define ARN_SIZE 256
#define SENTENCE_MAX (16u << 10) /* before it is cut */

/*
 * {action}, {resource} (as policies name it), {bucket}, {key}, {mine} (the region asked), {region}
 * (the bucket's own), {answer} (status and code), {said} (the server's message, in brackets),
 * {who} (whom the message says that it denies), {kms_key} (the key that it names), {class} (where
 * an object is archived, in brackets), {owner}, {payer} and {customer_key} (what else may be wrong,
 * where the mount leaves that open) are filled in.
 */
#define WRONG_REGION "the bucket {bucket} is in {region}: mount it with -o region={region}"
#define UNKNOWN_REGION                                                                             \
    "the bucket {bucket} is not served where it was asked for, in {mine} ({answer}): give "        \
    "its own region with -o region=, or check -o endpoint="
#define DENIED "S3 denies {action} on {resource}{who}: "
#define KMS_OBJECT "the object {key} in {bucket} is encrypted with {kms_key}"
#define KMS_DENIED                                                                                 \
    S3_KMS_DENIED                                                                                  \
    "{kms_key}{who}, which the object {key} in {bucket} is encrypted with: allow it "              \
    "in the policy of the credentials' user or role, and in the key's own{said}"

/*
 * The first that fits holds. What S3 says of denials: S3 User Guide, "Troubleshoot access denied
 * (403 Forbidden) errors". It says so to callers of the same account or organization; to others all
 * denials are the same.
 */
static const struct refusal {
    const char *code;
    const char *message; /* that has this in it; NULL for any */
    int err;
    const char *sentence;
    const char *without_region; /* where the answer does not tell the bucket's region */
} refusals[] = {
    {"AccessDenied", "kms:Decrypt", -EACCES, KMS_DENIED, NULL},
    {"AccessDenied", "ciphertext refers to a customer master key", -EACCES, KMS_DENIED, NULL},
    {"AccessDenied", "deny in an identity-based policy", -EACCES,
     DENIED "a policy of that user or role denies it explicitly: take this Deny out of it{said}",
     NULL},
    {"AccessDenied", "deny in a resource-based policy", -EACCES,
     DENIED "the bucket's policy denies it explicitly: its owner must leave this user or role out "
            "of that Deny{said}",
     NULL},
    {"AccessDenied", "service control policy", -EACCES,
     DENIED "a service control policy of the organization is against it: ask those who administer "
            "the organization{said}",
     NULL},
    {"AccessDenied", "resource control policy", -EACCES,
     DENIED "a resource control policy of the bucket's organization is against it: ask those who "
            "administer that organization{said}",
     NULL},
    {"AccessDenied", "VPC endpoint policy", -EACCES,
     DENIED "the policy of the VPC endpoint on the way to S3 is against it: allow it there{said}",
     NULL},
    {"AccessDenied", "permissions boundary", -EACCES,
     DENIED "the permissions boundary of that user or role is against it: allow it there too{said}",
     NULL},
    {"AccessDenied", "session policy", -EACCES,
     DENIED "the policy that the session was begun with is against it: begin it with one that "
            "allows it{said}",
     NULL},
    {"AccessDenied", "no identity-based policy allows", -EACCES,
     DENIED "no policy of that user or role allows it: add one that does{said}", NULL},
    {"AccessDenied", "no resource-based policy allows", -EACCES,
     DENIED "the bucket's policy does not allow it: its owner must allow it there{said}", NULL},
    {"AccessDenied", NULL, -EACCES,
     DENIED "allow it in the policy of the credentials' user or role, and in the "
            "bucket's{owner}{payer}{customer_key}{said}",
     NULL},
    {"AllAccessDisabled", NULL, -EACCES,
     "S3 has disabled all access to {bucket}: its owner must ask AWS why", NULL},
    {"InvalidAccessKeyId", NULL, -EACCES,
     "S3 does not know the access key id: check the credentials (profile=, or AWS_ACCESS_KEY_ID), "
     "whether they were deleted, and that they belong to this endpoint",
     NULL},
    {"SignatureDoesNotMatch", NULL, -EACCES,
     "the secret access key does not belong to the access key id: check the credentials "
     "(profile=, or AWS_SECRET_ACCESS_KEY)",
     NULL},
    {"ExpiredToken", NULL, -EACCES,
     "the session of the credentials has expired: renew it (aws sso login, or new keys)", NULL},
    {"TokenRefreshRequired", NULL, -EACCES,
     "the session of the credentials must be renewed (aws sso login, or new keys)", NULL},
    {"InvalidToken", NULL, -EACCES,
     "the session token does not belong to the access key: check the credentials (profile=, or "
     "AWS_SESSION_TOKEN)",
     NULL},
    {"RequestTimeTooSkewed", NULL, -EACCES,
     "this machine's clock is too far from S3's: set it (timedatectl set-ntp true)", NULL},
    {"NoSuchBucket", NULL, -ENOENT,
     "there is no bucket {bucket}: check its name, and that -o endpoint= and the credentials are "
     "those of its owner's partition",
     NULL},
    {"InvalidBucketName", NULL, -EINVAL, "{bucket} cannot be the name of a bucket: check it", NULL},
    {"NoSuchKey", NULL, -ENOENT, "there is no object {key} in {bucket} any more", NULL},
    {"PreconditionFailed", NULL, -ESTALE,
     "the object {key} in {bucket} was overwritten after it was listed: it is read anew when it is "
     "listed again",
     NULL},
    {"InvalidObjectState", NULL, -EACCES,
     "the object {key} in {bucket} is archived{class}: restore it (aws s3api restore-object), and "
     "its events are taken over when that is done",
     NULL},
    {"KMS.DisabledException", NULL, -EACCES,
     KMS_OBJECT ", which is disabled: enable it (aws kms enable-key)", NULL},
    {"KMS.KMSInvalidStateException", NULL, -EACCES,
     KMS_OBJECT ", which is not ready for use: check whether it is to be deleted (aws kms "
                "describe-key, cancel-key-deletion){said}",
     NULL},
    {"KMS.NotFoundException", NULL, -EACCES,
     KMS_OBJECT ", which is not there any more: without it nobody can read the object{said}", NULL},
    {"InvalidArgument", "must be made over a secure connection", -EACCES,
     "S3 decrypts the object {key} in {bucket} with KMS over https alone: give -o endpoint= one "
     "that begins so",
     NULL},
    {"PermanentRedirect", NULL, -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"TemporaryRedirect", NULL, -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"Redirect", NULL, -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"AuthorizationHeaderMalformed", NULL, -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"IllegalLocationConstraintException", NULL, -EINVAL, WRONG_REGION, UNKNOWN_REGION},
    {"SlowDown", NULL, -ENETDOWN, "S3 asks to slow down, again and again ({answer}){said}", NULL},
    {"NoSuchAccessPoint", NULL, -ENOENT,
     "there is no access point {bucket}: check its name, region and account", NULL},
    /* These two are told by more than the code. */
    {"CustomerKeyMissing", NULL, -EACCES,
     "the object {key} in {bucket} is encrypted with a customer's key (SSE-C): give the file that "
     "holds it with -o sse_customer_key=",
     NULL},
    {"CustomerKeyWrong", NULL, -EACCES,
     "the object {key} in {bucket} is encrypted with another key than that of -o "
     "sse_customer_key=: give the file that holds its own",
     NULL},
};

/* Without a signature there is no user whose policy could allow it. */
static const struct refusal unsigned_denied = {
    "AccessDenied", NULL, -EACCES,
    "S3 denies {action} on {resource} to requests that are not signed, as it does where a bucket "
    "is not public: leave out -o no_sign{said}",
    NULL};
static const struct refusal unavailable = {
    "", NULL, -ENETDOWN, "S3 cannot serve {action} on {resource} now ({answer}){said}", NULL};
static const struct refusal kms = {
    "KMS.", NULL, -EACCES,
    KMS_OBJECT ", which KMS does not let be used ({answer}): check the key{said}", NULL};
static const struct refusal other = {"", NULL, -EPROTO,
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

bool s3_refusal_is_of_credentials(const struct http_answer *answer) {
    static const char *const codes[] = {"ExpiredToken", "TokenRefreshRequired", "InvalidToken",
                                        "InvalidAccessKeyId", "SignatureDoesNotMatch"};
    struct s3_error error;
    parse_error(answer, &error);
    return is_among(error.code, codes, sizeof codes / sizeof *codes);
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
    if (resource->customer_key && is_invalid_for(error, "hash of the key did not match"))
        return "CustomerKeyWrong";
    if (resource->key && !resource->customer_key &&
        is_invalid_for(error, "Server Side Encryption") && !strstr(error->message, "KMS"))
        return "CustomerKeyMissing";
    return code;
}

static const struct refusal *find_refusal(const char *code, const char *message, int status) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *refusal = &refusals[i];
        if (strcmp(refusal->code, code) == 0 &&
            (!refusal->message || strstr(message, refusal->message)))
            return refusal;
    }
    if (strncmp(code, kms.code, strlen(kms.code)) == 0)
        return &kms;
    return is_status_passing(status) ? &unavailable : &other;
}

int s3_resource_arn(const char *region, const char *bucket, const char *key, struct buf *out) {
    bool named_so = access_point_is(bucket);
    const char *in_it = named_so ? "/object/" : "/";
    int err = named_so ? 0 : buf_printf(out, "arn:%s:s3:::", partition_of(region)->name);
    return err ? err : buf_printf(out, "%s%s%s", bucket, key ? in_it : "", key ? key : "");
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

/* What a sentence's words are made of. */
struct phrases {
    char told[16 + sizeof((struct s3_error *)0)->code];
    char said[32 + sizeof((struct s3_error *)0)->message];
    char who[ARN_SIZE + 16];
    char kms_key[ARN_SIZE];
    char class[80];
    char owner[128];
    const char *payer, *customer_key;
    struct buf arn;
};

/* Cuts out the word that `at` begins with; "" for NULL. */
static void copy_word(const char *at, char *ret, size_t size) {
    at = at ? at : "";
    snprintf(ret, size, "%.*s", (int)strcspn(at, " \""), at);
}

/* "User: ARN is not authorized to perform: ACTION on resource: ARN because …" */
static void find_parties(const char *message, struct phrases *ret) {
    static const char user[] = "User: ";
    char arn[ARN_SIZE];
    const char *who = strstr(message, user);
    copy_word(who ? who + strlen(user) : NULL, arn, sizeof arn);
    snprintf(ret->who, sizeof ret->who, "%s%s", arn[0] ? " to " : "", arn);
    const char *key = strstr(message, ":kms:");
    while (key && key > message && !strchr(" \"", key[-1]))
        key--;
    if (key)
        copy_word(key, ret->kms_key, sizeof ret->kms_key);
    else
        snprintf(ret->kms_key, sizeof ret->kms_key, "a key of KMS");
}

static void tell_class(const struct s3_error *error, char *ret, size_t size) {
    const char *class = error->storage_class, *tier = error->access_tier;
    bool any = class[0] || tier[0];
    snprintf(ret, size, "%s%s%s%s%s", any ? " (" : "", class, class[0] && tier[0] ? ", " : "", tier,
             any ? ")" : "");
}

/* What else is answered by a plain denial: a bucket of another owner, nobody named who pays, and a
 * customer's key that is not the object's. */
static void tell_doubts(const struct s3_resource *resource, struct phrases *ret) {
    const char *owner = resource->expected_owner;
    snprintf(ret->owner, sizeof ret->owner, "%s%s%s", owner ? "; if account " : "",
             owner ? owner : "",
             owner ? " does not own the bucket, mend -o expected_bucket_owner=" : "");
    ret->payer = resource->requester_pays
                     ? ""
                     : "; if the bucket has requesters pay, mount with -o requester_pays";
    ret->customer_key =
        resource->customer_key
            ? "; check that -o sse_customer_key= has the key that it is encrypted with"
            : "";
}

static int find_phrases(const struct s3_error *error, const char *code, int status,
                        const struct s3_resource *resource, struct phrases *ret) {
    *ret = (struct phrases){.said = ""};
    snprintf(ret->told, sizeof ret->told, "%d%s%s", status, code[0] ? " " : "", code);
    if (error->message[0])
        snprintf(ret->said, sizeof ret->said, " (it says: %s)", error->message);
    find_parties(error->message, ret);
    tell_class(error, ret->class, sizeof ret->class);
    tell_doubts(resource, ret);
    buf_init(&ret->arn, SENTENCE_MAX);
    int err = s3_resource_arn(resource->region, resource->bucket, resource->key, &ret->arn);
    return err || buf_str(&ret->arn) ? err : -ENOMEM;
}

/* Without memory, status and code alone are told. */
static void tell(const struct refusal *refusal, const struct phrases *phrases,
                 const struct s3_resource *resource, const char *region, struct fault *fault) {
    const struct word words[] = {
        {"action", resource->action},
        {"resource", (const char *)phrases->arn.at},
        {"bucket", resource->bucket},
        {"key", resource->key ? resource->key : ""},
        {"mine", resource->region},
        {"region", region},
        {"answer", phrases->told},
        {"said", phrases->said},
        {"who", phrases->who},
        {"kms_key", phrases->kms_key},
        {"class", phrases->class},
        {"owner", phrases->owner},
        {"payer", phrases->payer},
        {"customer_key", phrases->customer_key},
        {NULL, NULL},
    };
    bool placeless = region[0] == '\0' && refusal->without_region;
    struct buf text;
    buf_init(&text, SENTENCE_MAX);
    int err = fill_in(placeless ? refusal->without_region : refusal->sentence, words, &text);
    const char *sentence = err ? NULL : buf_str(&text);
    fault_set(fault, refusal->err, "%s", sentence ? sentence : phrases->told);
    buf_free(&text);
}

int s3_refusal_explain(const struct http_answer *answer, const struct s3_resource *resource,
                       struct fault *fault) {
    struct s3_error error;
    struct phrases phrases;
    parse_error(answer, &error);
    const char *told =
        error.code[0] ? error.code : code_of_status(answer->status, resource->key != NULL);
    const char *code = code_of(answer, &error, resource);
    bool denied = strcmp(code, "AccessDenied") == 0;
    const struct refusal *refusal = denied && !resource->is_signed
                                        ? &unsigned_denied
                                        : find_refusal(code, error.message, answer->status);
    if (find_phrases(&error, told, answer->status, resource, &phrases) == 0)
        tell(refusal, &phrases, resource, error.region[0] ? error.region : answer->bucket_region,
             fault);
    else
        fault_set(fault, refusal->err, "%s", phrases.told);
    buf_free(&phrases.arn);
    if (fault)
        fault->denied = denied && resource->is_signed;
    return refusal->err;
}
