#include "sts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX (64u << 10)

struct web_identity {
    struct credentials_provider base;
    char *name;                   /* base.name's memory */
    struct credentials_role role; /* without an ARN: the environment's */
    char *token_file;
    const struct credentials_network *network;
};

static const char *non_empty_env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int refuse_token(const char *path, const char *why, struct fault *fault) {
    return fault_set(fault, -EACCES,
                     "the web identity token in %s cannot be read: %s: check "
                     "AWS_WEB_IDENTITY_TOKEN_FILE, or the profile's web_identity_token_file",
                     path, why);
}

/* Reads up to the end. Returns 0, or a negative errno; -EMSGSIZE past the limit. */
static int read_all(int fd, struct buf *token) {
    char piece[4096];
    ssize_t got = 1;
    int err = 0;
    while (got != 0 && !err) {
        got = read(fd, piece, sizeof piece);
        if (got > 0)
            err = buf_append(token, piece, (size_t)got);
        else if (got < 0 && errno != EINTR)
            err = -errno;
    }
    explicit_bzero(piece, sizeof piece);
    return err;
}

static void cut_white_space(struct buf *token) {
    while (token->len > 0 && strchr(" \t\r\n", token->at[token->len - 1]))
        token->len--;
}

static int take_token(const char *path, int fd, struct buf *token, struct fault *fault) {
    struct stat now;
    if (fstat(fd, &now) < 0)
        return refuse_token(path, strerrordesc_np(errno), fault);
    if (!S_ISREG(now.st_mode))
        return refuse_token(path, "it is no regular file", fault);
    int err = read_all(fd, token);
    if (err == -ENOMEM)
        return fault_set(fault, err, "no memory to read %s", path);
    if (err == -EMSGSIZE)
        return refuse_token(path, "it is larger than 64 KiB", fault);
    if (err)
        return refuse_token(path, strerrordesc_np(-err), fault);
    cut_white_space(token);
    return token->len ? 0 : refuse_token(path, "it is empty", fault);
}

/* Anew each time: it is renewed under the same name, often by a link that moves. */
static int read_token(const char *path, struct buf *token, struct fault *fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return refuse_token(path, strerrordesc_np(errno), fault);
    int err = take_token(path, fd, token, fault);
    close(fd);
    return err;
}

static int ask(const struct web_identity *provider, const struct credentials_role *role,
               const char *token_file, struct credentials *ret, struct fault *fault) {
    const struct sts_call call = {.role = role, .network = provider->network};
    struct buf token;
    buf_init(&token, TOKEN_MAX);
    int err = read_token(token_file, &token, fault);
    if (!err)
        err = sts_assume_role_with_web_identity(&call, &token, ret, fault);
    buf_free_secret(&token);
    return err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    struct web_identity *provider = (struct web_identity *)base;
    if (provider->token_file)
        return ask(provider, &provider->role, provider->token_file, ret, fault);
    const char *file = non_empty_env("AWS_WEB_IDENTITY_TOKEN_FILE");
    struct credentials_role role = provider->role;
    role.role_arn = non_empty_env("AWS_ROLE_ARN");
    role.session_name = non_empty_env("AWS_ROLE_SESSION_NAME");
    /* A role alone says nothing: other tools read it too. */
    if (!file)
        return -ENOENT;
    if (!role.role_arn)
        return fault_set(fault, -EACCES,
                         "AWS_WEB_IDENTITY_TOKEN_FILE is set in the environment, but AWS_ROLE_ARN "
                         "is not: set both or neither");
    return ask(provider, &role, file, ret, fault);
}

static void free_provider(struct credentials_provider *base) {
    struct web_identity *provider = (struct web_identity *)base;
    sts_role_clear(&provider->role);
    free(provider->token_file);
    free(provider->name);
    free(provider);
}

/* `token_file`: NULL for the environment's, and its role. */
static struct credentials_provider *make(const struct credentials_role *role,
                                         const char *token_file,
                                         const struct credentials_network *network) {
    struct web_identity *provider = calloc(1, sizeof *provider);
    if (!provider)
        return NULL;
    provider->base = (struct credentials_provider){.get = get, .free = free_provider};
    provider->network = network;
    provider->token_file = token_file ? strdup(token_file) : NULL;
    if (asprintf(&provider->name, "the web identity%s%s", token_file ? " of role " : "",
                 token_file ? role->role_arn : "") < 0)
        provider->name = NULL;
    provider->base.name = provider->name;
    if (sts_role_copy(role, &provider->role) == 0 && provider->name &&
        (provider->token_file || !token_file))
        return &provider->base;
    free_provider(&provider->base);
    return NULL;
}

struct credentials_provider *
credentials_web_identity_new(const char *region, const struct credentials_network *network) {
    const struct credentials_role role = {.region = region};
    return make(&role, NULL, network);
}

struct credentials_provider *
credentials_web_identity_role_new(const struct credentials_role *role, const char *token_file,
                                  const struct credentials_network *network) {
    return make(role, token_file, network);
}
