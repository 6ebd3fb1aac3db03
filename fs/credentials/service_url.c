#include "service_url.h"

#include <curl/curl.h>
#include <maciefs/partition.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *service_url_named(const struct service *service) {
    const char *const variables[] = {service->variable, "AWS_ENDPOINT_URL"};
    const char *ignored = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if (ignored && strcasecmp(ignored, "true") == 0)
        return NULL;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return value;
    }
    return NULL;
}

/* GovCloud's usual addresses are FIPS's. */
static bool is_marked(const struct partition *partition, const struct address_kind *kind) {
    return kind->fips && (kind->dual_stack || strcmp(partition->name, "aws-us-gov") != 0);
}

char *service_url_in(const struct service *service, const char *region,
                     const struct address_kind *kind) {
    const struct partition *partition = partition_of(region);
    char *url = NULL;
    int len = asprintf(&url, "https://%s%s.%s.%s", service->host,
                       is_marked(partition, kind) ? "-fips" : "", region,
                       kind->dual_stack ? partition->dual_stack_suffix : partition->dns_suffix);
    return len < 0 ? NULL : url;
}

bool service_url_is_valid(const char *text) {
    bool http = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    CURLU *url = http && !strpbrk(text, "?#") ? curl_url() : NULL;
    bool valid = url && curl_url_set(url, CURLUPART_URL, text,
                                     CURLU_PATH_AS_IS | CURLU_DISALLOW_USER) == CURLUE_OK;
    curl_url_cleanup(url);
    return valid;
}
