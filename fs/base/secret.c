#include <maciefs/secret.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void secret_free(void *at) {
    if (at)
        explicit_bzero(at, malloc_usable_size(at));
    free(at);
}

void *secret_realloc(void *at, size_t size) {
    void *moved = malloc(size);
    if (!moved)
        return NULL;
    if (at) {
        size_t len = malloc_usable_size(at);
        memcpy(moved, at, len < size ? len : size);
        secret_free(at);
    }
    return moved;
}
