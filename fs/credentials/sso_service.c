#include "sso.h"

#include <errno.h>
#include <maciefs/partition.h>
#include <maciefs/server_clock.h>
#include <maciefs/service_url.h>
#include <maciefs/uri.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX_LEN (8u << 10)
#define TEXT_MAX (128u << 10) /* a token's header, or a question with three texts of a file */
#define ANSWER_MAX (64u << 10)

static const struct service portal = {"portal.sso", "AWS_ENDPOINT_URL_SSO"};
static const struct service oidc = {"oidc", "AWS_ENDPOINT_URL_SSO_OIDC"};

static int out_of_memory(const struct sso_settings *settings, struct fault *fault) {
    return fault_set(fault, -ENOMEM, "no memory to sign profile '%s' in", settings->profile);
}

/* --- Where to ask ----------------------------------------------------------------------------- */

static int append_named(const char *named, const char *from, struct buf *url, struct fault *fault) {
    if (!service_url_is_valid(named))
        return fault_set(fault, -EINVAL, "%s is no address: give it as http[s]://HOST[:PORT]",
                         from);
    size_t len = strlen(named);
    while (named[len - 1] == '/')
        len--;
    return buf_append(url, named, len);
}

static int append_regions(const struct sso_settings *settings, const struct service *service,
                          struct buf *url, struct fault *fault) {
    struct address_kind kind;
    if (!region_is_valid(settings->region))
        return fault_set(fault, -EINVAL,
                         "profile '%s' signs in with sso_region = %s, which is no region: it is "
                         "written as eu-west-1",
                         settings->profile, settings->region);
    int err = profile_address_kind(settings->profile, &kind, fault);
    if (err)
        return err;
    char *origin = service_url_in(service, settings->region, &kind);
    err = origin ? buf_append_str(url, origin) : -ENOMEM;
    free(origin);
    return err;
}

/* Appends the service's origin: the user's, or the region's. */
static int append_origin(const struct sso_settings *settings, const struct service *service,
                         struct buf *url, struct fault *fault) {
    const char *from;
    char *named = NULL;
    int err = service_url_named(service, settings->profile, &from, &named, fault);
    if (err == -ENOENT)
        return append_regions(settings, service, url, fault);
    if (!err)
        err = append_named(named, from, url, fault);
    free(named);
    return err;
}

static int append_field(struct buf *url, const char *name, const char *value) {
    int err = buf_append_str(url, name);
    return err ? err : uri_encode(url, value, strlen(value), false);
}

static int make_role_url(const struct sso_settings *settings, struct buf *url,
                         struct fault *fault) {
    int err = append_origin(settings, &portal, url, fault);
    if (!err)
        err = append_field(url, "/federation/credentials?role_name=", settings->role_name);
    if (!err)
        err = append_field(url, "&account_id=", settings->account_id);
    if (err == -EMSGSIZE)
        return fault_set(fault, -EINVAL, "profile '%s' has an sso_role_name that is too long",
                         settings->profile);
    return err;
}

/* --- The exchange ----------------------------------------------------------------------------- */

/* What may pass is one thing to callers. */
static int explain_failure(const struct sso_settings *settings, int err, const struct fault *why,
                           struct fault *fault) {
    if (err == -ETIMEDOUT || err == -ECONNRESET)
        err = -ENETDOWN;
    if (err == -EMSGSIZE)
        return fault_set(fault, -EPROTO,
                         "profile '%s' cannot be signed in: the answer is too long: check "
                         "sso_region, AWS_ENDPOINT_URL_SSO and AWS_ENDPOINT_URL_SSO_OIDC",
                         settings->profile);
    return fault_set(fault, err, "profile '%s' cannot be signed in: %s", settings->profile,
                     why->text);
}

/* `line`: a header; `question`: what is posted, or NULL to get. */
static int exchange(const struct sso_settings *settings, const struct credentials_network *network,
                    struct buf *url, struct buf *line, struct buf *question, struct buf *body,
                    struct http_answer *answer, struct fault *fault) {
    const char *headers[] = {buf_str(line), NULL};
    const struct http_request request = {.method = question ? "POST" : "GET",
                                         .url = buf_str(url),
                                         .headers = headers,
                                         .body = question ? buf_str(question) : NULL};
    struct fault why = {.text = ""};
    if (!headers[0] || !request.url || (question && !request.body))
        return out_of_memory(settings, fault);
    int err = http_send(network->aws, &request, buf_sink, body, answer, &why);
    return err ? explain_failure(settings, err, &why, fault) : 0;
}

static bool passes(int status) {
    return status == 408 || status == 429 || (status / 100 == 5 && status != 501 && status != 505);
}

static int explain_status(const struct sso_settings *settings, int status, struct fault *fault) {
    if (passes(status))
        return fault_set(fault, -ENETDOWN,
                         "profile '%s' cannot be signed in: IAM Identity Center cannot serve now "
                         "(%d); it is asked again later",
                         settings->profile, status);
    return fault_set(fault, -EACCES,
                     "profile '%s' cannot be signed in: IAM Identity Center refuses (%d): check "
                     "the profile's sso_ settings, and run %s",
                     settings->profile, status, settings->login);
}

static int explain_answer(const struct sso_settings *settings, int err, struct fault *fault) {
    if (err == -ENOMEM)
        return out_of_memory(settings, fault);
    return fault_set(fault, err,
                     "profile '%s' cannot be signed in: the answer is none of IAM Identity "
                     "Center's: check sso_region, AWS_ENDPOINT_URL_SSO and "
                     "AWS_ENDPOINT_URL_SSO_OIDC",
                     settings->profile);
}

/* --- Credentials ------------------------------------------------------------------------------ */

static int explain_role_refusal(const struct sso_settings *settings, int status,
                                struct fault *fault) {
    if (status == 401)
        return fault_set(fault, -EACCES,
                         "profile '%s' is no longer signed in to IAM Identity Center: run %s",
                         settings->profile, settings->login);
    if (status == 403 || status == 404)
        return fault_set(fault, -EACCES,
                         "profile '%s' may not use role %s in account %s: check sso_role_name and "
                         "sso_account_id, and that IAM Identity Center assigns them to who signed "
                         "in",
                         settings->profile, settings->role_name, settings->account_id);
    return explain_status(settings, status, fault);
}

static int ask_role(const struct sso_settings *settings, const struct credentials_network *network,
                    struct buf *url, struct buf *line, struct credentials *ret,
                    struct fault *fault) {
    struct http_answer answer = {0};
    struct buf body;
    buf_init_secret(&body, ANSWER_MAX);
    int err = exchange(settings, network, url, line, NULL, &body, &answer, fault);
    if (!err && answer.status / 100 != 2)
        err = explain_role_refusal(settings, answer.status, fault);
    else if (!err && (err = sso_credentials_parse((const char *)body.at, body.len, ret)))
        err = explain_answer(settings, err, fault);
    buf_free_secret(&answer.error_body);
    buf_free_secret(&body);
    return err;
}

int sso_role_credentials(const struct sso_settings *settings,
                         const struct credentials_network *network, const char *access_token,
                         struct credentials *ret, struct fault *fault) {
    struct buf url, line;
    buf_init(&url, URL_MAX_LEN);
    buf_init_secret(&line, TEXT_MAX);
    int err = make_role_url(settings, &url, fault);
    if (!err)
        err = buf_append_str(&line, "x-amz-sso_bearer_token: ");
    if (!err)
        err = buf_append_str(&line, access_token);
    if (err == -ENOMEM)
        out_of_memory(settings, fault);
    if (!err)
        err = ask_role(settings, network, &url, &line, ret, fault);
    buf_free(&url);
    buf_free_secret(&line);
    return err;
}

/* --- Tokens ----------------------------------------------------------------------------------- */

/* Some of what passes comes with status 400. */
static int explain_token_refusal(const struct sso_settings *settings,
                                 const struct http_answer *answer, struct fault *fault) {
    char code[SSO_ERROR_MAX];
    sso_error_parse((const char *)answer->error_body.at, answer->error_body.len, code);
    int status = strcmp(code, "slow_down") == 0 ? 429 : answer->status;
    if (passes(status))
        return explain_status(settings, status, fault);
    return fault_set(fault, -EACCES,
                     "profile '%s' is no longer signed in to IAM Identity Center, which does not "
                     "renew its token (%d): run %s",
                     settings->profile, status, settings->login);
}

static int ask_token(const struct sso_settings *settings, const struct credentials_network *network,
                     struct buf *url, struct buf *question, struct sso_token *ret,
                     struct fault *fault) {
    struct http_answer answer = {0};
    struct buf line, body;
    buf_init(&line, URL_MAX_LEN);
    buf_init_secret(&body, ANSWER_MAX);
    int err = buf_append_str(&line, "content-type: application/json");
    if (err)
        return out_of_memory(settings, fault);
    err = exchange(settings, network, url, &line, question, &body, &answer, fault);
    if (!err && answer.status / 100 != 2)
        err = explain_token_refusal(settings, &answer, fault);
    else if (!err && (err = sso_created_parse((const char *)body.at, body.len,
                                              server_clock_now(network->clock), ret)))
        err = explain_answer(settings, err, fault);
    buf_free(&line);
    buf_free_secret(&answer.error_body);
    buf_free_secret(&body);
    return err;
}

int sso_create_token(const struct sso_settings *settings, const struct credentials_network *network,
                     const struct sso_token *old, struct sso_token *ret, struct fault *fault) {
    struct buf url, question;
    buf_init(&url, URL_MAX_LEN);
    buf_init_secret(&question, TEXT_MAX);
    int err = append_origin(settings, &oidc, &url, fault);
    if (!err)
        err = buf_append_str(&url, "/token");
    if (!err)
        err = sso_refresh_write(old, &question);
    if (err == -ENOMEM || err == -EMSGSIZE)
        err = out_of_memory(settings, fault);
    if (!err)
        err = ask_token(settings, network, &url, &question, ret, fault);
    buf_free(&url);
    buf_free_secret(&question);
    return err;
}
