/*
 * Where one of AWS's services is asked: as the environment says, or in the region.
 */
#ifndef MACIEFS_SERVICE_URL_H
#define MACIEFS_SERVICE_URL_H

#include <maciefs/credentials.h>

struct service {
    const char *host;     /* its host's name before the region: "sts" */
    const char *variable; /* that names another address: "AWS_ENDPOINT_URL_STS" */
};

/*
 * The address that the user names for the service: by the service's own variable, AWS_ENDPOINT_URL,
 * or the profile's endpoint_url, unless AWS_IGNORE_CONFIGURED_ENDPOINT_URLS or the profile's
 * ignore_configured_endpoint_urls is true (AWS SDKs and Tools Reference Guide, "Service-specific
 * endpoints"). `profile` as in profile_setting. Returns 0, who named it (static) and whatever was
 * written, to be freed; -ENOENT where none is named; or another error with a fault.
 */
int service_url_named(const struct service *service, const char *profile, const char **ret_from,
                      char **ret, struct fault *fault);

/* The service's own address in the region, of that kind, to be freed; NULL without memory. */
char *service_url_in(const struct service *service, const char *region,
                     const struct address_kind *kind);

/* Whether requests can be sent there: http or https, a host, no user, no query. */
bool service_url_is_valid(const char *url);

#endif
