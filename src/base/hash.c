/* Hashing (over xxHash and ISA-L). */
#include "base/hash.h"

#include <isa-l/crc.h>

#define XXH_STATIC_LINKING_ONLY /* a state on the stack */
#include <xxhash.h>

uint64_t hash_64(const void *data, size_t bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(data, bytes, seed);
}

struct hash128 hash_128(const void *data, size_t bytes) {
    XXH128_hash_t hash = XXH3_128bits(data, bytes);

    return (struct hash128){.low = hash.low64, .high = hash.high64};
}

struct hash128 hash_128_pieces(const struct hash_piece *pieces, size_t count) {
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++)
        XXH3_128bits_update(&state, pieces[i].data, pieces[i].bytes);
    hash = XXH3_128bits_digest(&state);
    return (struct hash128){.low = hash.low64, .high = hash.high64};
}

uint32_t hash_crc32c(const void *data, size_t bytes) {
    const uint8_t *at = data;
    uint32_t crc = UINT32_MAX;

    while (bytes > 0) {
        int step = bytes > INT32_MAX ? INT32_MAX : (int)bytes;

        crc = crc32_iscsi((unsigned char *)at, step, crc);
        at += step;
        bytes -= (size_t)step;
    }
    return ~crc;
}

struct hash128 hash128_add(struct hash128 a, struct hash128 b) {
    struct hash128 sum = {.low = a.low + b.low};

    sum.high = a.high + b.high + (sum.low < a.low);
    return sum;
}
