#include "shared_file.h"
#include "sso.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The settings that a profile and its session may both have. */
struct setting {
    const char *name;
    char **value; /* NULL behind it where it is not set */
};
#define SETTINGS 4

static void list(struct sso_settings *settings, struct setting ret[static SETTINGS]) {
    ret[0] = (struct setting){"sso_start_url", &settings->start_url};
    ret[1] = (struct setting){"sso_region", &settings->region};
    ret[2] = (struct setting){"sso_account_id", &settings->account_id};
    ret[3] = (struct setting){"sso_role_name", &settings->role_name};
}

void sso_settings_clear(struct sso_settings *settings) {
    free(settings->profile);
    free(settings->session);
    free(settings->start_url);
    free(settings->region);
    free(settings->account_id);
    free(settings->role_name);
    free(settings->login);
    *settings = (struct sso_settings){0};
}

static int out_of_memory(struct fault *fault) {
    return fault_set(fault, -ENOMEM, "no memory for the settings of IAM Identity Center");
}

static int read_profile(struct sso_settings *settings, struct fault *fault) {
    struct setting wanted[SETTINGS + 1] = {{0}};
    list(settings, wanted);
    wanted[SETTINGS] = (struct setting){"sso_session", &settings->session};
    int err = 0;
    for (size_t i = 0; i < SETTINGS + 1 && !err; i++) {
        err = profile_setting(settings->profile, wanted[i].name, wanted[i].value, fault);
        if (err == -ENOENT)
            err = 0;
    }
    return err;
}

/* Takes a setting of the session's; what the profile has of it must be the same. */
static int take(const struct sso_settings *settings, const struct shared_file *config,
                const struct setting *setting, struct fault *fault) {
    char *value = NULL;
    int err = profile_file_lookup(config->text, config->len, SECTION_SSO_SESSION, settings->session,
                                  setting->name, &value);
    if (err == -ENOENT)
        return 0;
    if (err == -ESRCH)
        return fault_set(fault, -EINVAL,
                         "profile '%s' has sso_session = %s, but there is no [sso-session %s] in "
                         "%s: run aws configure sso",
                         settings->profile, settings->session, settings->session, config->path);
    if (err)
        return out_of_memory(fault);
    const char *own = *setting->value;
    if (own && strcmp(own, value) != 0)
        err = fault_set(fault, -EINVAL,
                        "profile '%s' has %s = %s, and its sso_session '%s' has %s: leave it to "
                        "the session",
                        settings->profile, setting->name, own, settings->session, value);
    free(*setting->value);
    *setting->value = value;
    return err;
}

static int read_session(struct sso_settings *settings, struct fault *fault) {
    struct setting wanted[SETTINGS];
    struct shared_file config;
    if (shared_file_init_config(&config) < 0)
        return out_of_memory(fault);
    int err = shared_file_refresh(&config, fault);
    list(settings, wanted);
    for (size_t i = 0; i < SETTINGS && !err; i++)
        err = take(settings, &config, &wanted[i], fault);
    shared_file_clean_up(&config);
    return err;
}

/* A session alone is for other services' tokens: such a profile may have keys. */
static int refuse_roleless(const struct sso_settings *settings, struct fault *fault) {
    if (!settings->session && !settings->start_url)
        return -ENOENT;
    return fault_set(fault, -ENOENT,
                     "profile '%s' signs in to IAM Identity Center, but has no role there: give it "
                     "sso_account_id and sso_role_name",
                     settings->profile);
}

static int check_whole(struct sso_settings *settings, struct fault *fault) {
    struct setting wanted[SETTINGS];
    char missing[128] = "";
    size_t len = 0;
    list(settings, wanted);
    for (size_t i = 0; i < SETTINGS; i++)
        if (!*wanted[i].value)
            len += (size_t)snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "",
                                    wanted[i].name);
    return len ? fault_set(fault, -EINVAL,
                           "profile '%s' signs in to IAM Identity Center, but lacks %s: run aws "
                           "configure sso",
                           settings->profile, missing)
               : 0;
}

static int name_login(struct sso_settings *settings, struct fault *fault) {
    const char *session = settings->session;
    if (asprintf(&settings->login, "aws sso login %s %s", session ? "--sso-session" : "--profile",
                 session ? session : settings->profile) >= 0)
        return 0;
    settings->login = NULL;
    return out_of_memory(fault);
}

static int fill(struct sso_settings *settings, struct fault *fault) {
    int err = settings->profile ? read_profile(settings, fault) : out_of_memory(fault);
    if (!err && !settings->account_id && !settings->role_name)
        err = refuse_roleless(settings, fault);
    if (!err && settings->session)
        err = read_session(settings, fault);
    if (!err)
        err = check_whole(settings, fault);
    return err ? err : name_login(settings, fault);
}

int sso_settings_read(const char *profile, struct sso_settings *ret, struct fault *fault) {
    const char *named = shared_file_named_profile(profile);
    struct sso_settings settings = {.profile = strdup(named ? named : "default")};
    int err = fill(&settings, fault);
    if (err)
        sso_settings_clear(&settings);
    else
        *ret = settings;
    return err;
}
