/*
 * The journal of an hour: which objects its log is made of, in their order.
 *
 * A text file beside the log, made to be read by people too. Its first line names format and hour;
 * each line after it is one object, its fields parted by tabs:
 *
 *     maciefs-journal 1 2026/11/24/05
 *     offset length crc32c modified size events lines flags etag key check
 *
 * offset and length are the object's bytes in the log, crc32c is theirs; modified and size are the
 * object's in the bucket; events of the lines are JSON; flags is "-" or "damaged"; etag and key are
 * percent-encoded; check is the CRC-32C of the line before it. A line without its newline or with a
 * wrong check was being written when the machine stopped: the journal ends before it.
 */
#ifndef MACIEFS_JOURNAL_H
#define MACIEFS_JOURNAL_H

#include <maciefs/bytes.h>
#include <maciefs/hour.h>
#include <maciefs/source.h>
#include <stdbool.h>

struct journal_entry {
    uint64_t offset; /* bytes, in the log */
    uint64_t length; /* bytes, in the log */
    uint32_t crc32c; /* of those bytes */
    int64_t modified;
    uint64_t size;   /* bytes, in the bucket */
    uint64_t events; /* lines that are JSON objects */
    uint64_t lines;
    bool damaged;
    char etag[OBJECT_ETAG_MAX + 1];
    char key[OBJECT_KEY_MAX + 1];
};

/* Longest line, with its newline: each byte of etag and key may take three. */
#define JOURNAL_LINE_MAX (3 * (OBJECT_KEY_MAX + OBJECT_ETAG_MAX) + 256)

/* Appends the first line. Returns 0 or buf_append's errors. */
int journal_format_head(hour_t hour, struct buf *out);

/* Appends an entry's line. Returns 0 or buf_append's errors. */
int journal_format(const struct journal_entry *entry, struct buf *out);

/*
 * Takes entries one after another, in order; the entry is valid during the call only. Returns 0 to
 * go on, or a value that ends the reading and is returned by it.
 */
typedef int (*journal_visitor)(void *ctx, const struct journal_entry *entry);

/*
 * Reads the text of a journal. Each whole and consistent entry (it begins where the one before
 * ended) is visited; the reading ends at the first that is not. *ret_len is the length of the text
 * up to there (0 where even the first line is not this hour's). Returns 0 or the visitor's value.
 */
int journal_parse(hour_t hour, const uint8_t *text, size_t len, journal_visitor visit, void *ctx,
                  size_t *ret_len);

/* As journal_parse, for a file, in bounded memory. Returns also -errno of opening and reading. */
int journal_read(int dir, const char *path, hour_t hour, journal_visitor visit, void *ctx,
                 uint64_t *ret_len);

#endif
