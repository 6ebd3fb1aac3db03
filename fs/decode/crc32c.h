#ifndef MACIEFS_CRC32C_H
#define MACIEFS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4) of these bytes. */
uint32_t crc32c(const uint8_t *at, size_t len);

#endif
