/* f16 and bf16 by integer arithmetic, for places that no hardware conversion reaches. Rounding is
 * to nearest, ties to even; what is too large becomes infinite; subnormal numbers are kept; a NaN
 * becomes the positive quiet one, whatever it carried. The hardware conversions of F16C and NEON
 * give the same bits for everything but NaN. */
#ifndef OP_HALF_H
#define OP_HALF_H

#include <stdint.h>
#include <string.h>

#define HALF_NAN 0x7E00u
#define BF16_NAN 0x7FC0u
#define F32_NAN 0x7FC00000u

static inline uint32_t half_f32_bits(float x) {
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline float half_f32_of(uint32_t bits) {
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* A double as a narrower format with its sign bit at the top of `1 + exponent + mantissa` bits. */
static inline uint32_t half_narrow(double x, uint32_t exponent, uint32_t mantissa) {
    const uint32_t infinity = ((1u << exponent) - 1) << mantissa;
    uint64_t bits, sig, rest, middle;
    uint32_t sign, shift = 52 - mantissa, q;
    int32_t e;

    memcpy(&bits, &x, sizeof(bits));
    sign = (uint32_t)(bits >> 63) << (exponent + mantissa);
    e = (int32_t)(bits >> 52 & 0x7FF);
    sig = bits & ((UINT64_C(1) << 52) - 1);
    if (e == 0x7FF)
        return sig ? infinity | 1u << (mantissa - 1) : sign | infinity;
    if (e == 0)
        return sign; /* far below the smallest subnormal of the narrow format */
    e = e - 1023 + (int32_t)((1u << (exponent - 1)) - 1);
    sig |= UINT64_C(1) << 52;
    if (e <= 0)
        shift += (uint32_t)(1 - e);
    if (shift >= 54)
        return sign;
    q = (uint32_t)(sig >> shift);
    rest = sig & ((UINT64_C(1) << shift) - 1);
    middle = UINT64_C(1) << (shift - 1);
    q += rest > middle || (rest == middle && (q & 1));
    /* q holds the leading one, which steps the exponent up; rounding may carry into it. */
    if (e > 0)
        q += (uint32_t)(e - 1) << mantissa;
    return sign | (q < infinity ? q : infinity);
}

static inline uint16_t half_from_f64(double x) {
    return (uint16_t)half_narrow(x, 5, 10);
}

static inline uint16_t bf16_from_f64(double x) {
    return (uint16_t)half_narrow(x, 8, 7);
}

static inline uint16_t half_from_f32(float x) {
    return half_from_f64((double)x); /* widening is exact, so this rounds once */
}

static inline uint16_t bf16_from_f32(float x) {
    uint32_t bits = half_f32_bits(x);

    if (x != x)
        return BF16_NAN;
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static inline float half_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, man = h & 0x3FF;

    if (exponent == 31)
        return half_f32_of(sign | 0x7F800000u | man << 13);
    if (exponent != 0)
        return half_f32_of(sign | (exponent + 112) << 23 | man << 13);
    return half_f32_of(sign | half_f32_bits((float)man * 0x1p-24f));
}

static inline float bf16_to_f32(uint16_t b) {
    return half_f32_of((uint32_t)b << 16);
}

/* What every float operator stores for a NaN: the same bits on every machine. */
static inline float half_clean_nan(float x) {
    return x == x ? x : half_f32_of(F32_NAN);
}

#endif
