/*
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4): of Snappy's chunks, and of the log's bytes in the
 * journal. Processors compute it by themselves, many times faster than tables do.
 */
#ifndef MACIEFS_CRC32C_H
#define MACIEFS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of the bytes that gave `before` (0: none) and these behind them. */
uint32_t crc32c(uint32_t before, const uint8_t *at, size_t len);

/* The same by tables, as processors without the instruction do it. */
uint32_t crc32c_by_tables(uint32_t before, const uint8_t *at, size_t len);

#endif
