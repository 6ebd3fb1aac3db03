#include <maciefs/partition.h>

#include <stddef.h>
#include <string.h>

/* The last takes what no other does. */
static const struct partition partitions[] = {
    {"aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false},
    {"aws-us-gov", "us-gov-", "amazonaws.com", "api.aws", true},
    {"aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov", true},
    {"aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud", true},
    {"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", true},
    {"aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", true},
    {"aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu", true},
    {"aws", "", "amazonaws.com", "api.aws", true},
};

const struct partition *partition_of(const char *region) {
    const struct partition *at = partitions;
    while (strncmp(region, at->regions, strlen(at->regions)) != 0)
        at++;
    return at;
}

bool region_is_valid(const char *region) {
    size_t len = strlen(region);
    return len > 0 && len < 64 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}
