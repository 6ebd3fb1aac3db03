/*
 * Where one of AWS's services is asked: as the environment says, or in the region.
 */
#ifndef MACIEFS_CREDENTIALS_SERVICE_URL_H
#define MACIEFS_CREDENTIALS_SERVICE_URL_H

#include <maciefs/credentials.h>

struct service {
    const char *host;     /* its host's name before the region: "sts" */
    const char *variable; /* that names another address: "AWS_ENDPOINT_URL_STS" */
};

/*
 * The address that the service's own variable names, else AWS_ENDPOINT_URL, unless
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true; NULL for none (AWS SDKs and Tools Reference Guide,
 * "Service-specific endpoints"). It is whatever the user wrote.
 */
const char *service_url_named(const struct service *service);

/* The service's own address in the region, of that kind, to be freed; NULL without memory. */
char *service_url_in(const struct service *service, const char *region,
                     const struct address_kind *kind);

/* Whether requests can be sent there: http or https, a host, no user, no query. */
bool service_url_is_valid(const char *url);

#endif
