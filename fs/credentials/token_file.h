/* A token in a file, which is renewed under the same name, often by a link that moves. */
#ifndef MACIEFS_CREDENTIALS_TOKEN_FILE_H
#define MACIEFS_CREDENTIALS_TOKEN_FILE_H

#include <maciefs/bytes.h>
#include <maciefs/fault.h>

#define TOKEN_FILE_MAX (64u << 10) /* bytes of it */

/*
 * Appends the file's text, without white space at its end. It is a secret. Returns 0; -ENOMEM; or
 * -EACCES, with a fault that names `setting`, which named the file, and the cause.
 */
int token_file_read(const char *path, const char *setting, struct buf *ret, struct fault *fault);

/* The same. Returns NULL, or why it cannot be read. */
const char *token_file_try(const char *path, struct buf *ret);

#endif
