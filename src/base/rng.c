/* Counter-based random streams. */
#include "base/rng.h"

#include "base/hash.h"

/* The constants of Salmon et al., SC'11. */
#define MULTIPLIER_0 0xd2511f53u
#define MULTIPLIER_1 0xcd9e8d57u
#define WEYL_0 0x9e3779b9u
#define WEYL_1 0xbb67ae85u

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t left = (uint64_t)MULTIPLIER_0 * a, right = (uint64_t)MULTIPLIER_1 * c;

        a = (uint32_t)(right >> 32) ^ b ^ k0;
        c = (uint32_t)(left >> 32) ^ d ^ k1;
        b = (uint32_t)right;
        d = (uint32_t)left;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

/* The key is a hash of seed and label (both little-endian), the counter is block, epoch and sample:
 * two streams of one key never share a block. What an epoch has above 2^32 goes into the key. */
void rng_init(struct opiml_rng *rng, uint64_t seed, uint64_t epoch, uint64_t sample,
              uint32_t label) {
    uint64_t words[2] = {seed, label | (epoch >> 32 << 32)};
    uint64_t key = hash_64(words, sizeof(words), 0);

    *rng = (struct opiml_rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .counter = {0, (uint32_t)epoch, (uint32_t)sample, (uint32_t)(sample >> 32)},
        .used = 4,
    };
}

uint32_t opiml_rng_u32(struct opiml_rng *rng) {
    if (rng->used == 4) {
        rng_philox(rng->counter, rng->key, rng->block);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

uint32_t opiml_rng_below(struct opiml_rng *rng, uint32_t bound) {
    uint64_t product = (uint64_t)opiml_rng_u32(rng) * bound;

    if ((uint32_t)product < bound) {                /* rare, and only then is the division needed */
        uint32_t unfair = (uint32_t)-bound % bound; /* 2^32 mod bound */

        while ((uint32_t)product < unfair)
            product = (uint64_t)opiml_rng_u32(rng) * bound;
    }
    return (uint32_t)(product >> 32);
}

int opiml_rng_chance(struct opiml_rng *rng, double p) {
    uint32_t draw = opiml_rng_u32(rng);

    if (!(p > 0))
        return 0;
    if (p >= 1)
        return 1;
    return draw < (uint64_t)(p * 4294967296.0);
}

#define LANES 8

/* Philox4x32-10 of the next LANES blocks at once, for the compiler to make vectors of. */
static void philox_lanes(const struct opiml_rng *rng, uint32_t to[4 * LANES]) {
    uint32_t a[LANES], b[LANES], c[LANES], d[LANES], k0 = rng->key[0], k1 = rng->key[1];

    for (uint32_t i = 0; i < LANES; i++) {
        a[i] = rng->counter[0] + i;
        b[i] = rng->counter[1];
        c[i] = rng->counter[2];
        d[i] = rng->counter[3];
    }
    for (int round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < LANES; i++) {
            uint64_t left = (uint64_t)MULTIPLIER_0 * a[i], right = (uint64_t)MULTIPLIER_1 * c[i];

            a[i] = (uint32_t)(right >> 32) ^ b[i] ^ k0;
            c[i] = (uint32_t)(left >> 32) ^ d[i] ^ k1;
            b[i] = (uint32_t)right;
            d[i] = (uint32_t)left;
        }
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    for (uint32_t i = 0; i < LANES; i++) {
        to[4 * i] = a[i];
        to[4 * i + 1] = b[i];
        to[4 * i + 2] = c[i];
        to[4 * i + 3] = d[i];
    }
}

void rng_fill(struct opiml_rng *rng, uint32_t *to, size_t n) {
    for (; n > 0 && rng->used < 4; n--)
        *to++ = opiml_rng_u32(rng);
    for (; n >= 4 * LANES; n -= 4 * LANES) {
        philox_lanes(rng, to);
        rng->counter[0] += LANES;
        to += 4 * LANES;
    }
    for (; n > 0; n--)
        *to++ = opiml_rng_u32(rng);
}
