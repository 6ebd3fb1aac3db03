/*
 * Bytes into a file, at an offset.
 */
#ifndef MACIEFS_FILE_SINK_H
#define MACIEFS_FILE_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Writes everything at an offset, which stays where it was for others. Returns 0 or -errno. */
int file_pwrite(int fd, const uint8_t *at, size_t len, uint64_t offset);

/* Where the next bytes go. */
struct file_sink {
    int fd;
    uint64_t offset;
};

/* A bytes_sink for a `struct file_sink`. Returns 0 or -errno. */
int file_sink_write(void *sink, const uint8_t *at, size_t len);

/*
 * The same for several pieces at once, which are used up: the kernel takes long writes in larger
 * steps. At most IOV_MAX pieces, of at least one byte each. Returns 0 or -errno.
 */
int file_sink_write_pieces(struct file_sink *sink, struct iovec *pieces, int count);

#endif
