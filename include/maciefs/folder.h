/*
 * A local folder as a source: the embedded default, which needs no server and no cloud.
 *
 * The folder is laid out like the bucket's prefix, as a bucket sync leaves it. Keys are the paths
 * of its regular files; they are listed in byte order of the whole path, as S3 does. LastModified
 * is the file's mtime, the ETag its size, mtime in nanoseconds and inode. A file is listed once its
 * mtime is a whole second past, so that one still being written is left for later. Symbolic links
 * are followed for the folder itself alone.
 */
#ifndef MACIEFS_FOLDER_H
#define MACIEFS_FOLDER_H

#include <maciefs/source.h>

/*
 * Makes the source without looking at the folder, which each call opens anew: listing one that is
 * not there is -ENOENT. Errors: -ENOMEM.
 */
int folder_source_new(const struct config *config, struct source **ret, struct fault *fault);

#endif
