/* One raw Snappy block (Snappy's format_description.txt): what both Snappy formats are made of. */
#ifndef MACIEFS_SNAPPY_BLOCK_H
#define MACIEFS_SNAPPY_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this build can decode one. */
bool snappy_block_supported(void);

/* The greatest length that `len` bytes can have as a block. */
size_t snappy_block_max(size_t len);

/*
 * Reads the decoded length that a block begins with.
 * Returns 1; 0 where the length itself does not end within `len` bytes; or -EBADMSG.
 */
int snappy_block_length(const uint8_t *at, size_t len, uint32_t *ret_length);

/* Decodes a block into exactly `length` bytes, the length it announces. Returns 0 or -EBADMSG. */
int snappy_block_decode(const uint8_t *at, size_t len, uint8_t *plain, uint32_t length);

#endif
