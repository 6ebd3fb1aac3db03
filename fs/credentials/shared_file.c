#include "shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWD_MAX 16384

static const char *non_empty_env(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

char *shared_file_in_home(const char *below) {
    char entry[PASSWD_MAX];
    struct passwd user, *found = NULL;
    const char *home = non_empty_env("HOME");
    if (!home && getpwuid_r(getuid(), &user, entry, sizeof entry, &found) == 0 && found)
        home = user.pw_dir;
    char *path = NULL;
    return asprintf(&path, "%s/%s", home ? home : "", below) < 0 ? NULL : path;
}

static int init(struct shared_file *file, const char *variable, const char *below_home,
                enum profile_section kind) {
    const char *given = non_empty_env(variable);
    char *path = NULL;
    if (!given)
        path = shared_file_in_home(below_home);
    else if (strncmp(given, "~/", 2) == 0)
        path = shared_file_in_home(given + 2);
    else
        path = strdup(given);
    if (!path)
        return -ENOMEM;
    *file = (struct shared_file){.path = path, .kind = kind};
    return 0;
}

int shared_file_init_credentials(struct shared_file *file) {
    return init(file, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", SECTION_BARE);
}

int shared_file_init_config(struct shared_file *file) {
    return init(file, "AWS_CONFIG_FILE", ".aws/config", SECTION_PROFILE);
}

static void forget(struct shared_file *file) {
    if (file->text)
        OPENSSL_cleanse(file->text, file->len);
    free(file->text);
    file->text = NULL;
    file->len = 0;
}

void shared_file_clean_up(struct shared_file *file) {
    forget(file);
    free(file->path);
    file->path = NULL;
}

static bool is_same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_unchanged(const struct shared_file *file, const struct stat *now) {
    const struct stat *seen = &file->seen;
    return file->text && seen->st_dev == now->st_dev && seen->st_ino == now->st_ino &&
           seen->st_size == now->st_size && is_same_time(seen->st_mtim, now->st_mtim) &&
           is_same_time(seen->st_ctim, now->st_ctim);
}

/* Reads `size` bytes, or those up to the end. Returns how many, or a negative errno. */
static ssize_t read_all(int fd, char *at, size_t size) {
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, at + len, size - len);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        if (got > 0)
            len += (size_t)got;
    }
    return (ssize_t)len;
}

/* Takes the bytes that the file had when `now` was asked for; should it grow meanwhile, the next
 * refresh sees that. */
static int load(struct shared_file *file, int fd, const struct stat *now, struct fault *fault) {
    if (now->st_size > SHARED_FILE_MAX)
        return fault_set(fault, -EFBIG, "%s is larger than 1 MiB: it is no file of AWS profiles",
                         file->path);
    size_t size = (size_t)now->st_size;
    char *text = malloc(size + 1);
    if (!text)
        return fault_set(fault, -ENOMEM, "no memory to read %s", file->path);
    ssize_t len = read_all(fd, text, size);
    if (len < 0) {
        OPENSSL_cleanse(text, size);
        free(text);
        return fault_set(fault, (int)len, "cannot read %s: %s", file->path, strerror((int)-len));
    }
    forget(file);
    file->text = text;
    file->len = (size_t)len;
    file->seen = *now;
    return 0;
}

static int refresh_from(struct shared_file *file, int fd, struct fault *fault) {
    struct stat now;
    if (fstat(fd, &now) < 0)
        return fault_set(fault, -errno, "cannot read %s: %s", file->path, strerror(errno));
    if (!S_ISREG(now.st_mode)) {
        forget(file);
        return 0;
    }
    return is_unchanged(file, &now) ? 0 : load(file, fd, &now, fault);
}

int shared_file_refresh(struct shared_file *file, struct fault *fault) {
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        forget(file);
        return 0;
    }
    if (fd < 0)
        return fault_set(fault, -errno, "cannot read %s: %s", file->path, strerror(errno));
    int err = refresh_from(file, fd, fault);
    close(fd);
    return err;
}

int shared_file_lookup(const struct shared_file *file, const char *profile, const char *name,
                       char **ret) {
    return profile_file_lookup(file->text, file->len, file->kind, profile, name, ret);
}

const char *shared_file_named_profile(const char *profile) {
    return profile ? profile : non_empty_env("AWS_PROFILE");
}
