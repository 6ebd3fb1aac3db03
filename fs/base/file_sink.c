#include <maciefs/crc32c.h>
#include <maciefs/file_sink.h>

#include <errno.h>
#include <unistd.h>

int file_pwrite(int fd, const uint8_t *at, size_t len, uint64_t offset) {
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

int file_sink_write(void *ctx, const uint8_t *at, size_t len) {
    struct file_sink *sink = ctx;
    int err = file_pwrite(sink->fd, at, len, sink->offset);
    if (err)
        return err;
    sink->offset += len;
    sink->crc32c = crc32c(sink->crc32c, at, len);
    return 0;
}
