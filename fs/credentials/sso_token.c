#include "shared_file.h"
#include "sso.h"
#include "token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <maciefs/server_clock.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RENEW_BEFORE_S (15 * 60)
#define SHA1_LEN 20

/* A file as it is to be read now: its text, or the one that could not be written over it. */
struct cached {
    char *path;
    uint8_t on_disk[SHA1_LEN]; /* the hash of its own text */
    struct buf text;
    struct sso_token token;
    const struct server_clock *clock;
};

/* A text that could not be written over the one with the hash. */
struct unsaved {
    struct unsaved *next;
    char *path;
    uint8_t over[SHA1_LEN];
    struct buf text;
};

/* For all of the process: the token is the user's, whichever provider wants it. A process that is
 * forked goes on with it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct unsaved *all_unsaved; /* under the lock */

static int out_of_memory(struct fault *fault) {
    return fault_set(fault, -ENOMEM, "no memory for the token of IAM Identity Center");
}

static bool hash(const void *at, size_t len, uint8_t ret[static SHA1_LEN]) {
    return EVP_Digest(at, len, ret, NULL, EVP_sha1(), NULL) == 1;
}

/* ~/.aws/sso/cache/HASH.json. NULL without memory. */
static char *find_path(const struct sso_settings *settings) {
    const char *key = settings->session ? settings->session : settings->start_url;
    uint8_t digest[SHA1_LEN];
    char hex[2 * SHA1_LEN + 1], below[64 + sizeof hex];
    if (!hash(key, strlen(key), digest))
        return NULL;
    for (size_t i = 0; i < SHA1_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(below, sizeof below, ".aws/sso/cache/%s.json", hex);
    return shared_file_in_home(below);
}

static void cached_clear(struct cached *cached) {
    free(cached->path);
    buf_free_secret(&cached->text);
    sso_token_clear(&cached->token);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static int write_all(int fd, const struct buf *text) {
    for (size_t done = 0; done < text->len;) {
        ssize_t n = write(fd, text->at + done, text->len - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* As root for a user, the file stays the user's. */
static int keep_owner(int fd, const char *path) {
    struct stat old, new;
    if (stat(path, &old) < 0 || fstat(fd, &new) < 0)
        return -errno;
    if (old.st_uid == new.st_uid && old.st_gid == new.st_gid)
        return 0;
    return fchown(fd, old.st_uid, old.st_gid) < 0 ? -errno : 0;
}

/* Puts the text in the place of the file's. Returns 0 or -errno: then the file is what it was. */
static int replace(const char *path, const struct buf *text) {
    char *fresh = NULL;
    if (asprintf(&fresh, "%s.XXXXXX", path) < 0)
        return -ENOMEM;
    int fd = mkostemp(fresh, O_CLOEXEC);
    int err = fd < 0 ? -errno : keep_owner(fd, path);
    if (!err)
        err = write_all(fd, text);
    if (fd >= 0 && close(fd) < 0 && !err)
        err = -errno;
    if (!err && rename(fresh, path) < 0)
        err = -errno;
    if (err && fd >= 0)
        unlink(fresh);
    free(fresh);
    return err;
}

/* --- What could not be written ---------------------------------------------------------------- */

static struct unsaved **find_unsaved(const char *path) {
    struct unsaved **at = &all_unsaved;
    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static void forget_unsaved(struct unsaved **at) {
    struct unsaved *gone = *at;
    if (!gone)
        return;
    *at = gone->next;
    free(gone->path);
    buf_free_secret(&gone->text);
    free(gone);
}

/* Keeps the text for the file. Returns 0 or -ENOMEM. */
static int keep_unsaved(const struct cached *cached) {
    struct unsaved *unsaved = calloc(1, sizeof *unsaved);
    char *path = strdup(cached->path);
    struct buf text;
    buf_init_secret(&text, TOKEN_FILE_MAX);
    if (!unsaved || !path || buf_append(&text, cached->text.at, cached->text.len)) {
        free(unsaved);
        free(path);
        return -ENOMEM;
    }
    forget_unsaved(find_unsaved(path));
    *unsaved = (struct unsaved){.next = all_unsaved, .path = path, .text = text};
    memcpy(unsaved->over, cached->on_disk, SHA1_LEN);
    all_unsaved = unsaved;
    return 0;
}

/* Takes the unsaved text in the place of the file's, and tries again to write it. Where the file
 * has changed, it is the file's that holds. */
static int take_unsaved(struct cached *cached) {
    struct unsaved **at = find_unsaved(cached->path);
    if (!*at)
        return 0;
    if (memcmp((*at)->over, cached->on_disk, SHA1_LEN) != 0) {
        forget_unsaved(at);
        return 0;
    }
    buf_reset(&cached->text);
    int err = buf_append(&cached->text, (*at)->text.at, (*at)->text.len);
    if (!err && replace(cached->path, &cached->text) == 0)
        forget_unsaved(at);
    return err;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int refuse_file(const struct sso_settings *settings, const struct cached *cached,
                       const char *why, struct fault *fault) {
    return fault_set(fault, -EACCES,
                     "profile '%s' is not signed in to IAM Identity Center: its token in %s cannot "
                     "be read: %s: run %s",
                     settings->profile, cached->path, why, settings->login);
}

/* Reads the file anew. */
static int load(const struct sso_settings *settings, struct cached *cached, struct fault *fault) {
    buf_reset(&cached->text);
    sso_token_clear(&cached->token);
    const char *why = token_file_try(cached->path, &cached->text);
    if (why) {
        /* Signed out: what was given before is to be used no more. */
        forget_unsaved(find_unsaved(cached->path));
        return refuse_file(settings, cached, why, fault);
    }
    if (!hash(cached->text.at, cached->text.len, cached->on_disk) || take_unsaved(cached))
        return out_of_memory(fault);
    int err = sso_token_parse((const char *)cached->text.at, cached->text.len, &cached->token);
    if (err == -ENOMEM)
        return out_of_memory(fault);
    return err ? refuse_file(settings, cached, "it holds no token", fault) : 0;
}

static int64_t left_s(const struct cached *cached) {
    return cached->token.expires - server_clock_now(cached->clock);
}

/* --- Renewing --------------------------------------------------------------------------------- */

static bool can_be_renewed(const struct sso_settings *settings, const struct cached *cached) {
    const struct sso_token *token = &cached->token;
    return settings->session && token->refresh_token && token->client_id && token->client_secret &&
           token->registration_expires > server_clock_now(cached->clock);
}

/* Puts the new token into the text, on the disk where that can be. */
static int put(struct cached *cached, const struct sso_token *created) {
    struct buf text;
    buf_init_secret(&text, TOKEN_FILE_MAX);
    int err = sso_token_write((const char *)cached->text.at, cached->text.len, created, &text);
    if (err) {
        buf_free_secret(&text);
        return err;
    }
    buf_free_secret(&cached->text);
    cached->text = text;
    if (replace(cached->path, &cached->text) < 0)
        return keep_unsaved(cached);
    forget_unsaved(find_unsaved(cached->path));
    return 0;
}

static int renew(const struct sso_settings *settings, const struct credentials_network *network,
                 struct cached *cached, struct fault *fault) {
    struct sso_token created;
    int err = sso_create_token(settings, network, &cached->token, &created, fault);
    if (err)
        return err;
    err = put(cached, &created);
    sso_token_clear(&created);
    if (!err) {
        sso_token_clear(&cached->token);
        err = sso_token_parse((const char *)cached->text.at, cached->text.len, &cached->token);
    }
    return err ? out_of_memory(fault) : 0;
}

/* Where it cannot be renewed, another program may have done so, by which the refresh token was used
 * up; else the old token is good as long as it lasts. */
static int renew_or_go_on(const struct sso_settings *settings,
                          const struct credentials_network *network, struct cached *cached,
                          struct fault *fault) {
    struct fault why = {.text = ""};
    int failed = renew(settings, network, cached, &why);
    int err = failed ? load(settings, cached, fault) : 0;
    if (!failed || err || left_s(cached) > 0)
        return err;
    return fault_set(fault, failed, "%s", why.text);
}

static int get(const struct sso_settings *settings, const struct credentials_network *network,
               struct cached *cached, struct fault *fault) {
    int err = load(settings, cached, fault);
    if (!err && left_s(cached) < RENEW_BEFORE_S && can_be_renewed(settings, cached))
        err = renew_or_go_on(settings, network, cached, fault);
    if (!err && left_s(cached) <= 0)
        err = fault_set(fault, -EACCES,
                        "profile '%s' is no longer signed in to IAM Identity Center, since its "
                        "token in %s has expired: run %s",
                        settings->profile, cached->path, settings->login);
    return err;
}

int sso_token_get(const struct sso_settings *settings, const struct credentials_network *network,
                  char **ret, struct fault *fault) {
    struct cached cached = {.path = find_path(settings), .clock = network->clock};
    if (!cached.path)
        return out_of_memory(fault);
    buf_init_secret(&cached.text, TOKEN_FILE_MAX);
    pthread_mutex_lock(&lock);
    int err = get(settings, network, &cached, fault);
    pthread_mutex_unlock(&lock);
    if (!err) {
        *ret = cached.token.access_token;
        cached.token.access_token = NULL;
    }
    cached_clear(&cached);
    return err;
}
