#include "credentials_json.h"
#include "token_file.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <maciefs/server_clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECS_HOST "http://169.254.170.2"

struct container {
    struct credentials_provider base;
    const struct credentials_network *network;
};

static const char *non_empty_env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* --- Where to ask ----------------------------------------------------------------------------- */

/* Hosts that only this machine and its host can be: to others a token goes over TLS alone. */
static bool is_near(const char *host) {
    static const char *const hosts[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strcasecmp(host, hosts[i]) == 0)
            return true;
    struct in_addr address;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static bool is_safe(const char *text) {
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL;
    bool safe = url && curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                (strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && is_near(host)));
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(url);
    return safe;
}

/* The address that the environment names; -ENOENT where it names none. */
static int find_url(char **ret, struct fault *fault) {
    const char *relative = non_empty_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = non_empty_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!relative && !full)
        return -ENOENT;
    if (asprintf(ret, "%s%s", relative ? ECS_HOST : "", relative ? relative : full) < 0)
        return fault_set(fault, -ENOMEM, "no memory for credentials");
    if (is_safe(*ret))
        return 0;
    free(*ret);
    return fault_set(fault, -EACCES,
                     "%s is no address that credentials may be asked of: it must be https, or "
                     "http to this machine or its container host",
                     relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
                              : "AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

/* --- The token -------------------------------------------------------------------------------- */

static int append_token(struct buf *line, struct fault *fault) {
    static const char variable[] = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    const char *path = non_empty_env(variable);
    const char *token = non_empty_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (path)
        return token_file_read(path, variable, line, fault);
    return token ? buf_append_str(line, token) : 0;
}

static bool has_control_character(const struct buf *line) {
    for (size_t i = 0; i < line->len; i++)
        if (line->at[i] < ' ' || line->at[i] == 0x7f)
            return true;
    return false;
}

/* The header line; without a token it is empty. */
static int make_line(struct buf *line, struct fault *fault) {
    static const char name[] = "Authorization: ";
    int err = buf_append_str(line, name);
    if (!err)
        err = append_token(line, fault);
    if (err)
        return err == -ENOMEM ? fault_set(fault, err, "no memory for credentials") : err;
    if (line->len == strlen(name))
        line->len = 0;
    if (has_control_character(line))
        return fault_set(fault, -EACCES,
                         "the container's authorization token has a line end or another control "
                         "character in it");
    return buf_str(line) ? 0 : fault_set(fault, -ENOMEM, "no memory for credentials");
}

/* --- The answer ------------------------------------------------------------------------------- */

static int read_answer(const struct http_answer *answer, const struct buf *body,
                       struct credentials *ret, struct fault *fault) {
    if (answer->status / 100 != 2)
        return fault_set(fault, answer->status / 100 == 5 ? -ENETDOWN : -EACCES,
                         "the container's credentials service refuses (%d): check the task's or "
                         "pod's role, and its authorization token",
                         answer->status);
    int err = credentials_json_parse((const char *)body->at, body->len, ret);
    return err ? fault_set(fault, err == -ENOMEM ? err : -EACCES,
                           "the container's credentials service answers what are no credentials")
               : 0;
}

static int ask(const struct container *container, const char *url, const struct buf *line,
               struct credentials *ret, struct fault *fault) {
    const char *headers[2] = {line->len ? (const char *)line->at : NULL};
    struct http_answer answer = {0};
    struct server_clock *clock = container->network->clock;
    struct buf body;
    buf_init_secret(&body, CREDENTIALS_JSON_MAX);
    int err = http_get(container->network->host, url, headers, buf_sink, &body, &answer, fault);
    server_clock_follow(clock, server_clock_ahead(clock), answer.date);
    if (!err)
        err = read_answer(&answer, &body, ret, fault);
    buf_free(&answer.error_body);
    buf_free_secret(&body);
    return err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    char *url;
    int err = find_url(&url, fault);
    if (err)
        return err;
    struct buf line;
    buf_init_secret(&line, TOKEN_FILE_MAX);
    err = make_line(&line, fault);
    if (!err)
        err = ask((struct container *)base, url, &line, ret, fault);
    buf_free_secret(&line);
    free(url);
    return err;
}

static void free_provider(struct credentials_provider *base) {
    free(base);
}

struct credentials_provider *credentials_container_new(const struct credentials_network *network) {
    struct container *container = calloc(1, sizeof *container);
    if (!container)
        return NULL;
    container->base = (struct credentials_provider){
        .name = "the container's service", .get = get, .free = free_provider};
    container->network = network;
    return &container->base;
}
