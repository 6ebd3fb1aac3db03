/*
 * AWS's partitions: groups of regions that share a DNS suffix and have accounts of their own.
 * Source: the SDKs' partitions.json.
 */
#ifndef MACIEFS_PARTITION_H
#define MACIEFS_PARTITION_H

#include <stdbool.h>

struct partition {
    const char *name;              /* as ARNs have it: "aws-cn" */
    const char *regions;           /* how its regions' names begin: "cn-" */
    const char *dns_suffix;        /* "amazonaws.com.cn" */
    const char *dual_stack_suffix; /* of services other than S3: "api.aws" */
    bool s3_fips;                  /* S3 has FIPS endpoints in it */
};

/* The region's partition; "aws" for a region of none that is known. Static. */
const struct partition *partition_of(const char *region);

/* Whether it can be a region's name: it becomes part of hosts' names and of signatures. */
bool region_is_valid(const char *region);

#endif
