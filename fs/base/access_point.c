#include <maciefs/access_point.h>

#include <errno.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define LABEL LOWER DIGITS "-"
#define ACCOUNT_LEN 12
#define SHOWN_MAX 200 /* bytes of what is refused */

enum { ARN, PARTITION, SERVICE, REGION, ACCOUNT, RESOURCE, PARTS };

/* A part of an ARN, not terminated. */
struct part {
    const char *at;
    size_t len;
};

bool access_point_is(const char *bucket) {
    return strncmp(bucket, "arn:", 4) == 0;
}

static bool is(struct part part, const char *text) {
    return part.len == strlen(text) && memcmp(part.at, text, part.len) == 0;
}

/* Splits at the first five ':'; a '/' or the end of the text ends the parts before the last. */
static bool split(const char *text, struct part parts[PARTS]) {
    for (int i = 0; i < RESOURCE; i++) {
        parts[i] = (struct part){text, strcspn(text, ":/")};
        text += parts[i].len;
        if (*text++ != ':')
            return false;
    }
    parts[RESOURCE] = (struct part){text, strlen(text)};
    return true;
}

/* Copies a part that is a whole word of `letters` and fits. */
static bool take(struct part part, const char *letters, char *ret, size_t size) {
    if (part.len == 0 || part.len >= size || strspn(part.at, letters) < part.len)
        return false;
    memcpy(ret, part.at, part.len);
    ret[part.len] = '\0';
    return true;
}

/* Takes the name behind "accesspoint/" or "accesspoint:". Returns the length of both, or 0. */
static size_t take_name(struct part resource, struct access_point *ret) {
    static const char kind[] = "accesspoint";
    size_t len = sizeof kind;
    if (strncmp(resource.at, kind, len - 1) != 0 || !strchr("/:", resource.at[len - 1]) ||
        resource.len < len)
        return 0;
    struct part name = {resource.at + len, strcspn(resource.at + len, ":/")};
    bool is_label = take(name, LABEL, ret->name, sizeof ret->name) && name.len >= 3 &&
                    name.at[0] != '-' && name.at[name.len - 1] != '-' && name.at[name.len] != ':';
    return is_label ? len + name.len : 0;
}

/* What is like an access point, and why it cannot be mounted; NULL for what is none of these. */
static const char *foreign_kind(const struct part parts[PARTS]) {
    if (is(parts[SERVICE], "s3-outposts"))
        return "an access point of S3 on Outposts, which is no source here: copy the prefix into a "
               "bucket of a region";
    if (is(parts[SERVICE], "s3-object-lambda"))
        return "an Object Lambda access point, which cannot list a prefix by itself: mount the "
               "access point behind it";
    if (is(parts[SERVICE], "s3") && parts[REGION].len == 0 && parts[ACCOUNT].len > 0)
        return "a multi-region access point, which takes signatures that maciefs does not make "
               "(SigV4A): mount one of the buckets behind it";
    if (is(parts[SERVICE], "s3") && parts[REGION].len == 0)
        return "the ARN of a bucket: name the bucket alone, as in s3://my-logs/macie";
    return NULL;
}

int access_point_parse(const char *text, struct access_point *ret, struct fault *fault) {
    struct part parts[PARTS];
    struct access_point found = {0};
    int shown = (int)strnlen(text, SHOWN_MAX);
    bool whole = split(text, parts) && is(parts[ARN], "arn");
    const char *foreign = whole ? foreign_kind(parts) : NULL;
    if (foreign)
        return fault_set(fault, -EINVAL, "%.*s is %s", shown, text, foreign);
    size_t resource_len = whole ? take_name(parts[RESOURCE], &found) : 0;
    whole = resource_len > 0 && is(parts[SERVICE], "s3") &&
            take(parts[PARTITION], LABEL, found.partition, sizeof found.partition) &&
            take(parts[REGION], LABEL, found.region, sizeof found.region) &&
            take(parts[ACCOUNT], DIGITS, found.account, sizeof found.account) &&
            parts[ACCOUNT].len == ACCOUNT_LEN;
    if (!whole)
        return fault_set(fault, -EINVAL,
                         "%.*s is no ARN of an access point: it is written as "
                         "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-access-point",
                         shown, text);
    *ret = found;
    return (int)(parts[RESOURCE].at - text + (ptrdiff_t)resource_len);
}
