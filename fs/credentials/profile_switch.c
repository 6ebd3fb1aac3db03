#include <maciefs/credentials.h>

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static bool is_true(const char *text) {
    return text && strcasecmp(text, "true") == 0;
}

int profile_switch(const char *profile, const char *variable, const char *setting, bool *ret,
                   struct fault *fault) {
    const char *given = getenv(variable);
    char *text = NULL;
    *ret = is_true(given);
    if (given && *given)
        return 0;
    int err = profile_setting(profile, setting, &text, fault);
    *ret = !err && is_true(text);
    free(text);
    return err == -ENOENT ? 0 : err;
}

int profile_address_kind(const char *profile, struct address_kind *ret, struct fault *fault) {
    int err =
        profile_switch(profile, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &ret->fips, fault);
    return err ? err
               : profile_switch(profile, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint",
                                &ret->dual_stack, fault);
}
