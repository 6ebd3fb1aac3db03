#include <maciefs/file_range.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int file_range_open(int folder, const char *path, uint64_t offset, size_t len,
                    struct file_range *ret) {
    struct stat st;
    *ret = (struct file_range){.fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
                               .offset = offset};
    if (ret->fd < 0)
        return errno == ENOENT ? -ENODATA : -errno;
    int err = fstat(ret->fd, &st) < 0 ? -errno : 0;
    uint64_t end = err ? 0 : (uint64_t)st.st_size;
    if (offset < end)
        ret->len = len < end - offset ? len : (size_t)(end - offset);
    if (ret->len == 0)
        file_range_close(ret);
    return err;
}

ssize_t file_range_read(struct file_range *range, void *at) {
    if (range->fd < 0)
        return 0;
    ssize_t n = pread(range->fd, at, range->len, (off_t)range->offset);
    if (n < 0)
        n = -errno;
    file_range_close(range);
    return n;
}

void file_range_close(struct file_range *range) {
    if (range->fd >= 0)
        close(range->fd);
    range->fd = -1;
}
