/*
 * The key that a customer encrypts objects with, and S3 decrypts them with and forgets (SSE-C).
 * Source: S3 User Guide, "Specifying server-side encryption with customer-provided keys".
 */
#ifndef MACIEFS_S3_CUSTOMER_KEY_H
#define MACIEFS_S3_CUSTOMER_KEY_H

#include <maciefs/fault.h>

/* As the headers of a request have it: base64. A zeroed one is none. Secret. */
struct customer_key {
    char key[45]; /* of 32 bytes */
    char md5[25]; /* of these bytes' MD5 */
};

/*
 * Reads a file of 32 bytes, or of their base64 and a line end. Returns 0 and a key to be cleared;
 * or a fault that names the file: -EACCES where it cannot be read, or others than its owner may
 * read it; -EINVAL where it holds no key; -EIO where OpenSSL allows no MD5.
 */
int customer_key_read(const char *path, struct customer_key *ret, struct fault *fault);

void customer_key_clear(struct customer_key *key);

#endif
