/*
 * An S3 access point, by its ARN: a name that stands for a bucket, with a policy of its own.
 *
 * Sources: S3 User Guide, "Access points naming rules, restrictions, and limitations", and "Using
 * access points with compatible Amazon S3 operations".
 */
#ifndef MACIEFS_ACCESS_POINT_H
#define MACIEFS_ACCESS_POINT_H

#include <maciefs/fault.h>
#include <stdbool.h>
#include <stddef.h>

struct access_point {
    char partition[16]; /* "aws" */
    char region[64];    /* "eu-west-1" */
    char account[13];   /* 12 digits */
    char name[51];      /* 3 to 50 lower-case letters, digits and '-' */
};

/* Whether a bucket is named by an ARN, which no bucket's own name looks like. */
bool access_point_is(const char *bucket);

/*
 * Parses the ARN at the start of `text`: arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME (or
 * accesspoint:NAME), which ends at the text's end or at a '/'. Returns its length; or -EINVAL with
 * a fault that says what it is instead (of S3 on Outposts, Object Lambda, multi-region: none of
 * which can be read here) or how it is written.
 */
int access_point_parse(const char *text, struct access_point *ret, struct fault *fault);

#endif
