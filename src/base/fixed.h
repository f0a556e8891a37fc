/* Fixed-point mathematics for operators: the same bits on every machine, no libm. */
#ifndef BASE_FIXED_H
#define BASE_FIXED_H

#include <stdint.h>

/* floor(sqrt(n)) */
uint64_t fixed_sqrt_u64(uint64_t n);
/* 2^x for x in Q32 (signed), in Q32; error below 2^-30 of the result or half its last bit,
 * whichever is more. INT64_MAX from x = 31 on. */
int64_t fixed_exp2_q32(int64_t x_q32);
/* log2(x) for x > 0 in Q32 (unsigned), in Q32; absolute error below 2^-29. */
int64_t fixed_log2_q32(uint64_t x_q32);
/* a × b in Q32, rounded to nearest, ties up. The product must fit. */
int64_t fixed_mul_q32(int64_t a_q32, int64_t b_q32);
/* A double as Q32, rounded to nearest, ties away from zero. The nearest end for what does not fit,
 * 0 for what is not a number. */
int64_t fixed_from_double(double x);

#endif
