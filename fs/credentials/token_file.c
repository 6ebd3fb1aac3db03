#include "token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads up to the end. Returns 0, or a negative errno; -EMSGSIZE past the buffer's limit. */
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

static void cut_white_space(struct buf *token, size_t from) {
    while (token->len > from && memchr(" \t\r\n", token->at[token->len - 1], 4))
        token->len--;
}

/* Returns NULL, or why it cannot be read. */
static const char *take(int fd, struct buf *token) {
    size_t from = token->len;
    struct stat now;
    if (fstat(fd, &now) < 0)
        return strerrordesc_np(errno);
    if (!S_ISREG(now.st_mode))
        return "it is no regular file";
    int err = read_all(fd, token);
    if (err)
        return err == -EMSGSIZE ? "it is larger than 64 KiB" : strerrordesc_np(-err);
    cut_white_space(token, from);
    return token->len > from ? NULL : "it is empty";
}

const char *token_file_try(const char *path, struct buf *ret) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why = fd < 0 ? strerrordesc_np(errno) : take(fd, ret);
    if (fd >= 0)
        close(fd);
    return why;
}

int token_file_read(const char *path, const char *setting, struct buf *ret, struct fault *fault) {
    const char *why = token_file_try(path, ret);
    return why ? fault_set(fault, -EACCES, "the token in %s cannot be read: %s: check %s", path,
                           why, setting)
               : 0;
}
