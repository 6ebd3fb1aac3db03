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

/* Drops the bytes that were written from the pieces' beginning. */
static void advance(struct iovec **pieces, int *count, size_t written) {
    while (*count > 0 && written >= (*pieces)->iov_len) {
        written -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    if (written > 0) {
        (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + written;
        (*pieces)->iov_len -= written;
    }
}

int file_sink_write_pieces(struct file_sink *sink, struct iovec *pieces, int count) {
    while (count > 0) {
        ssize_t n = pwritev(sink->fd, pieces, count, (off_t)sink->offset);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            sink->offset += (uint64_t)n;
            advance(&pieces, &count, (size_t)n);
        }
    }
    return 0;
}

int file_sink_write(void *ctx, const uint8_t *at, size_t len) {
    struct file_sink *sink = ctx;
    int err = file_pwrite(sink->fd, at, len, sink->offset);
    if (!err)
        sink->offset += len;
    return err;
}
