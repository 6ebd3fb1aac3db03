/*
 * The objects of one log, as a set of digests.
 *
 * A key is kept as 128 bits of its SHA-256 and its ETag as 64: 24 bytes an object, however long the
 * keys are. Two keys of one hour would have to meet in 128 bits for an object to be taken for
 * another.
 */
#ifndef MACIEFS_KEY_SET_H
#define MACIEFS_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_digest {
    uint64_t key[2];
    uint64_t etag;
};

struct key_set {
    struct key_digest *slots; /* a zeroed key is a free slot */
    size_t slot_count;        /* a power of two, or 0 */
    size_t count;
};

struct key_digest key_digest(const char *key, const char *etag);

/* Returns 0 (also where the key is in it already) or -ENOMEM. */
int key_set_add(struct key_set *set, struct key_digest digest);

/* The member with this key, or NULL. */
struct key_digest *key_set_find(const struct key_set *set, struct key_digest digest);

void key_set_free(struct key_set *set);

#endif
