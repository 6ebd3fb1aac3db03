#include "sts.h"

#include <curl/curl.h>
#include <errno.h>
#include <maciefs/partition.h>
#include <maciefs/server_clock.h>
#include <maciefs/service_url.h>
#include <maciefs/sigv4.h>
#include <maciefs/uri.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_REGION "us-east-1"
#define BODY_MAX (256u << 10)  /* a token of 64 KiB, encoded, and the rest of the form */
#define ANSWER_MAX (64u << 10) /* one has some 2 KiB */
#define LINE_MAX_LEN (4u << 10)
#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"
#define SHA256_LEN 32

static const struct service sts = {"sts", "AWS_ENDPOINT_URL_STS"};

/* Where STS is. */
struct target {
    char *url;
    char *host; /* with the port, where the URL has one */
    char *path;
};

static const char *region_of(const struct sts_call *call) {
    return call->role->region ? call->role->region : DEFAULT_REGION;
}

static int refuse_target(const struct sts_call *call, const char *url, struct fault *fault) {
    return fault_set(fault, -EINVAL,
                     "role %s cannot be assumed: '%s' is no address of STS: give it as "
                     "http[s]://HOST[:PORT] (AWS_ENDPOINT_URL_STS), and check the region",
                     call->role->role_arn, url);
}

static int out_of_memory(const struct sts_call *call, struct fault *fault) {
    return fault_set(fault, -ENOMEM, "role %s cannot be assumed: memory is exhausted",
                     call->role->role_arn);
}

static void target_clear(struct target *target) {
    free(target->url);
    free(target->host);
    free(target->path);
}

static char *part_of(CURLU *url, CURLUPart part) {
    char *found = NULL, *copy = NULL;
    if (curl_url_get(url, part, &found, 0) == CURLUE_OK)
        copy = strdup(found);
    curl_free(found);
    return copy;
}

/* Host and path of a URL that was checked. Returns 0 or -ENOMEM. */
static int take_parts(CURLU *url, struct target *target) {
    char *host = part_of(url, CURLUPART_HOST), *port = part_of(url, CURLUPART_PORT);
    target->path = part_of(url, CURLUPART_PATH);
    if (!host || asprintf(&target->host, "%s%s%s", host, port ? ":" : "", port ? port : "") < 0)
        target->host = NULL;
    free(host);
    free(port);
    return target->host && target->path ? 0 : -ENOMEM;
}

static int split_url(const struct sts_call *call, struct target *target, struct fault *fault) {
    CURLU *url = curl_url();
    if (!url)
        return out_of_memory(call, fault);
    int err;
    if (!service_url_is_valid(target->url) ||
        curl_url_set(url, CURLUPART_URL, target->url, CURLU_PATH_AS_IS) != CURLUE_OK)
        err = refuse_target(call, target->url, fault);
    else if ((err = take_parts(url, target)))
        out_of_memory(call, fault);
    curl_url_cleanup(url);
    return err;
}

static int regions_url(const struct sts_call *call, char **ret, struct fault *fault) {
    struct address_kind kind;
    int err = profile_address_kind(call->role->profile, &kind, fault);
    if (err)
        return err;
    *ret = service_url_in(&sts, region_of(call), &kind);
    return *ret ? 0 : out_of_memory(call, fault);
}

/* The URL: the role's own, the user's, or the region's. */
static int find_url(const struct sts_call *call, char **ret, struct fault *fault) {
    const char *given = call->role->sts_endpoint, *from;
    if (given && *given) {
        *ret = strdup(given);
        return *ret ? 0 : out_of_memory(call, fault);
    }
    int err = service_url_named(&sts, call->role->profile, &from, ret, fault);
    return err == -ENOENT ? regions_url(call, ret, fault) : err;
}

static int find_target(const struct sts_call *call, struct target *ret, struct fault *fault) {
    if (!region_is_valid(region_of(call)))
        return fault_set(fault, -EINVAL,
                         "role %s cannot be assumed in '%s', which is no region: it is written as "
                         "eu-west-1",
                         call->role->role_arn, region_of(call));
    struct target target = {0};
    int err = find_url(call, &target.url, fault);
    if (!err)
        err = split_url(call, &target, fault);
    if (err)
        target_clear(&target);
    else
        *ret = target;
    return err;
}

/* Appends "&name=value". A value that is NULL is left out. */
static int add_field(struct buf *form, const char *name, const char *value) {
    if (!value)
        return 0;
    int err = buf_printf(form, "&%s=", name);
    return err ? err : uri_encode(form, value, strlen(value), false);
}

static int write_form(const struct sts_call *call, const char *action, struct buf *form) {
    const struct credentials_role *role = call->role;
    char made[32];
    snprintf(made, sizeof made, "maciefs-%lld", (long long)server_clock_now(call->network->clock));
    int err = buf_printf(form, "Action=%s&Version=2011-06-15", action);
    if (!err)
        err = add_field(form, "RoleArn", role->role_arn);
    if (!err)
        err = add_field(form, "RoleSessionName", role->session_name ? role->session_name : made);
    if (!err && role->duration_s)
        err = buf_printf(form, "&DurationSeconds=%u", role->duration_s);
    return err;
}

static int hash_hex(const struct buf *body, char ret[2 * SHA256_LEN + 1]) {
    uint8_t digest[SHA256_LEN];
    if (!EVP_Digest(body->at, body->len, digest, NULL, EVP_sha256(), NULL))
        return -EIO;
    for (size_t i = 0; i < SHA256_LEN; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int sign(const struct sts_call *call, const struct target *target, const struct buf *form,
                const struct credentials *source, struct sigv4_signed *ret) {
    const struct sigv4_header headers[] = {{"content-type", CONTENT_TYPE}, {"host", target->host}};
    char hash[2 * SHA256_LEN + 1];
    int err = hash_hex(form, hash);
    if (err)
        return err;
    const struct sigv4_request request = {.method = "POST",
                                          .path = target->path,
                                          .query = "",
                                          .headers = headers,
                                          .header_count = sizeof headers / sizeof *headers,
                                          .payload_sha256 = hash,
                                          .region = region_of(call),
                                          .service = "sts",
                                          .now = (time_t)server_clock_now(call->network->clock),
                                          .encode_path_twice = true,
                                          .omit_content_sha256 = true};
    return sigv4_sign(&request, source, ret);
}

/* `lines`: the signature's, or a zeroed one. */
static int post(const struct sts_call *call, const struct target *target, struct buf *form,
                struct sigv4_signed *lines, struct buf *body, struct http_answer *answer,
                struct fault *fault) {
    struct buf host;
    buf_init(&host, LINE_MAX_LEN);
    const char *text = buf_str(form);
    if (!text || buf_printf(&host, "host: %s", target->host) || !buf_str(&host)) {
        buf_free(&host);
        return out_of_memory(call, fault);
    }
    const char *headers[6] = {buf_str(&host), "content-type: " CONTENT_TYPE};
    size_t count = 2;
    if (lines->authorization.len) {
        headers[count++] = buf_str(&lines->amz_date);
        headers[count++] = buf_str(&lines->authorization);
    }
    if (lines->security_token.len)
        headers[count++] = buf_str(&lines->security_token);
    const struct http_request request = {
        .method = "POST", .url = target->url, .headers = headers, .body = text};
    int err = http_send(call->network->aws, &request, buf_sink, body, answer, fault);
    buf_free(&host);
    return err;
}

/* What is not to be read as STS's refusal, and may pass, is one thing to callers. */
static int explain_failure(const struct sts_call *call, int err, const struct fault *why,
                           struct fault *fault) {
    if (err == -ETIMEDOUT || err == -ECONNRESET)
        err = -ENETDOWN;
    else if (err == -EMSGSIZE)
        err = -EPROTO;
    return fault_set(fault, err, "role %s cannot be assumed: %s", call->role->role_arn, why->text);
}

static const struct refusal {
    const char *code;
    int err;
    const char *advice;
} refusals[] = {
    {"AccessDenied", -EACCES,
     "allow sts:AssumeRole on it for whoever asks, and let the role trust them"},
    {"ExpiredToken", -EACCES,
     "renew the session of the credentials that ask for it (aws sso login, or new keys)"},
    {"ExpiredTokenException", -EACCES,
     "the token is too old: whatever writes its file must renew it, and this machine's clock must "
     "be right"},
    {"InvalidIdentityToken", -EACCES,
     "check that the file holds the token of an issuer that is set up in IAM, and its audience"},
    {"IDPRejectedClaim", -EACCES, "check the token with its issuer"},
    {"IDPCommunicationError", -ENETDOWN, "the token's issuer cannot be reached by AWS now"},
    {"InvalidClientTokenId", -EACCES,
     "check the credentials that ask for it, and that they belong to this region's partition"},
    {"UnrecognizedClientException", -EACCES, "check the credentials that ask for it"},
    {"SignatureDoesNotMatch", -EACCES,
     "check the secret access key of the credentials that ask for it, and this machine's clock "
     "(timedatectl set-ntp true)"},
    {"RequestExpired", -EACCES, "set this machine's clock (timedatectl set-ntp true)"},
    {"RequestInTheFuture", -EACCES, "set this machine's clock (timedatectl set-ntp true)"},
    {"RegionDisabledException", -EACCES,
     "enable STS in this region (IAM, account settings), or choose another with region="},
    {"ValidationError", -EACCES,
     "check role_arn, role_session_name, external_id and duration_seconds"},
    {"Throttling", -ENETDOWN, "STS asks to slow down; it is asked again later"},
    {"ThrottlingException", -ENETDOWN, "STS asks to slow down; it is asked again later"},
    {"RequestLimitExceeded", -ENETDOWN, "STS asks to slow down; it is asked again later"},
};

/* Where the code tells nothing: by the status, which may be a proxy's. */
static const struct refusal unavailable = {"", -ENETDOWN,
                                           "STS cannot serve now; it is asked again later"};
static const struct refusal other = {"", -EACCES, "check the role and who asks for it"};

static const struct refusal *find_refusal(const char *code, int status) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strcmp(refusals[i].code, code) == 0)
            return &refusals[i];
    bool passes =
        status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
    return passes ? &unavailable : &other;
}

/* A web identity needs no permission, only trust. */
static const char *advice_of(const struct refusal *refusal, bool is_signed) {
    if (!is_signed && strcmp(refusal->code, "AccessDenied") == 0)
        return "let the role trust the token's issuer, for its audience and subject";
    return refusal->advice;
}

static int explain_refusal(const struct sts_call *call, const struct http_answer *answer,
                           bool is_signed, struct fault *fault) {
    struct sts_error error;
    char status[32];
    sts_error_parse(answer->error_body.at, answer->error_body.len, &error);
    const struct refusal *refusal = find_refusal(error.code, answer->status);
    snprintf(status, sizeof status, "status %d", answer->status);
    return fault_set(fault, refusal->err, "role %s cannot be assumed: %s%s%s: %s",
                     call->role->role_arn, error.code[0] ? error.code : status,
                     error.message[0] ? ": " : "", error.message, advice_of(refusal, is_signed));
}

static int read_answer(const struct sts_call *call, const struct buf *body, struct credentials *ret,
                       struct fault *fault) {
    int err = sts_credentials_parse(body->at, body->len, ret);
    if (err == -ENOMEM)
        return out_of_memory(call, fault);
    return err ? fault_set(fault, err,
                           "role %s cannot be assumed: the answer holds no credentials: check the "
                           "endpoint of STS (AWS_ENDPOINT_URL_STS)",
                           call->role->role_arn)
               : 0;
}

/* What refusals of a wrong date are called, among other reasons; as AWS's SDKs have it. */
static bool is_of_clock(const struct http_answer *answer) {
    static const char *const codes[] = {"SignatureDoesNotMatch", "InvalidSignatureException",
                                        "RequestExpired",        "RequestInTheFuture",
                                        "RequestTimeTooSkewed",  "AuthFailure"};
    struct sts_error error;
    sts_error_parse(answer->error_body.at, answer->error_body.len, &error);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(error.code, codes[i]) == 0)
            return true;
    return false;
}

/* One request. */
struct attempt {
    const struct sts_call *call;
    const struct target *target;
    struct buf *form;
    const struct credentials *source; /* NULL: it is not signed */
    int64_t clock_ahead;              /* by which it was dated */
    bool dated_wrong;                 /* which is why it was refused */
};

/* `lines`: the signature's, or a zeroed one. */
static int ask(struct attempt *attempt, struct sigv4_signed *lines, struct credentials *ret,
               struct fault *fault) {
    const struct sts_call *call = attempt->call;
    struct http_answer answer = {0};
    struct fault why = {.text = ""};
    struct buf body;
    buf_init_secret(&body, ANSWER_MAX);
    int err = post(call, attempt->target, attempt->form, lines, &body, &answer, &why);
    /* Who grants tells the time by which that ends. */
    bool off = server_clock_follow(call->network->clock, attempt->clock_ahead, answer.date);
    attempt->dated_wrong = off && is_of_clock(&answer);
    if (err)
        err = explain_failure(call, err, &why, fault);
    else if (answer.status / 100 != 2)
        err = explain_refusal(call, &answer, lines->authorization.len > 0, fault);
    else
        err = read_answer(call, &body, ret, fault);
    buf_free(&answer.error_body);
    buf_free_secret(&body);
    return err;
}

static int try_once(struct attempt *attempt, struct credentials *ret, struct fault *fault) {
    const struct sts_call *call = attempt->call;
    struct sigv4_signed lines = {0};
    int err = 0;
    attempt->dated_wrong = false;
    attempt->clock_ahead = server_clock_ahead(call->network->clock);
    if (attempt->source &&
        (err = sign(call, attempt->target, attempt->form, attempt->source, &lines)))
        fault_set(fault, err, "role %s cannot be assumed: the request cannot be signed: %s",
                  call->role->role_arn, strerrordesc_np(-err));
    if (!err)
        err = ask(attempt, &lines, ret, fault);
    sigv4_free(&lines);
    return err;
}

/* Signs where there is a source. */
static int send_form(const struct sts_call *call, struct buf *form,
                     const struct credentials *source, struct credentials *ret,
                     struct fault *fault) {
    struct target target = {0};
    struct attempt attempt = {.call = call, .target = &target, .form = form, .source = source};
    int err = find_target(call, &target, fault);
    if (err)
        return err;
    err = try_once(&attempt, ret, fault);
    if (attempt.dated_wrong)
        err = try_once(&attempt, ret, fault);
    target_clear(&target);
    return err;
}

static int refuse_form(const struct sts_call *call, int err, struct fault *fault) {
    if (err == -ENOMEM)
        return out_of_memory(call, fault);
    return fault_set(fault, -EINVAL, "role %s cannot be assumed: its settings are too long",
                     call->role->role_arn);
}

int sts_assume_role(const struct sts_call *call, const struct credentials *source,
                    struct credentials *ret, struct fault *fault) {
    struct buf form;
    buf_init_secret(&form, BODY_MAX);
    int err = write_form(call, "AssumeRole", &form);
    if (!err)
        err = add_field(&form, "ExternalId", call->role->external_id);
    err = err ? refuse_form(call, err, fault) : send_form(call, &form, source, ret, fault);
    buf_free_secret(&form);
    return err;
}

int sts_assume_role_with_web_identity(const struct sts_call *call, const struct buf *token,
                                      struct credentials *ret, struct fault *fault) {
    struct buf form;
    buf_init_secret(&form, BODY_MAX);
    int err = write_form(call, "AssumeRoleWithWebIdentity", &form);
    if (!err)
        err = buf_append_str(&form, "&WebIdentityToken=");
    if (!err)
        err = uri_encode(&form, (const char *)token->at, token->len, false);
    err = err ? refuse_form(call, err, fault) : send_form(call, &form, NULL, ret, fault);
    buf_free_secret(&form);
    return err;
}

static bool copy_text(const char *from, const char **ret) {
    *ret = from ? strdup(from) : NULL;
    return *ret || !from;
}

int sts_role_copy(const struct credentials_role *from, struct credentials_role *ret) {
    struct credentials_role copy = {.duration_s = from->duration_s};
    if (!copy_text(from->role_arn, &copy.role_arn) ||
        !copy_text(from->session_name, &copy.session_name) ||
        !copy_text(from->external_id, &copy.external_id) ||
        !copy_text(from->sts_endpoint, &copy.sts_endpoint) ||
        !copy_text(from->region, &copy.region) || !copy_text(from->profile, &copy.profile)) {
        sts_role_clear(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void sts_role_clear(struct credentials_role *role) {
    free((char *)role->role_arn);
    free((char *)role->session_name);
    free((char *)role->external_id);
    free((char *)role->sts_endpoint);
    free((char *)role->region);
    free((char *)role->profile);
    *role = (struct credentials_role){0};
}
