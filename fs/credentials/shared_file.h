/*
 * The two files that the AWS CLI and the SDKs share: the credentials file and the config file.
 *
 * A file is kept in memory, as the secret that it is, and read again when it has changed (device,
 * inode, size, times of modification and change). Not thread-safe.
 */
#ifndef MACIEFS_SHARED_FILE_H
#define MACIEFS_SHARED_FILE_H

#include <maciefs/credentials.h>
#include <stddef.h>
#include <sys/stat.h>

#define SHARED_FILE_MAX (1024 * 1024) /* bytes; a larger one is refused */

struct shared_file {
    char *path;
    enum profile_section kind; /* of its profiles */
    struct stat seen;          /* when `text` was read */
    char *text;                /* NULL where there is no such file */
    size_t len;
};

/* In place, without reading. They return 0 or -ENOMEM. */
int shared_file_init_credentials(struct shared_file *file);
int shared_file_init_config(struct shared_file *file);

/* Clears and frees. Accepts a zeroed one. */
void shared_file_clean_up(struct shared_file *file);

/*
 * Reads the file, if it has changed. One that is missing, or not a regular file (/dev/null is a
 * usual way to have none), is an empty one. Errors, with a fault that names the file: -EFBIG,
 * -ENOMEM, and open's and read's.
 */
int shared_file_refresh(struct shared_file *file, struct fault *fault);

/* profile_file_lookup in what was read. */
int shared_file_lookup(const struct shared_file *file, const char *profile, const char *name,
                       char **ret);

/* A path below the user's home; below "/" where there is none. NULL without memory. */
char *shared_file_in_home(const char *below);

/* The profile to use: `profile`; else AWS_PROFILE's; else NULL, which means "default". */
const char *shared_file_named_profile(const char *profile);

#endif
