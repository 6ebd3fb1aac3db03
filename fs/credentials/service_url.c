#include <curl/curl.h>
#include <errno.h>
#include <maciefs/partition.h>
#include <maciefs/service_url.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *find_variable(const struct service *service, const char **ret_from) {
    const char *const variables[] = {service->variable, "AWS_ENDPOINT_URL"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        *ret_from = variables[i];
        if (value && *value)
            return value;
    }
    return NULL;
}

int service_url_named(const struct service *service, const char *profile, const char **ret_from,
                      char **ret, struct fault *fault) {
    bool ignored;
    int err = profile_switch(profile, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                             "ignore_configured_endpoint_urls", &ignored, fault);
    if (err || ignored)
        return err ? err : -ENOENT;
    const char *value = find_variable(service, ret_from);
    if (!value) {
        *ret_from = "the profile's endpoint_url";
        return profile_setting(profile, "endpoint_url", ret, fault);
    }
    *ret = strdup(value);
    return *ret ? 0 : fault_set(fault, -ENOMEM, "memory is exhausted");
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
