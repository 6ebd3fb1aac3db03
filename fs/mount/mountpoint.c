#include <maciefs/mountpoint.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SAID_MAX 512
#define DEVICE_MAX 32

struct mountpoint {
    struct fuse_session *session; /* holds the descriptor; serves nothing; NULL once unmounted */
    char *path;                   /* without symbolic links, as the kernel knows it */
    char *listed;                 /* the path as mountinfo writes it */
    char device[DEVICE_MAX];      /* "major:minor" of the mounted file system */
};

/* --- stderr, caught ----------------------------------------------------------------------------
 */

struct catch {
    int memory;
    int stderr_kept;
};

static int catch_begin(struct catch *catch) {
    *catch = (struct catch){.memory = memfd_create("stderr", MFD_CLOEXEC)};
    if (catch->memory < 0)
        return -errno;
    catch->stderr_kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    dup2(catch->memory, STDERR_FILENO);
    return 0;
}

/* Puts stderr back and leaves the last line that was caught, without the speaker's name. */
static void catch_end(struct catch *catch, char said[SAID_MAX]) {
    if (catch->stderr_kept >= 0) {
        dup2(catch->stderr_kept, STDERR_FILENO);
        close(catch->stderr_kept);
    } else {
        close(STDERR_FILENO);
    }
    off_t end = lseek(catch->memory, 0, SEEK_END);
    off_t from = end > SAID_MAX - 1 ? end - (SAID_MAX - 1) : 0;
    ssize_t n = pread(catch->memory, said, SAID_MAX - 1, from);
    close(catch->memory);
    while (n > 0 && isspace((unsigned char)said[n - 1]))
        n--;
    said[n < 0 ? 0 : n] = '\0';
    const char *line = strrchr(said, '\n');
    line = line ? line + 1 : said;
    const char *colon = strstr(line, ": ");
    if (colon && strncmp(line, "fuse", 4) == 0)
        line = colon + 2;
    memmove(said, line, strlen(line) + 1);
}

/* --- what is mounted ---------------------------------------------------------------------------
 */

/* Writes white space and backslashes as \ooo, as /proc/self/mountinfo does. */
static char *listed_path(const char *path) {
    char *listed = malloc(4 * strlen(path) + 1);
    if (!listed)
        return NULL;
    char *to = listed;
    for (; *path; path++)
        if (strchr(" \t\n\\", *path))
            to += snprintf(to, 5, "\\%03o", (unsigned char)*path);
        else
            *to++ = *path;
    *to = '\0';
    return listed;
}

/* The n-th (from 0) word of a line; its length in *ret_len. */
static const char *word(const char *line, unsigned n, size_t *ret_len) {
    for (; n > 0 && *line; n--) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    *ret_len = strcspn(line, " \n");
    return line;
}

/*
 * Finds the device number of what is mounted on top at a place; "" where nothing is. Words of a
 * line: proc(5), /proc/pid/mountinfo: mount id, parent id, major:minor, root, mount point, …
 */
static void mounted_device(const char *listed, char device[DEVICE_MAX]) {
    device[0] = '\0';
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return;
    char *line = NULL;
    size_t size = 0, len;
    while (getline(&line, &size, file) >= 0) {
        const char *place = word(line, 4, &len);
        if (len != strlen(listed) || memcmp(place, listed, len) != 0)
            continue;
        const char *at = word(line, 2, &len);
        snprintf(device, DEVICE_MAX, "%.*s", (int)len, at);
    }
    free(line);
    fclose(file);
}

/* The kernel reports an error on the descriptor once its file system is gone. */
static bool connection_lives(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, 0) >= 0 && !(pollfd.revents & (POLLERR | POLLNVAL));
}

static bool still_ours(const struct mountpoint *mountpoint) {
    char device[DEVICE_MAX];
    mounted_device(mountpoint->listed, device);
    return device[0] && strcmp(device, mountpoint->device) == 0 &&
           connection_lives(mountpoint_fd(mountpoint));
}

/* --- mounting ----------------------------------------------------------------------------------
 */

static int add_options(char **options, const struct config *config, const char *source) {
    char *name = NULL;
    if (asprintf(&name, "fsname=%s", source) < 0)
        return -ENOMEM;
    int failed = fuse_opt_add_opt(options, "ro,default_permissions,subtype=maciefs");
    failed |= fuse_opt_add_opt_escaped(options, name);
    if (config->allow_other)
        failed |= fuse_opt_add_opt(options, "allow_other");
    if (config->mount_options && config->mount_options[0])
        failed |= fuse_opt_add_opt(options, config->mount_options);
    free(name);
    return failed ? -ENOMEM : 0;
}

/* Mounts, by libfuse. On failure `said` is what it said last. */
static int mount_session(struct mountpoint *mountpoint, char *options, char said[SAID_MAX]) {
    char *argv[] = {"maciefs", "-o", options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    const struct fuse_lowlevel_ops none = {0};
    struct catch catch;
    int err = catch_begin(&catch);
    if (err)
        return err;
    errno = 0;
    mountpoint->session = fuse_session_new(&args, &none, sizeof none, NULL);
    if (!mountpoint->session)
        err = -EINVAL;
    else if (fuse_session_mount(mountpoint->session, mountpoint->path) != 0)
        err = errno ? -errno : -EIO;
    catch_end(&catch, said);
    fuse_opt_free_args(&args);
    return err;
}

static int explain(const char *path, int err, const char *said, struct fault *fault) {
    if (strstr(said, "user_allow_other"))
        return fault_set(fault, -EPERM,
                         "only root may mount with allow_other, unless /etc/fuse.conf has the line "
                         "user_allow_other: add it, or leave allow_other out");
    if (strstr(said, "failed to exec"))
        return fault_set(fault, -ENOENT,
                         "mounting without root needs fusermount3: install the package fuse3");
    return fault_set(fault, err, "cannot mount on %s: %s", path, *said ? said : strerror(-err));
}

static int check_device(struct fault *fault) {
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
        return fault_set(fault, -ENODEV,
                         "FUSE is not available: load the kernel module with 'modprobe fuse' (a "
                         "container has to be given /dev/fuse)");
    return 0; /* fusermount3 may open what its caller may not */
}

int mountpoint_mount(const struct config *config, const char *source, struct mountpoint **ret,
                     struct fault *fault) {
    int err = check_device(fault);
    if (err)
        return err;
    struct mountpoint *mountpoint = calloc(1, sizeof *mountpoint);
    if (!mountpoint)
        return fault_set(fault, -ENOMEM, "memory is exhausted");
    char *options = NULL, said[SAID_MAX] = "";
    mountpoint->path = realpath(config->mountpoint, NULL);
    if (!mountpoint->path)
        err = -errno;
    else if (!(mountpoint->listed = listed_path(mountpoint->path)))
        err = -ENOMEM;
    if (!err)
        err = add_options(&options, config, source);
    if (!err)
        err = mount_session(mountpoint, options, said);
    free(options);
    if (err) {
        mountpoint_free(mountpoint);
        return explain(config->mountpoint, err, said, fault);
    }
    fcntl(mountpoint_fd(mountpoint), F_SETFD, FD_CLOEXEC);
    mounted_device(mountpoint->listed, mountpoint->device);
    *ret = mountpoint;
    return 0;
}

int mountpoint_fd(const struct mountpoint *mountpoint) {
    return fuse_session_fd(mountpoint->session);
}

static void let_go(struct mountpoint *mountpoint) {
    if (mountpoint->session)
        fuse_session_destroy(mountpoint->session);
    mountpoint->session = NULL;
}

void mountpoint_unmount(struct mountpoint *mountpoint) {
    if (!mountpoint->session)
        return;
    if (still_ours(mountpoint))
        fuse_session_unmount(mountpoint->session);
    let_go(mountpoint);
}

void mountpoint_free(struct mountpoint *mountpoint) {
    if (!mountpoint)
        return;
    let_go(mountpoint);
    free(mountpoint->path);
    free(mountpoint->listed);
    free(mountpoint);
}
