/*
 * Memory that is overwritten before it is given up.
 *
 * Secrets leave copies where buffers grow and where libraries free what they copied. What allocates
 * with these leaves none, and neither does a library that is given them instead of its own.
 */
#ifndef MACIEFS_SECRET_H
#define MACIEFS_SECRET_H

#include <stddef.h>

/* realloc and free of malloc's memory; secret_realloc never grows in place. */
void *secret_realloc(void *at, size_t size);
void secret_free(void *at);

#endif
