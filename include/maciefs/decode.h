/*
 * Stored bytes → plain bytes.
 *
 * An object is decoded by what it begins with, never by its name, as a stream: bytes are pushed in
 * as they arrive, plain bytes come out at the sink. Memory is a few windows, or a small object and
 * what it decodes to, whatever the object holds; a decoded size above the limit counts as damage,
 * so that a bomb costs time alone.
 *
 * Formats (RFC 1952 gzip: any number of members, zero padding behind them; APPNOTE.TXT zip: all
 * entries one behind the other, stored or deflated, sizes behind the data, zip64; Snappy's
 * framing_format.txt with its masked CRC-32C; Hadoop's block format: big-endian lengths around raw
 * Snappy blocks, told from plain bytes by lengths that fit; anything else is plain). An object that
 * is nothing but the beginning of what tells a format was cut off there.
 *
 * Damage never takes back what was sent to the sink before it.
 */
#ifndef MACIEFS_DECODE_H
#define MACIEFS_DECODE_H

#include <maciefs/bytes.h>

struct decoder;

/* A good `whole_max`, in bytes: what Firehose delivers of Macie events is mostly smaller. */
#define DECODER_WHOLE_MAX ((size_t)256 * 1024)

/*
 * Returns a decoder on the heap, to be freed by decoder_free, or NULL without memory.
 * `max_decoded`: bytes it may send to the sink.
 * `whole_max`: stored bytes up to which it may hold an object until its end, and decode it at once
 * where its format is quicker that way; 0 streams any.
 */
struct decoder *decoder_new(uint64_t max_decoded, size_t whole_max, bytes_sink sink, void *ctx);

/*
 * Takes the next stored bytes. Returns 0; -EBADMSG where the object is damaged (see
 * decoder_reason); -ENOMEM; -ENOSYS for Snappy in a build without it; or the sink's own error.
 * After an error it takes nothing and returns that error again, until it is reset.
 */
int decoder_feed(struct decoder *decoder, const uint8_t *at, size_t len);

/* The object ends here. Returns 0, or errors as decoder_feed; -EBADMSG too where it ends too soon.
 */
int decoder_finish(struct decoder *decoder);

/* Begins anew with the same limit and sink, keeping the memory. */
void decoder_reset(struct decoder *decoder);

/* Why the object is damaged: a static clause ("its gzip checksum is wrong"), or NULL. */
const char *decoder_reason(const struct decoder *decoder);

/* How many stored bytes were taken when the damage was met, or until now. */
uint64_t decoder_offset(const struct decoder *decoder);

/* The format as users know it: "gzip", "zip", "snappy", "hadoop-snappy", "plain". */
const char *decoder_format(const struct decoder *decoder);

void decoder_free(struct decoder *decoder); /* accepts NULL */

#endif
