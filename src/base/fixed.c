/* Fixed-point mathematics. */
#include "base/fixed.h"

#include <assert.h>

typedef __int128 i128;

uint64_t fixed_sqrt_u64(uint64_t n) {
    uint64_t root = 0, bit = UINT64_C(1) << 62;

    while (bit > n)
        bit >>= 2;
    for (; bit; bit >>= 2) {
        if (n >= root + bit) {
            n -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

int64_t fixed_mul_q32(int64_t a_q32, int64_t b_q32) {
    return (int64_t)(((i128)a_q32 * b_q32 + ((i128)1 << 31)) >> 32);
}

int64_t fixed_from_double(double x) {
    double scaled = x * 4294967296.0, rest; /* a power of two: exact */
    int64_t whole;

    if (!(scaled > -0x1p63)) /* and not a number */
        return x == x ? INT64_MIN : 0;
    if (scaled >= 0x1p63)
        return INT64_MAX;
    whole = (int64_t)scaled;
    rest = scaled - (double)whole; /* exact; adding 0.5 before the cut would round twice */
    return whole + (rest >= 0.5) - (rest <= -0.5);
}

/* 2^x = 2^floor(x) · e^(f ln 2) with the fraction f in [0, 1): the exponential series in Q62, whose
 * terms fall below the last bit before the twentieth. */
int64_t fixed_exp2_q32(int64_t x_q32) {
    const int64_t ln2_q62 = INT64_C(0x2c5c85fdf473de6b);
    int64_t whole = x_q32 >> 32;
    int64_t f_q62 = (int64_t)((uint64_t)(x_q32 & 0xffffffff) << 30);
    int64_t y_q62 = (int64_t)(((i128)f_q62 * ln2_q62) >> 62);
    int64_t term = INT64_C(1) << 62, shift = 30 - whole;
    i128 sum = term;

    for (int i = 1; i < 20; i++) {
        term = (int64_t)(((i128)term * y_q62) >> 62) / i;
        sum += term;
    }
    if (shift < 0)
        return INT64_MAX;
    if (shift == 0)
        return (int64_t)sum;
    if (shift > 64)
        return 0;
    return (int64_t)((sum + ((i128)1 << (shift - 1))) >> shift);
}

/* log2 by repeated squaring of the mantissa m in [1, 2): each square that reaches 2 is a binary
 * digit of the result. */
int64_t fixed_log2_q32(uint64_t x_q32) {
    int top;
    uint64_t m_q63;
    int64_t result;

    assert(x_q32 > 0);
    top = 63 - __builtin_clzll(x_q32);
    m_q63 = x_q32 << (63 - top);
    result = (int64_t)(top - 32) * (INT64_C(1) << 32);
    for (int bit = 31; bit >= 0; bit--) {
        unsigned __int128 square = (unsigned __int128)m_q63 * m_q63; /* Q126, in [1, 4) */

        if (square >> 127) {
            result += INT64_C(1) << bit;
            m_q63 = (uint64_t)(square >> 64);
        } else {
            m_q63 = (uint64_t)(square >> 63);
        }
    }
    return result;
}
