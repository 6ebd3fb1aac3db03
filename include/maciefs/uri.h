/*
 * Percent-encoding (RFC 3986), as S3's requests need it and the journal uses it.
 */
#ifndef MACIEFS_URI_H
#define MACIEFS_URI_H

#include <maciefs/bytes.h>
#include <stdbool.h>

/*
 * Appends `text` encoded as URIs in S3 need it: all but A-Z a-z 0-9 - . _ ~ (and '/', where kept)
 * as %XX, upper case. Returns 0 or buf_append's errors.
 */
int uri_encode(struct buf *out, const char *text, size_t len, bool keep_slash);

#endif
