#include <maciefs/source.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)16 * 1024)
#define TOKEN_MAX ((size_t)8 * 1024) /* bytes; those seen in the field have a few hundred */
#define FIRST_ENTRIES ((size_t)16)

/* Text of a page, in chunks that never move; the newest first. */
struct arena {
    struct arena *older;
    size_t used, cap;
    char text[];
};

int object_order(const struct object *a, const struct object *b) {
    if (a->modified != b->modified)
        return a->modified < b->modified ? -1 : 1;
    return strcmp(a->key, b->key);
}

static char *arena_copy(struct arena **arena, const char *text, size_t len) {
    struct arena *chunk = *arena;
    if (!chunk || chunk->cap - chunk->used < len + 1) {
        size_t cap = len + 1 > CHUNK_BYTES ? len + 1 : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + cap);
        if (!chunk)
            return NULL;
        *chunk = (struct arena){.older = *arena, .cap = cap};
        *arena = chunk;
    }
    char *copy = chunk->text + chunk->used;
    memcpy(copy, text, len);
    copy[len] = '\0';
    chunk->used += len + 1;
    return copy;
}

/* Room for one more of `count` entries. An array doubles whenever its count is a power of two. */
static int grow(void **array, size_t count, size_t size) {
    if (count >= FIRST_ENTRIES ? (count & (count - 1)) != 0 : count != 0)
        return 0;
    size_t room = count ? count * 2 : FIRST_ENTRIES;
    void *grown = realloc(*array, room * size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    return 0;
}

static bool page_full(const struct listing *listing) {
    return listing->object_count + listing->folder_count >= LISTING_PAGE_MAX;
}

/* A C string holds what has no NUL within. */
static bool fits(const char *key, size_t len) {
    return len <= OBJECT_KEY_MAX && !memchr(key, '\0', len);
}

int listing_add_object(struct listing *listing, const char *key, size_t key_len, uint64_t size,
                       int64_t modified, const char *etag) {
    if (page_full(listing))
        return -EMSGSIZE;
    if (!fits(key, key_len) || strlen(etag) > OBJECT_ETAG_MAX) {
        listing->skipped++;
        return 0;
    }
    void *array = listing->objects;
    int err = grow(&array, listing->object_count, sizeof *listing->objects);
    if (err)
        return err;
    listing->objects = array;
    const char *copy = arena_copy(&listing->arena, key, key_len);
    if (!copy)
        return -ENOMEM;
    struct object *object = &listing->objects[listing->object_count++];
    *object = (struct object){.key = copy, .size = size, .modified = modified};
    memcpy(object->etag, etag, strlen(etag) + 1);
    return 0;
}

int listing_add_folder(struct listing *listing, const char *key, size_t key_len) {
    if (page_full(listing))
        return -EMSGSIZE;
    if (!fits(key, key_len)) {
        listing->skipped++;
        return 0;
    }
    void *array = listing->folders;
    int err = grow(&array, listing->folder_count, sizeof *listing->folders);
    if (err)
        return err;
    listing->folders = array;
    char *copy = arena_copy(&listing->arena, key, key_len);
    if (!copy)
        return -ENOMEM;
    listing->folders[listing->folder_count++] = copy;
    return 0;
}

int listing_set_next(struct listing *listing, const char *token) {
    if (strlen(token) > TOKEN_MAX)
        return -EMSGSIZE;
    char *copy = strdup(token);
    if (!copy)
        return -ENOMEM;
    free(listing->next);
    listing->next = copy;
    return 0;
}

void listing_free(struct listing *listing) {
    if (!listing)
        return;
    while (listing->arena) {
        struct arena *older = listing->arena->older;
        free(listing->arena);
        listing->arena = older;
    }
    free(listing->objects);
    free(listing->folders);
    free(listing->next);
    *listing = (struct listing){0};
}
