/* Hashing: XXH3, the 128-bit sums that digests are made of, and CRC-32C. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low, high;
};

uint64_t hash_64(const void *data, size_t bytes, uint64_t seed); /* XXH3-64 */
struct hash128 hash_128(const void *data, size_t bytes);         /* XXH3-128 */
/* XXH3-128 over several pieces, as if they were one. */
struct hash_piece {
    const void *data;
    size_t bytes;
};
struct hash128 hash_128_pieces(const struct hash_piece *pieces, size_t count);
uint32_t hash_crc32c(const void *data, size_t bytes);           /* Castagnoli, RFC 3720 B.4 */
struct hash128 hash128_add(struct hash128 a, struct hash128 b); /* modulo 2^128 */

#endif
