/* Streams for opiml_rng_* (include/opiml/op.h), and the raw Philox block. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <opiml/op.h>

/* Philox4x32-10. */
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* The stream of (seed, epoch, sample, label); `label` is a hash of the operator's stable label. A
 * stream has 2^34 draws, then it repeats. */
void rng_init(struct opiml_rng *rng, uint64_t seed, uint64_t epoch, uint64_t sample,
              uint32_t label);
/* The next n draws: what so many calls of opiml_rng_u32 give, some times faster. */
void rng_fill(struct opiml_rng *rng, uint32_t *to, size_t n);

#endif
