#include <maciefs/key_set.h>

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64

struct key_digest key_digest(const char *key, const char *etag) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    struct key_digest digest;
    SHA256((const uint8_t *)key, strlen(key), hash);
    memcpy(digest.key, hash, sizeof digest.key);
    SHA256((const uint8_t *)etag, strlen(etag), hash);
    memcpy(&digest.etag, hash, sizeof digest.etag);
    return digest;
}

static bool is_free(const struct key_digest *slot) {
    return slot->key[0] == 0 && slot->key[1] == 0;
}

/* The slot that holds the key, or the free one where it belongs. */
static struct key_digest *probe(struct key_digest *slots, size_t slot_count,
                                const struct key_digest *digest) {
    size_t i = digest->key[0] & (slot_count - 1);
    while (!is_free(&slots[i]) && memcmp(slots[i].key, digest->key, sizeof digest->key) != 0)
        i = (i + 1) & (slot_count - 1);
    return &slots[i];
}

static int grow(struct key_set *set) {
    size_t slot_count = set->slot_count ? set->slot_count * 2 : FIRST_SLOTS;
    struct key_digest *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < set->slot_count; i++)
        if (!is_free(&set->slots[i]))
            *probe(slots, slot_count, &set->slots[i]) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->slot_count = slot_count;
    return 0;
}

int key_set_add(struct key_set *set, struct key_digest digest) {
    if (set->count >= set->slot_count / 2) {
        int err = grow(set);
        if (err)
            return err;
    }
    struct key_digest *slot = probe(set->slots, set->slot_count, &digest);
    if (is_free(slot)) {
        *slot = digest;
        set->count++;
    }
    return 0;
}

struct key_digest *key_set_find(const struct key_set *set, struct key_digest digest) {
    if (set->count == 0)
        return NULL;
    struct key_digest *slot = probe(set->slots, set->slot_count, &digest);
    return is_free(slot) ? NULL : slot;
}

void key_set_free(struct key_set *set) {
    free(set->slots);
    *set = (struct key_set){0};
}
