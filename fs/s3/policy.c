#include "address.h"
#include "refusal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <maciefs/partition.h>
#include <maciefs/s3.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_MAX (16u << 10) /* of a prefix of 1 KiB, each character of it escaped */

/* What the policy is about. */
struct grant {
    const char *bucket;
    const char *region;
    struct buf below;   /* "macie/" and a star, as a policy's pattern */
    struct buf kms_key; /* "" for none */
};

/* In a pattern these stand for something else (IAM User Guide, "Policy variables"). */
static int append_literally(struct buf *out, const char *text) {
    int err = 0;
    for (; *text && !err; text++)
        err = strchr("*?$", *text) ? buf_printf(out, "${%c}", *text) : buf_append(out, text, 1);
    return err;
}

/* Nearly every stream writes to a folder, whether its '/' was written or not. */
static int find_below(const char *prefix, struct buf *out) {
    size_t len = strlen(prefix);
    int err = append_literally(out, prefix);
    if (!err && len > 0 && prefix[len - 1] != '/')
        err = buf_append_str(out, "/");
    return err ? err : buf_append_str(out, "*");
}

/* The key that the refusal names; any of the region's where it is of a key, and names none. */
static int find_kms_key(const char *sentence, const char *region, struct buf *out) {
    if (strncmp(sentence, S3_KMS_DENIED, strlen(S3_KMS_DENIED)) != 0)
        return 0;
    const char *key = sentence + strlen(S3_KMS_DENIED);
    if (strncmp(key, "arn:", 4) == 0)
        return buf_append(out, key, strcspn(key, " ,"));
    return buf_printf(out, "arn:%s:kms:%s:*:key/*", partition_of(region)->name, region);
}

static int grant_init(struct grant *grant, const struct config *config, const char *region,
                      const struct fault *denial) {
    *grant = (struct grant){.bucket = config->bucket, .region = region};
    buf_init(&grant->below, PATTERN_MAX);
    buf_init(&grant->kms_key, FAULT_TEXT_MAX);
    int err = find_below(config->prefix, &grant->below);
    if (!err && denial)
        err = find_kms_key(denial->text, region, &grant->kms_key);
    return err || (buf_str(&grant->below) && buf_str(&grant->kms_key)) ? err : -ENOMEM;
}

static void grant_clear(struct grant *grant) {
    buf_free(&grant->below);
    buf_free(&grant->kms_key);
}

/* NULL without memory, as the next. */
static cJSON *add_statement(cJSON *statements, const char *action, const char *resource) {
    cJSON *statement = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(statements, statement)) {
        cJSON_Delete(statement);
        return NULL;
    }
    bool whole = cJSON_AddStringToObject(statement, "Effect", "Allow") &&
                 cJSON_AddStringToObject(statement, "Action", action) &&
                 cJSON_AddStringToObject(statement, "Resource", resource);
    return whole ? statement : NULL;
}

static bool add_condition(cJSON *statement, const char *pattern) {
    cJSON *condition = cJSON_AddObjectToObject(statement, "Condition");
    cJSON *like = condition ? cJSON_AddObjectToObject(condition, "StringLike") : NULL;
    return like && cJSON_AddStringToObject(like, "s3:prefix", pattern);
}

static bool add_for_bucket(cJSON *statements, const struct grant *grant) {
    struct buf bucket, objects;
    const char *below = (const char *)grant->below.at;
    buf_init(&bucket, PATTERN_MAX);
    buf_init(&objects, 2 * PATTERN_MAX);
    cJSON *list = NULL;
    bool made = s3_resource_arn(grant->region, grant->bucket, NULL, &bucket) == 0 &&
                s3_resource_arn(grant->region, grant->bucket, below, &objects) == 0 &&
                (list = add_statement(statements, "s3:ListBucket", buf_str(&bucket))) &&
                (strcmp(below, "*") == 0 || add_condition(list, below)) &&
                add_statement(statements, "s3:GetObject", buf_str(&objects));
    buf_free(&bucket);
    buf_free(&objects);
    return made;
}

static int write_policy(const struct grant *grant, struct buf *out) {
    cJSON *policy = cJSON_CreateObject();
    cJSON *statements = NULL;
    char *text = NULL;
    if (policy && cJSON_AddStringToObject(policy, "Version", "2012-10-17") &&
        (statements = cJSON_AddArrayToObject(policy, "Statement")) &&
        add_for_bucket(statements, grant) &&
        (grant->kms_key.len == 0 ||
         add_statement(statements, "kms:Decrypt", (const char *)grant->kms_key.at)))
        text = cJSON_Print(policy);
    int err = text ? buf_printf(out, "%s\n", text) : -ENOMEM;
    cJSON_free(text);
    cJSON_Delete(policy);
    return err;
}

int s3_policy_render(const struct config *config, const struct fault *denial, struct buf *out) {
    struct s3_address address;
    struct grant grant;
    int err = s3_address_find(config, NULL, &address, NULL);
    if (err)
        return err;
    err = grant_init(&grant, config, address.region, denial);
    if (!err)
        err = write_policy(&grant, out);
    grant_clear(&grant);
    s3_address_clear(&address);
    return err;
}
