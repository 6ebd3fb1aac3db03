/* A stretch of a file that is open for whoever reads it. */
#ifndef MACIEFS_FILE_RANGE_H
#define MACIEFS_FILE_RANGE_H

#include <stdint.h>
#include <sys/types.h>

struct file_range {
    int fd; /* the caller's to close; -1 where there is nothing to read */
    uint64_t offset;
    size_t len;
};

/*
 * Opens `path` in `folder` for a stretch of `len` bytes at `offset`: fewer where the file ends
 * before, none (fd -1) behind its end. Returns 0; -ENODATA where there is no such file; or -errno.
 */
int file_range_open(int folder, const char *path, uint64_t offset, size_t len,
                    struct file_range *ret);

/* Reads it into `at`, and closes it. Returns the bytes' number, or -errno. */
ssize_t file_range_read(struct file_range *range, void *at);

/* Closes it unread. */
void file_range_close(struct file_range *range);

#endif
