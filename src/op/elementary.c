/* Elementary functions without libm. */
#include "op/elementary.h"

#include <stdint.h>
#include <string.h>

#define LN2 0.69314718055994530942

/* Natural logarithm of a normal x > 0: x = m × 2^e with m near 1, and ln m = 2 artanh((m-1)/(m+1)).
 */
double elementary_log(double x) {
    uint64_t bits;
    int e;
    double z, square, sum = 0;

    memcpy(&bits, &x, sizeof(bits));
    e = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    memcpy(&x, &bits, sizeof(x));
    if (x > 1.41421356237309504880) {
        x *= 0.5;
        e++;
    }
    z = (x - 1) / (x + 1);
    square = z * z;
    for (int k = 25; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return 2 * z * sum + e * LN2;
}

double elementary_exp(double y) {
    int n = (int)(y / LN2 - 0.5);
    double r = y - n * LN2, sum = 1, scale;
    uint64_t bits;

    if (n < -1000)
        return 0;
    for (int k = 20; k >= 1; k--)
        sum = 1 + sum * r / k;
    bits = (uint64_t)(1023 + n) << 52;
    memcpy(&scale, &bits, sizeof(scale));
    return sum * scale;
}
