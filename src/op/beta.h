/* Quantiles of the symmetric Beta distribution, without libm and the same on every machine. */
#ifndef OP_BETA_H
#define OP_BETA_H

#include <stdint.h>

#define BETA_STEPS 256 /* of the table, over the lower half of the distribution */
#define BETA_ALPHA_MAX 16.0
#define BETA_ALPHA_MIN 0.01

struct beta_table {
    uint32_t at[BETA_STEPS + 1]; /* Q24: the quantile of i / (2 × BETA_STEPS) */
};

/* Fill the table for Beta(alpha, alpha), BETA_ALPHA_MIN <= alpha <= BETA_ALPHA_MAX. Only + - × / on
 * doubles, so that IEEE 754 fixes every bit. Takes some milliseconds.
 *
 * The distribution function is x^a (1-x)^a / (a B(a,a)) × F(2a, 1; a+1; x) (DLMF 8.17.8), whose
 * series has positive terms only; it is inverted by bisection on [0, 1/2], the rest is symmetric.
 */
void beta_table_init(struct beta_table *table, double alpha);
/* The quantile of draw / 2^32, in Q16: 0 to 65536. Linear between the table's entries, so the
 * distribution function is met at multiples of 1/512; the tails between are a little wide (variance
 * right to 0.2 % for alpha up to 3, 4 % at 16). */
uint32_t beta_quantile_q16(const struct beta_table *table, uint32_t draw);

#endif
