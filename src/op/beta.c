/* Quantiles of the symmetric Beta distribution. */
#include "op/beta.h"

#include "op/elementary.h"

/* The distribution function but for a constant factor; 0 < x <= 1/2. */
static double mass(double alpha, double x) {
    double sum = 1, term = 1;

    for (int k = 0; k < 400 && term > sum * 1e-17; k++) {
        term *= (2 * alpha + k) / (alpha + 1 + k) * x;
        sum += term;
    }
    return elementary_exp(alpha * elementary_log(x * (1 - x))) * sum;
}

void beta_table_init(struct beta_table *table, double alpha) {
    double half = mass(alpha, 0.5), low = 0;

    table->at[0] = 0;
    for (int i = 1; i < BETA_STEPS; i++) {
        double want = half * i / BETA_STEPS, high = 0.5;

        /* Thirty halvings leave less than 2^-30 of the unit. */
        for (int turn = 0; turn < 30; turn++) {
            double middle = (low + high) * 0.5;

            if (mass(alpha, middle) < want)
                low = middle;
            else
                high = middle;
        }
        table->at[i] = (uint32_t)(high * 16777216.0 + 0.5);
    }
    table->at[BETA_STEPS] = 1u << 23;
}

uint32_t beta_quantile_q16(const struct beta_table *table, uint32_t draw) {
    /* The upper half mirrors the lower one. */
    uint32_t place = draw >> 31 ? ~draw : draw, i = place >> 23;
    uint64_t between = table->at[i + 1] - table->at[i];
    uint32_t x = table->at[i] + (uint32_t)(between * (place & 0x7FFFFF) >> 23);

    x = (x + 128) >> 8;
    return draw >> 31 ? 65536 - x : x;
}
