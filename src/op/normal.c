/* Normal deviates without libm. */
#include "op/normal.h"

#include <string.h>

#include "op/elementary.h"

#define SQRT_2PI 2.50662827463100050242
#define STEP_BITS                                                                                  \
    18 /* of a float's mantissa that lie between two entries: 23 less log2 of STEPS                \
        */

static uint32_t bits_of(float x) {
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* The z whose upper tail is `tail`, from one near it. */
static double quantile(double tail, double z) {
    for (int turn = 0; turn < 8; turn++) {
        double term = z, sum = z, density = elementary_exp(-z * z / 2) / SQRT_2PI;

        for (int k = 1; k < 200 && term > sum * 1e-18; k++) {
            term *= z * z / (2 * k + 1);
            sum += term;
        }
        z += (0.5 - tail) / density - sum;
    }
    return z;
}

/* Entry i is the quantile of the float whose bits are those of 1/2 and i steps, in units of 2^-32:
 * floats of one exponent lie evenly, so an index and a place between two entries are a float's bits
 * as they are. */
void normal_table_init(struct normal_table *table) {
    const int last = NORMAL_OCTAVES * NORMAL_STEPS;
    double z = 0;

    table->at[last] = table->at[last + 1] = 0; /* half of all: the middle */
    for (int i = last - 1; i >= 0; i--) {
        uint32_t bits = bits_of(0.5f) + ((uint32_t)i << STEP_BITS);
        float tail;

        memcpy(&tail, &bits, sizeof(tail));
        z = quantile((double)tail / 4294967296.0, z);
        table->at[i] = (float)z;
    }
}

void normal_deviates(const struct normal_table *table, const uint32_t *draws, size_t n, float *to) {
    for (size_t i = 0; i < n; i++) {
        uint32_t draw = draws[i];
        uint32_t place = bits_of((float)(int32_t)(draw & 0x7FFFFFFF) + 0.5f) - bits_of(0.5f);
        const float *at = &table->at[place >> STEP_BITS];
        float share = (float)(int32_t)(place & ((1u << STEP_BITS) - 1)) * (1.0f / (1 << STEP_BITS));
        float z = at[0] + share * (at[1] - at[0]);

        to[i] = draw >> 31 ? -z : z;
    }
}
