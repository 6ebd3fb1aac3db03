/* What is said of S3's refusals, in the words that S3 has for them, and the policy that mends one.
 */
#include "../../fs/s3/refusal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <maciefs/s3.h>
#include <stdio.h>

#define KEY "macie/2026/11/24/05/a.gz"
#define WHO "arn:aws:sts::111122223333:assumed-role/audit/i-1"
#define KMS_KEY "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
#define NOT_ALLOWED(reason)                                                                        \
    "User: " WHO " is not authorized to perform: s3:GetObject on resource: "                       \
    "\"arn:aws:s3:::b/" KEY "\" " reason
#define NOT_DECRYPTED(reason)                                                                      \
    "User: " WHO " is not authorized to perform: kms:Decrypt on resource: " KMS_KEY " " reason
#define ERROR(code, message, more)                                                                 \
    "<Error><Code>" code "</Code><Message>" message "</Message>" more "</Error>"
#define DENIED(message) ERROR("AccessDenied", message, "")

static const struct s3_resource object = {
    .action = "s3:GetObject", .bucket = "b", .key = KEY, .region = "eu-west-1", .is_signed = true};

static int explain_as(const struct s3_resource *resource, int status, const char *xml,
                      struct fault *fault) {
    struct http_answer answer = {.status = status};
    buf_init(&answer.error_body, 1 << 20);
    assert_int_equal(buf_append_str(&answer.error_body, xml), 0);
    int err = s3_refusal_explain(&answer, resource, fault);
    buf_free(&answer.error_body);
    return err;
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

static void assert_lacks(const char *text, const char *part) {
    if (strstr(text, part))
        fail_msg("'%s' is in '%s'", part, text);
}

/* Whoever is refused by policies hears which, of whom, and whose it is to mend. */
static void tells_what_denies(void **state) {
    static const struct {
        const char *message, *said;
    } cases[] = {
        {"Access Denied", "S3 denies s3:GetObject on arn:aws:s3:::b/" KEY ": allow it"},
        {NOT_ALLOWED("because no identity-based policy allows the s3:GetObject action"),
         KEY " to " WHO ": no policy of that user or role allows it"},
        {NOT_ALLOWED("because no resource-based policy allows the s3:GetObject action"),
         "the bucket's policy does not allow it"},
        {NOT_ALLOWED("with an explicit deny in an identity-based policy"),
         "a policy of that user or role denies it explicitly"},
        {NOT_ALLOWED("with an explicit deny in a resource-based policy"),
         "the bucket's policy denies it explicitly"},
        {NOT_ALLOWED("with an explicit deny in a service control policy"),
         "a service control policy of the organization"},
        {NOT_ALLOWED("because no service control policy allows the s3:GetObject action"),
         "a service control policy of the organization"},
        {NOT_ALLOWED("with an explicit deny in a resource control policy"),
         "a resource control policy of the bucket's organization"},
        {NOT_ALLOWED("because no VPC endpoint policy allows the s3:GetObject action"),
         "the policy of the VPC endpoint"},
        {NOT_ALLOWED("with an explicit deny in a VPC endpoint policy"),
         "the policy of the VPC endpoint"},
        {NOT_ALLOWED("because no permissions boundary allows the s3:GetObject action"),
         "the permissions boundary"},
        {NOT_ALLOWED("because no session policy allows the s3:GetObject action"),
         "the policy that the session was begun with"},
        {NOT_DECRYPTED("because no identity-based policy allows the kms:Decrypt action"),
         "KMS denies kms:Decrypt with " KMS_KEY " to " WHO ", which the object " KEY},
        {"The ciphertext refers to a customer master key that does not exist, does not exist in "
         "this region, or you are not allowed to access.",
         "KMS denies kms:Decrypt with a key of KMS, which the object " KEY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fault fault = {.text = ""};
        char xml[2048];
        snprintf(xml, sizeof xml, DENIED("%s"), cases[i].message);
        assert_int_equal(explain_as(&object, 403, xml, &fault), -EACCES);
        assert_has(fault.text, cases[i].said);
        assert_true(fault.denied);
    }
    (void)state;
}

/* What comes with other codes, and is no matter of an S3 policy. */
static void tells_what_else_is_wrong(void **state) {
    static const struct {
        const char *xml, *said;
    } cases[] = {
        {ERROR("InvalidObjectState", "m", "<StorageClass>DEEP_ARCHIVE</StorageClass>"),
         KEY " in b is archived (DEEP_ARCHIVE): restore it"},
        {ERROR("InvalidObjectState", "m",
               "<StorageClass>INTELLIGENT_TIERING</StorageClass>"
               "<AccessTier>ARCHIVE_ACCESS</AccessTier>"),
         "is archived (INTELLIGENT_TIERING, ARCHIVE_ACCESS): restore it"},
        {ERROR("InvalidObjectState", "m", ""), "is archived: restore it"},
        {ERROR("KMS.DisabledException", KMS_KEY " is disabled.", ""),
         "is encrypted with " KMS_KEY ", which is disabled: enable it"},
        {ERROR("KMS.KMSInvalidStateException", KMS_KEY " is pending deletion.", ""),
         "which is not ready for use"},
        {ERROR("KMS.NotFoundException", "Invalid keyId", ""), "which is not there any more"},
        {ERROR("KMS.SomethingNewException", "m", ""), "(400 KMS.SomethingNewException)"},
        {ERROR("InvalidRequest",
               "The object was stored using a form of Server Side Encryption. The correct "
               "parameters must be provided to retrieve the object.",
               ""),
         "customer's key (SSE-C): give the file"},
        {ERROR("InvalidArgument",
               "Requests specifying Server Side Encryption with AWS KMS managed keys must be made "
               "over a secure connection.",
               ""),
         "over https alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fault fault = {.denied = true};
        assert_int_equal(explain_as(&object, 400, cases[i].xml, &fault), -EACCES);
        assert_has(fault.text, cases[i].said);
        assert_false(fault.denied);
    }
    (void)state;
}

/* S3 answers these as it does a denial; so they are asked after where they may be the cause. */
static void names_what_else_a_denial_may_come_from(void **state) {
    struct s3_resource resource = object;
    struct fault fault;
    explain_as(&resource, 403, DENIED("Access Denied"), &fault);
    assert_has(fault.text, "-o requester_pays");
    assert_lacks(fault.text, "expected_bucket_owner");
    resource.requester_pays = true;
    resource.expected_owner = "111122223333";
    explain_as(&resource, 403, DENIED("Access Denied"), &fault);
    assert_lacks(fault.text, "requester_pays");
    assert_has(fault.text, "if account 111122223333 does not own the bucket");
    explain_as(&resource, 403, DENIED(NOT_ALLOWED("with an explicit deny in a session policy")),
               &fault);
    assert_lacks(fault.text, "does not own the bucket");
    (void)state;
}

static void a_denial_without_credentials_needs_no_policy(void **state) {
    struct s3_resource resource = object;
    struct fault fault;
    resource.is_signed = false;
    assert_int_equal(explain_as(&resource, 403, DENIED("Access Denied"), &fault), -EACCES);
    assert_has(fault.text, "leave out -o no_sign");
    assert_false(fault.denied);
    (void)state;
}

static void names_access_points_and_partitions(void **state) {
    struct s3_resource resource = object;
    struct fault fault;
    resource.region = "us-gov-west-1";
    explain_as(&resource, 403, DENIED("Access Denied"), &fault);
    assert_has(fault.text, "arn:aws-us-gov:s3:::b/" KEY);
    resource.bucket = "arn:aws:s3:eu-west-1:111122223333:accesspoint/events";
    explain_as(&resource, 403, DENIED("Access Denied"), &fault);
    assert_has(fault.text, "arn:aws:s3:eu-west-1:111122223333:accesspoint/events/object/" KEY);
    (void)state;
}

/* Even so, the sentence is one that fits. */
static void bears_the_longest_key_and_message(void **state) {
    struct s3_resource resource = object;
    struct fault fault;
    char key[1025], xml[8192];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    resource.key = key;
    snprintf(xml, sizeof xml, DENIED("User: %s is not authorized: kms:Decrypt on :kms:%s"), key,
             key);
    assert_int_equal(explain_as(&resource, 403, xml, &fault), -EACCES);
    assert_int_equal(strlen(fault.text), FAULT_TEXT_MAX - 1);
    assert_has(fault.text, S3_KMS_DENIED);
    (void)state;
}

/* -- The policy -------------------------------------------------------------------------------- */

static struct config config_of(const char *prefix, const char *region) {
    return (struct config){.bucket = "b", .prefix = (char *)prefix, .region = (char *)region};
}

static cJSON *render(const struct config *config, const struct fault *denial) {
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_int_equal(s3_policy_render(config, denial, &text), 0);
    assert_int_equal(text.at[text.len - 1], '\n');
    cJSON *policy = cJSON_Parse(buf_str(&text));
    assert_non_null(policy);
    assert_string_equal(cJSON_GetObjectItem(policy, "Version")->valuestring, "2012-10-17");
    buf_free(&text);
    return policy;
}

static cJSON *statement(cJSON *policy, int n) {
    return cJSON_GetArrayItem(cJSON_GetObjectItem(policy, "Statement"), n);
}

static void assert_allows(cJSON *policy, int n, const char *action, const char *resource) {
    cJSON *allow = statement(policy, n);
    assert_non_null(allow);
    assert_string_equal(cJSON_GetObjectItem(allow, "Effect")->valuestring, "Allow");
    assert_string_equal(cJSON_GetObjectItem(allow, "Action")->valuestring, action);
    assert_string_equal(cJSON_GetObjectItem(allow, "Resource")->valuestring, resource);
}

static void assert_condition(cJSON *policy, const char *pattern) {
    cJSON *condition = cJSON_GetObjectItem(statement(policy, 0), "Condition");
    if (!pattern) {
        assert_null(condition);
        return;
    }
    cJSON *like = cJSON_GetObjectItem(condition, "StringLike");
    assert_string_equal(cJSON_GetObjectItem(like, "s3:prefix")->valuestring, pattern);
}

static void the_policy_allows_what_is_below_the_prefix(void **state) {
    static const struct {
        const char *prefix, *region, *bucket, *objects, *pattern;
    } cases[] = {
        {"macie", "eu-west-1", "arn:aws:s3:::b", "arn:aws:s3:::b/macie/*", "macie/*"},
        {"macie/", "eu-west-1", "arn:aws:s3:::b", "arn:aws:s3:::b/macie/*", "macie/*"},
        {"", NULL, "arn:aws:s3:::b", "arn:aws:s3:::b/*", NULL},
        {"a/b", "cn-north-1", "arn:aws-cn:s3:::b", "arn:aws-cn:s3:::b/a/b/*", "a/b/*"},
        {"*\"$?", "eu-west-1", "arn:aws:s3:::b", "arn:aws:s3:::b/${*}\"${$}${?}/*",
         "${*}\"${$}${?}/*"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct config config = config_of(cases[i].prefix, cases[i].region);
        cJSON *policy = render(&config, NULL);
        assert_allows(policy, 0, "s3:ListBucket", cases[i].bucket);
        assert_allows(policy, 1, "s3:GetObject", cases[i].objects);
        assert_null(statement(policy, 2));
        assert_condition(policy, cases[i].pattern);
        cJSON_Delete(policy);
    }
    (void)state;
}

static void the_policy_allows_to_decrypt_where_that_was_denied(void **state) {
    const struct config config = config_of("macie", "eu-west-1");
    struct fault fault;
    explain_as(&object, 403,
               DENIED(NOT_DECRYPTED("because no session policy allows the kms:Decrypt action")),
               &fault);
    cJSON *policy = render(&config, &fault);
    assert_allows(policy, 2, "kms:Decrypt", KMS_KEY);
    cJSON_Delete(policy);
    explain_as(&object, 403, DENIED("The ciphertext refers to a customer master key that …"),
               &fault);
    policy = render(&config, &fault);
    assert_allows(policy, 2, "kms:Decrypt", "arn:aws:kms:eu-west-1:*:key/*");
    cJSON_Delete(policy);
    (void)state;
}

/* An object's name is anybody's; the policy is ours. */
static void no_objects_name_gets_into_the_policy(void **state) {
    const struct config config = config_of("macie", "eu-west-1");
    struct s3_resource resource = object;
    struct fault fault;
    resource.key = S3_KMS_DENIED "arn:aws:kms:eu-west-1:666666666666:key/evil";
    explain_as(&resource, 403, DENIED("Access Denied"), &fault);
    cJSON *policy = render(&config, &fault);
    assert_null(statement(policy, 2));
    cJSON_Delete(policy);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_denies),
        cmocka_unit_test(tells_what_else_is_wrong),
        cmocka_unit_test(names_what_else_a_denial_may_come_from),
        cmocka_unit_test(a_denial_without_credentials_needs_no_policy),
        cmocka_unit_test(names_access_points_and_partitions),
        cmocka_unit_test(bears_the_longest_key_and_message),
        cmocka_unit_test(the_policy_allows_what_is_below_the_prefix),
        cmocka_unit_test(the_policy_allows_to_decrypt_where_that_was_denied),
        cmocka_unit_test(no_objects_name_gets_into_the_policy),
    };
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    unsetenv("AWS_PROFILE");
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
