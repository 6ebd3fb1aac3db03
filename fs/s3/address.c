#include "address.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <maciefs/access_point.h>
#include <maciefs/credentials.h>
#include <maciefs/partition.h>
#include <maciefs/service_url.h>
#include <maciefs/sigv4.h>
#include <maciefs/uri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_REGION "us-east-1"
#define BUCKET_MAX 255 /* bytes; of the oldest buckets in us-east-1 */

/* An endpoint's parts. */
struct endpoint {
    const char *scheme;
    char *host; /* with the port, where there is one */
    char *path; /* encoded; without a final '/' */
};

static void endpoint_clear(struct endpoint *endpoint) {
    free(endpoint->host);
    free(endpoint->path);
}

/* A bucket, or the access point that stands for one. */
struct place {
    const char *bucket; /* or what stands before an access point's host */
    bool is_point;
    struct access_point point;
    char label[sizeof "-" + sizeof((struct access_point *)0)->name +
               sizeof((struct access_point *)0)->account];
};

/* The region that is known, or that of options, environment or profile, whichever is set first;
 * else the default. */
static int find_region(const struct config *config, const char *known, char **ret,
                       const char **ret_from, struct fault *fault) {
    static const char *const names[] = {"the bucket", "region=", "AWS_REGION",
                                        "AWS_DEFAULT_REGION"};
    const char *const given[] = {known, config->region, getenv("AWS_REGION"),
                                 getenv("AWS_DEFAULT_REGION")};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (given[i] && given[i][0]) {
            *ret_from = names[i];
            *ret = strdup(given[i]);
            return *ret ? 0 : fault_set(fault, -ENOMEM, "memory is exhausted");
        }
    }
    *ret_from = "the profile";
    int err = profile_setting(config->profile, "region", ret, fault);
    if (err != -ENOENT)
        return err;
    *ret_from = "the default";
    *ret = strdup(DEFAULT_REGION);
    return *ret ? 0 : fault_set(fault, -ENOMEM, "memory is exhausted");
}

/* Virtual hosts need a name that DNS takes, and without dots, which TLS wildcards do not cover. */
static bool is_host_label(const char *bucket) {
    size_t len = strlen(bucket);
    return len <= 63 && bucket[0] != '-' && bucket[len - 1] != '-' &&
           strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool is_virtual(const struct config *config, const struct place *place, bool own_endpoint) {
    if (place->is_point)
        return true;
    if (config->addressing == CONFIG_AUTO)
        return !own_endpoint && is_host_label(config->bucket);
    return config->addressing == CONFIG_VIRTUAL;
}

/* AWS's own, for the region. */
static int aws_endpoint(const struct config *config, const struct place *place, const char *region,
                        struct endpoint *ret, struct fault *fault) {
    const struct partition *partition = partition_of(region);
    struct endpoint made = {.scheme = "https"};
    struct address_kind kind;
    int err = profile_address_kind(config->profile, &kind, fault);
    if (err)
        return err;
    if (kind.fips && !partition->s3_fips)
        return fault_set(fault, -EINVAL,
                         "S3 has no FIPS endpoint in %s: unset AWS_USE_FIPS_ENDPOINT, or the "
                         "profile's use_fips_endpoint",
                         region);
    made.path = strdup("");
    if (asprintf(&made.host, "s3%s%s%s.%s.%s", place->is_point ? "-accesspoint" : "",
                 kind.fips ? "-fips" : "", kind.dual_stack ? ".dualstack" : "", region,
                 partition->dns_suffix) < 0)
        made.host = NULL;
    if (!made.host || !made.path) {
        endpoint_clear(&made);
        return fault_set(fault, -ENOMEM, "memory is exhausted");
    }
    *ret = made;
    return 0;
}

static bool has_part(CURLU *url, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static const char *known_scheme(CURLU *url) {
    char *scheme = NULL;
    const char *known = NULL;
    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
        known = strcmp(scheme, "https") == 0  ? "https"
                : strcmp(scheme, "http") == 0 ? "http"
                                              : NULL;
    }
    curl_free(scheme);
    return known;
}

static int endpoint_parts(CURLU *url, struct endpoint *ret) {
    char *host = NULL, *port = NULL, *path = NULL;
    struct endpoint parts = {.scheme = known_scheme(url)};
    int err = -ENOMEM;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK) {
        bool has_port = curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK;
        size_t len = strlen(path);
        while (len > 0 && path[len - 1] == '/')
            len--;
        parts.path = strndup(path, len);
        if (asprintf(&parts.host, "%s%s%s", host, has_port ? ":" : "", has_port ? port : "") < 0)
            parts.host = NULL;
        err = parts.host && parts.path ? 0 : -ENOMEM;
    }
    curl_free(host);
    curl_free(port);
    curl_free(path);
    if (err)
        endpoint_clear(&parts);
    else
        *ret = parts;
    return err;
}

static int given_endpoint(const char *from, const char *text, struct endpoint *ret,
                          struct fault *fault) {
    CURLU *url = curl_url();
    if (!url)
        return fault_set(fault, -ENOMEM, "memory is exhausted");
    CURLUcode rc = curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER);
    int err;
    if (rc == CURLUE_USER_NOT_ALLOWED)
        err = fault_set(fault, -EINVAL,
                        "%s must not hold a user or a password: credentials come from the "
                        "environment or a profile",
                        from);
    else if (rc != CURLUE_OK || !known_scheme(url) || has_part(url, CURLUPART_QUERY) ||
             has_part(url, CURLUPART_FRAGMENT))
        err = fault_set(fault, -EINVAL,
                        "%s=%s is no address of a server: give it as http[s]://HOST[:PORT][/PATH]",
                        from, text);
    else if ((err = endpoint_parts(url, ret)))
        fault_set(fault, err, "memory is exhausted");
    curl_url_cleanup(url);
    return err;
}

/* Where an endpoint is named, other than AWS's: the option, or as for every service. Returns 0 and
 * the text, to be freed, and who named it; -ENOENT where none does. */
static int find_endpoint(const struct config *config, const char **ret_from, char **ret,
                         struct fault *fault) {
    static const struct service s3 = {"s3", "AWS_ENDPOINT_URL_S3"};
    if (!config->endpoint)
        return service_url_named(&s3, config->profile, ret_from, ret, fault);
    *ret_from = "endpoint";
    *ret = strdup(config->endpoint);
    return *ret ? 0 : fault_set(fault, -ENOMEM, "memory is exhausted");
}

/* Puts the bucket before the host, or behind the path. */
static int compose(const struct place *place, const struct endpoint *endpoint, bool in_host,
                   struct s3_address *address) {
    struct buf base;
    buf_init(&base, SIZE_MAX);
    int err = buf_append_str(&base, endpoint->path);
    if (!err && !in_host)
        err = buf_append_str(&base, "/");
    if (!err && !in_host)
        err = uri_encode(&base, place->bucket, strlen(place->bucket), false);
    const char *text = err ? NULL : buf_str(&base);
    if (text)
        address->base = strdup(text);
    buf_free(&base);
    if (asprintf(&address->host, "%s%s%s", in_host ? place->bucket : "", in_host ? "." : "",
                 endpoint->host) < 0)
        address->host = NULL;
    if (!address->host || !address->base)
        return -ENOMEM;
    if (asprintf(&address->origin, "%s://%s", endpoint->scheme, address->host) < 0) {
        address->origin = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int check_bucket(const struct config *config, struct fault *fault) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._:";
    const char *bucket = config->bucket;
    size_t len = strlen(bucket);
    if (len == 0 || len > BUCKET_MAX || strspn(bucket, letters) != len)
        return fault_set(fault, -EINVAL, "'%s' cannot be the name of a bucket", bucket);
    if (config->addressing == CONFIG_VIRTUAL && strpbrk(bucket, "_:"))
        return fault_set(fault, -EINVAL,
                         "'%s' cannot be part of a host's name: use addressing=path", bucket);
    return 0;
}

static int check_point(const struct config *config, const struct access_point *point,
                       struct fault *fault) {
    const char *partition = partition_of(point->region)->name;
    if (strcmp(point->partition, partition) != 0)
        return fault_set(fault, -EINVAL, "%s cannot be: the region %s is in the partition %s",
                         config->bucket, point->region, partition);
    if (config->addressing == CONFIG_PATH)
        return fault_set(fault, -EINVAL,
                         "%s is always part of a host's name: leave out addressing=path",
                         config->bucket);
    return 0;
}

static int find_place(const struct config *config, struct place *ret, struct fault *fault) {
    *ret = (struct place){.bucket = config->bucket, .is_point = access_point_is(config->bucket)};
    if (!ret->is_point)
        return check_bucket(config, fault);
    int len = access_point_parse(config->bucket, &ret->point, fault);
    if (len < 0)
        return len;
    snprintf(ret->label, sizeof ret->label, "%s-%s", ret->point.name, ret->point.account);
    ret->bucket = ret->label;
    return check_point(config, &ret->point, fault);
}

static int choose_endpoint(const struct config *config, const struct place *place,
                           const char *region, struct endpoint *ret, bool *ret_own,
                           struct fault *fault) {
    const char *from;
    char *text = NULL;
    int err = find_endpoint(config, &from, &text, fault);
    *ret_own = err == 0;
    if (!err)
        err = given_endpoint(from, text, ret, fault);
    else if (err == -ENOENT)
        err = aws_endpoint(config, place, region, ret, fault);
    free(text);
    return err;
}

int s3_address_find(const struct config *config, const char *region, struct s3_address *ret,
                    struct fault *fault) {
    struct s3_address address = {0};
    struct endpoint endpoint = {0};
    struct place place;
    bool own;
    int err = find_place(config, &place, fault);
    /* An access point is nowhere else than its ARN says. */
    if (!err)
        err = find_region(config, place.is_point ? place.point.region : region, &address.region,
                          &address.region_from, fault);
    if (!err && place.is_point)
        address.region_from = "the access point";
    if (!err && !region_is_valid(address.region))
        err = fault_set(fault, -EINVAL, "region '%s' is no region: it is written as eu-west-1",
                        address.region);
    if (!err)
        err = choose_endpoint(config, &place, address.region, &endpoint, &own, fault);
    if (!err && (err = compose(&place, &endpoint, is_virtual(config, &place, own), &address)))
        fault_set(fault, err, "memory is exhausted");
    endpoint_clear(&endpoint);
    if (err)
        s3_address_clear(&address);
    else
        *ret = address;
    return err;
}

static bool is_loopback(const char *host, size_t len) {
    static const char name[] = "localhost";
    static const size_t name_len = sizeof name - 1;
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (len == strlen("[::1]") && memcmp(host, "[::1]", len) == 0)
        return true;
    if (len >= name_len && strncasecmp(host + len - name_len, name, name_len) == 0)
        return len == name_len || host[len - name_len - 1] == '.';
    if (len >= sizeof text)
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool s3_address_is_private(const struct s3_address *address) {
    const char *host = address->host, *bracket = strchr(host, ']');
    size_t len = bracket ? (size_t)(bracket + 1 - host) : strcspn(host, ":");
    return strncmp(address->origin, "https:", 6) == 0 || is_loopback(host, len);
}

void s3_address_clear(struct s3_address *address) {
    free(address->origin);
    free(address->host);
    free(address->base);
    free(address->region);
    *address = (struct s3_address){0};
}
