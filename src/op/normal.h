/* Normal deviates without libm, the same on every machine: one for each draw of 32 bits, by the
 * quantiles of the normal distribution. */
#ifndef OP_NORMAL_H
#define OP_NORMAL_H

#include <stddef.h>
#include <stdint.h>

#define NORMAL_STEPS 32 /* of the table, for each halving of the tail */
#define NORMAL_OCTAVES 32

struct normal_table {
    float at[NORMAL_OCTAVES * NORMAL_STEPS + 2];
};

/* Fill the table: quantiles of upper tails from 1/2 down to 2^-33, NORMAL_STEPS of them for each
 * halving. They are found by Newton's method on the distribution function's series
 * 1/2 + φ(z) Σ z^(2k+1) / (1·3·…·(2k+1)) (Abramowitz and Stegun, 26.2.11). Takes a millisecond. */
void normal_table_init(struct normal_table *table);
/* The deviate of each draw: its top bit is the sign, the others (and half a unit) the share of the
 * tail. At most 6.34 off zero; off the true quantile by at most 1e-4, as it is linear between the
 * table's entries. `draws` and `to` may be one array. */
void normal_deviates(const struct normal_table *table, const uint32_t *draws, size_t n, float *to);

#endif
