#include <maciefs/mountpoint.h>

#include <maciefs/mounts.h>
#include <maciefs/program.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SAID_MAX 512
#define FUSE_CONF "/etc/fuse.conf"

struct mountpoint {
    struct fuse_session *session;   /* holds the descriptor; serves nothing; NULL once unmounted */
    char *path;                     /* without symbolic links, as the kernel knows it */
    char *listed;                   /* the path as mountinfo writes it */
    char device[MOUNTS_DEVICE_MAX]; /* of the mounted file system */
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

/* --- what mounting needs -----------------------------------------------------------------------
 */

int mountpoint_check_device(struct fault *fault) {
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
        return fault_set(fault, -ENODEV,
                         "FUSE is not available: load the kernel module with 'modprobe fuse' (a "
                         "container has to be given /dev/fuse)");
    return fault_set(fault, -errno,
                     "cannot open /dev/fuse (%s): it has to be open to all, as udev has it (chmod "
                     "666), and a container has to be given it",
                     strerror(errno));
}

static int no_fusermount(struct fault *fault) {
    return fault_set(fault, -ENOENT,
                     "mounting without root needs fusermount3: install the package fuse3");
}

static int refuse_allow_other(struct fault *fault) {
    return fault_set(fault, -EPERM,
                     "only root may mount with allow_other, unless /etc/fuse.conf has the line "
                     "user_allow_other: add it, or leave allow_other out");
}

static int check_root(struct fault *fault) {
    if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1)
        return 0;
    return fault_set(fault, -EPERM,
                     "root may not mount here: give the container the capability SYS_ADMIN");
}

/* libfuse looks for it in /usr/bin first. */
int mountpoint_check_mounter(char ret[PATH_MAX], struct fault *fault) {
    const char *path = getenv("PATH");
    ret[0] = '\0';
    if (geteuid() == 0)
        return check_root(fault);
    if (program_find("fusermount3", "/usr/bin", ret) ||
        (path && program_find("fusermount3", path, ret)))
        return 0;
    ret[0] = '\0';
    return no_fusermount(fault);
}

/* fusermount3's rules: the word alone on its line, white space aside. */
static bool conf_allows_other(void) {
    FILE *file = fopen(FUSE_CONF, "re");
    if (!file)
        return false;
    bool allows = false;
    char *line = NULL, word[32];
    size_t size = 0;
    int end = 0;
    while (!allows && getline(&line, &size, file) >= 0)
        allows = sscanf(line, " %31s %n", word, &end) == 1 && line[end] == '\0' &&
                 strcmp(word, "user_allow_other") == 0;
    free(line);
    fclose(file);
    return allows;
}

int mountpoint_check_allow_other(struct fault *fault) {
    return geteuid() == 0 || conf_allows_other() ? 0 : refuse_allow_other(fault);
}

/* --- what is mounted ---------------------------------------------------------------------------
 */

/* The kernel reports an error on the descriptor once its file system is gone. */
static bool connection_lives(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, 0) >= 0 && !(pollfd.revents & (POLLERR | POLLNVAL));
}

static bool still_ours(const struct mountpoint *mountpoint) {
    struct mounted top;
    return mounts_find(mountpoint->listed, &top) && strcmp(top.device, mountpoint->device) == 0 &&
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
        return refuse_allow_other(fault);
    if (strstr(said, "failed to exec"))
        return no_fusermount(fault);
    return fault_set(fault, err, "cannot mount on %s: %s", path, *said ? said : strerror(-err));
}

int mountpoint_mount(const struct config *config, const char *source, struct mountpoint **ret,
                     struct fault *fault) {
    int err = mountpoint_check_device(fault);
    if (err)
        return err;
    struct mountpoint *mountpoint = calloc(1, sizeof *mountpoint);
    if (!mountpoint)
        return fault_set(fault, -ENOMEM, "memory is exhausted");
    char *options = NULL, said[SAID_MAX] = "";
    mountpoint->path = realpath(config->mountpoint, NULL);
    if (!mountpoint->path)
        err = -errno;
    else if (!(mountpoint->listed = mounts_listed_path(mountpoint->path)))
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
    struct mounted top;
    if (mounts_find(mountpoint->listed, &top))
        memcpy(mountpoint->device, top.device, sizeof top.device);
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
