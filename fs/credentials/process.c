#include "credentials_json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_MS (60 * 1000)

extern char **environ;

struct process_provider {
    struct credentials_provider base;
    char *profile; /* NULL as in credentials_profile_new */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Starts the command in a process group of its own, its output going to `out`. Returns 0 or
 * -errno. */
static int start(const char *command, int out, pid_t *ret) {
    char *const arguments[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    int err = posix_spawn(ret, "/bin/sh", &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return -err;
}

/* Reads all output up to a time. Returns 0, -ETIMEDOUT, -EMSGSIZE, or -errno. */
static int read_output(int fd, int64_t end, struct buf *ret) {
    char piece[4096];
    ssize_t got = 1;
    int err = 0;
    while (!err && got != 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        int n = left > 0 ? poll(&ready, 1, (int)left) : 0;
        if (n == 0)
            err = -ETIMEDOUT;
        else if (n > 0 && (got = read(fd, piece, sizeof piece)) > 0)
            err = buf_append(ret, piece, (size_t)got);
        else if ((n < 0 || got < 0) && errno != EINTR)
            err = -errno;
    }
    explicit_bzero(piece, sizeof piece);
    return err;
}

/* Waits for its end up to a time, after which it is killed with all that it started. */
static int finish(pid_t pid, int64_t end) {
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < end)
        nanosleep(&pause, NULL);
    if (ended != 0)
        return status;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int run(const char *command, struct buf *output, int *ret_status) {
    int ends[2];
    int64_t end = now_ms() + TIME_LIMIT_MS;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int err = start(command, ends[1], &pid);
    close(ends[1]);
    if (!err) {
        err = read_output(ends[0], end, output);
        *ret_status = finish(pid, err ? 0 : end);
    }
    close(ends[0]);
    return err;
}

static int explain(int err, int status, struct fault *fault) {
    if (err == -ETIMEDOUT)
        return fault_set(fault, -EACCES, "the profile's credential_process did not end in %d s",
                         TIME_LIMIT_MS / 1000);
    if (err == -EMSGSIZE)
        return fault_set(fault, -EACCES, "the profile's credential_process writes too much");
    if (err)
        return fault_set(fault, err == -ENOMEM ? err : -EACCES,
                         "the profile's credential_process cannot be run: %s",
                         strerrordesc_np(-err));
    if (WIFSIGNALED(status))
        return fault_set(fault, -EACCES, "the profile's credential_process ended by signal %d",
                         WTERMSIG(status));
    return fault_set(fault, -EACCES,
                     "the profile's credential_process failed with exit status %d: run it by hand "
                     "to see why",
                     WEXITSTATUS(status));
}

static int read_credentials(const char *command, struct credentials *ret, struct fault *fault) {
    struct buf output;
    int status = 0;
    buf_init_secret(&output, CREDENTIALS_JSON_MAX);
    int err = run(command, &output, &status);
    if (err || status != 0) {
        err = explain(err, status, fault);
    } else {
        err = credentials_json_parse((const char *)output.at, output.len, ret);
        if (err)
            err = fault_set(fault, err == -ENOMEM ? err : -EACCES,
                            "the profile's credential_process writes what are no credentials: run "
                            "it by hand, and compare with what the AWS CLI wants of it");
    }
    buf_free_secret(&output);
    return err;
}

static int get(struct credentials_provider *base, struct credentials *ret, struct fault *fault) {
    const struct process_provider *provider = (struct process_provider *)base;
    char *command;
    int err = profile_setting(provider->profile, "credential_process", &command, fault);
    if (err)
        return err;
    err = read_credentials(command, ret, fault);
    free(command);
    return err;
}

static void free_provider(struct credentials_provider *base) {
    struct process_provider *provider = (struct process_provider *)base;
    free(provider->profile);
    free(provider);
}

struct credentials_provider *credentials_process_new(const char *profile) {
    struct process_provider *provider = calloc(1, sizeof *provider);
    if (!provider)
        return NULL;
    provider->base = (struct credentials_provider){
        .name = "the profile's credential_process", .get = get, .free = free_provider};
    provider->profile = profile ? strdup(profile) : NULL;
    if (!profile || provider->profile)
        return &provider->base;
    free(provider);
    return NULL;
}
