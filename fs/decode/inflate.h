/* A deflated stream (RFC 1951), bare or in a gzip member, through zlib. */
#ifndef MACIEFS_INFLATE_H
#define MACIEFS_INFLATE_H

#include "format.h"

#include <zlib.h>

/*
 * Inflates `in`, at most 4 GiB of it, or up to where the stream ends or breaks, and writes what
 * comes out window by window; also what comes out of the bytes before a break.
 * Returns 0 with zlib's code (Z_OK: it goes on; Z_STREAM_END; Z_DATA_ERROR, with the reason in
 * z->msg); -ENOMEM; or the sink's error.
 */
int inflate_span(z_stream *z, struct span *in, uint8_t window[OUTPUT_WINDOW], bytes_sink sink,
                 void *ctx, int *ret_code);

#endif
