#include "proxy.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What libcurl can be told, and the port of each where the URL names none. */
static const struct scheme {
    const char *name;
    unsigned port;
} schemes[] = {{"http", 80},      {"https", 443},   {"socks4", 1080},
               {"socks4a", 1080}, {"socks5", 1080}, {"socks5h", 1080}};

/* The first of the variables that is set. */
static const char *find_variable(const char *url, const char **ret_variable) {
    static const char *const variables[][4] = {
        {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"},
        {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}};
    bool tls = strncasecmp(url, "https:", 6) == 0;
    for (size_t i = 0; i < 4; i++) {
        *ret_variable = variables[tls][i];
        const char *value = getenv(*ret_variable);
        if (value && *value)
            return value;
    }
    return NULL;
}

static const struct scheme *find_scheme(const char *value) {
    const char *end = strstr(value, "://");
    if (!end)
        return &schemes[0];
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i].name);
        if (len == (size_t)(end - value) && strncasecmp(value, schemes[i].name, len) == 0)
            return &schemes[i];
    }
    return NULL;
}

/* Host, port and user of a value that is an address. */
static bool take_parts(CURLU *url, const char *value, unsigned usual_port, struct proxy *ret) {
    char *host = NULL, *port = NULL, *user = NULL;
    bool is_address = curl_url_set(url, CURLUPART_URL, value,
                                   CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME) == CURLUE_OK &&
                      curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host;
    if (is_address) {
        bool has_port = curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK;
        ret->has_user = curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK;
        ret->port = has_port ? (unsigned)strtoul(port, NULL, 10) : usual_port;
        snprintf(ret->name, sizeof ret->name, "%s:%u", host, ret->port);
    }
    curl_free(host);
    curl_free(port);
    curl_free(user);
    return is_address;
}

static bool take(const char *value, struct proxy *ret) {
    const struct scheme *scheme = find_scheme(value);
    CURLU *url = scheme ? curl_url() : NULL;
    bool is_address = url && take_parts(url, value, scheme->port, ret);
    curl_url_cleanup(url);
    return is_address;
}

int proxy_find(const char *url, struct proxy *ret, struct fault *fault) {
    struct proxy found = {0};
    found.url = find_variable(url, &found.variable);
    if (found.url && !take(found.url, &found))
        return fault_set(fault, -EPROTO,
                         "%s in the environment is no address of a proxy: give it as "
                         "http://[USER:PASSWORD@]HOST[:PORT]",
                         found.variable);
    *ret = found;
    return 0;
}
