/*
 * An event → the message that Wazuh's rules for Macie expect.
 *
 * The message is that of Wazuh's own AWS module (`aws-s3` with a bucket of type custom), equal as a
 * JSON value: integration "aws" and, under "aws", `log_info`, the members of the event's `detail`
 * and its `source`, after the module's changes. Strings and numbers keep the event's own bytes. The
 * order is another one: what rules look at stands first, since Wazuh's decoder stops after 256
 * fields: `integration`, then in `aws` `source`, `severity`, `type`, `title` and `log_info`, then
 * the rest as the event has it.
 *
 * Where the module and this differ:
 *  - `count` in the summary's events keeps its number, which the module loses.
 *  - The module fails at an event whose `source` is missing or no string. Here the message has the
 *    detail's own `source`, if any.
 *  - An event that is no JSON to RFC 8259 is refused: NaN, Infinity, control characters in strings.
 *    The module takes NaN and Infinity, and Wazuh refuses what it makes of them. Leading zeros
 *    in a `lat` or `lon` are dropped, whatever stands beside it.
 *  - An escape that is half a surrogate pair becomes \ufffd, as Wazuh takes no line with one.
 *    Other bytes of strings stay, UTF-8 or not.
 *  - An address is told by its dots: the module's pattern lets most of them be anything.
 *  - A detail that is no object is none.
 *
 * A message longer than a line may be is slimmed, in the same way each time, and has
 * `aws.maciefs.truncated` right behind `log_info`: the longest arrays are cut, all to one length;
 * then the longest strings, likewise; then the rest. `source`, `severity`, `type`, `title` and
 * `log_info` stay whole. Should they alone be too long, nothing else is left, of the severity only
 * its `description` and `score`, and of each string 4 KiB. The same is left of an event too large
 * for a tree of bounded memory (more than 16 MiB, 262,144 values or 990 levels), with strings up
 * to 32 KiB; most of its JSON is not checked.
 */
#ifndef MACIEFS_SHAPE_H
#define MACIEFS_SHAPE_H

#include <maciefs/bytes.h>

/* Bytes of a message without its '\n': longer lines are lost in Wazuh, and the next with them. */
#define SHAPE_LINE_MAX 65278

/* No message: no JSON object, or none with a detail. */
#define SHAPE_SKIPPED 1

/* Where an event comes from; NUL-terminated, any bytes. Each is written up to 8 KiB. */
struct shape_origin {
    const char *bucket;
    const char *key;
    const char *account_alias; /* "" for none */
};

/* Memory that is used from event to event; for one thread at a time. */
struct shaper;

/* Returns a shaper on the heap, to be freed by shaper_free, or NULL without memory. */
struct shaper *shaper_new(void);

void shaper_free(struct shaper *shaper); /* accepts NULL */

/*
 * Appends the message for an event of `len` bytes, without a '\n', at most SHAPE_LINE_MAX bytes of
 * JSON without control characters. Returns 0; SHAPE_SKIPPED; -ENOMEM; or -EMSGSIZE where `ret`
 * would pass its own limit. `ret` is changed only with 0.
 */
int shape_event(struct shaper *shaper, const struct shape_origin *origin, const uint8_t *event,
                size_t len, struct buf *ret);

/*
 * Appends the event as it is, for people with rules of their own: shape_event's choice of events,
 * errors and limit. One that is too long is slimmed in the same way, but that nothing is spared,
 * and has `maciefs.truncated` in front.
 */
int shape_plain(struct shaper *shaper, const uint8_t *event, size_t len, struct buf *ret);

/*
 * Appends the message for a damaged object: what Wazuh's module sends of one that it cannot read,
 * with `error_msg` behind `aws`. `reason`: a clause, written up to 8 KiB. Returns 0; -ENOMEM;
 * -EMSGSIZE.
 */
int shape_error(struct shaper *shaper, const struct shape_origin *origin, const char *reason,
                struct buf *ret);

#endif
