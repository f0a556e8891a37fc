/* Fair comparisons on noisy machines: A and B in turn, the ratio pair by pair, its median and
 * bounds. */
#ifndef BASE_PAIRS_H
#define BASE_PAIRS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PAIRS_MAX 64

struct pairs {
    const char *what;
    double target; /* the least ratio that is claimed; 0: none, only reported */
    uint32_t count;
    double a[PAIRS_MAX], b[PAIRS_MAX], ratio[PAIRS_MAX];
};

static inline int pairs_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double pairs_median(double *values, uint32_t count) {
    qsort(values, count, sizeof(values[0]), pairs_compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The least that the median is with a confidence of 97.5 %, whatever the distribution: by order
 * statistics, of values in order. */
static inline double pairs_bound(const double *values, uint32_t count) {
    double term = 1, below = 0; /* that fewer than k of count lie below the median */
    uint32_t k = 0;

    for (uint32_t i = 0; i < count; i++)
        term /= 2;
    while (k < count && below + term <= 0.025) {
        below += term;
        term *= (double)(count - k) / (k + 1);
        k++;
    }
    return k > 0 ? values[k - 1] : values[0];
}

/* One pair of rates (larger is better). */
static inline void pairs_add(struct pairs *pairs, double a, double b) {
    if (pairs->count == PAIRS_MAX)
        return;
    pairs->a[pairs->count] = a;
    pairs->b[pairs->count] = b;
    pairs->ratio[pairs->count++] = a / b;
}

/* Prints a line; returns 1 when the median misses the target. */
static inline int pairs_report(struct pairs *pairs) {
    double ratio = pairs_median(pairs->ratio, pairs->count);
    int missed = ratio < pairs->target;

    printf("%-44s %6.3f  [%.3f, %.3f] of %u pairs", pairs->what, ratio, pairs->ratio[0],
           pairs->ratio[pairs->count - 1], pairs->count);
    if (pairs->target > 0)
        printf("  target %.2f %s", pairs->target, missed ? "MISSED" : "ok");
    printf("  (%.1f against %.1f per second)\n", pairs_median(pairs->a, pairs->count),
           pairs_median(pairs->b, pairs->count));
    return missed;
}

#endif
