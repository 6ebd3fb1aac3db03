#include <maciefs/secret.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_SIZE (8u << 20) /* of addresses; what is not used takes no memory */

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

struct errand {
    int (*work)(void *ctx);
    void *ctx;
    int result;
};

static void *run(void *ctx) {
    struct errand *errand = ctx;
    errand->result = errand->work(errand->ctx);
    return NULL;
}

static int run_on(void *stack, struct errand *errand) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    int err = pthread_attr_setstack(&attributes, stack, STACK_SIZE);
    if (!err)
        err = pthread_create(&thread, &attributes, run, errand);
    pthread_attr_destroy(&attributes);
    return err ? -err : -pthread_join(thread, NULL);
}

int secret_run(int (*work)(void *ctx), void *ctx) {
    struct errand errand = {.work = work, .ctx = ctx};
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -ENOMEM;
    int err = run_on(stack, &errand);
    munmap(stack, STACK_SIZE);
    return err ? err : errand.result;
}
