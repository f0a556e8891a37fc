/* Quantiles of the Beta distribution against the closed forms that there are. */
#include "op_harness.h"

#include <math.h>

#include "base/hash.h"
#include "op/beta.h"

static double quantile(const struct beta_table *table, double u) {
    return beta_quantile_q16(table, (uint32_t)(u * 4294967296.0)) / 65536.0;
}

static void one_is_uniform(void **state) {
    struct beta_table table;

    (void)state;
    beta_table_init(&table, 1);
    for (int i = 0; i < 1000; i++)
        assert_true(fabs(quantile(&table, i / 1000.0) - i / 1000.0) < 3e-5);
}

static void two_is_a_cubic(void **state) {
    struct beta_table table;

    (void)state;
    beta_table_init(&table, 2);
    for (int i = 1; i < 512; i++) {
        double u = i / 512.0, x = quantile(&table, u);

        assert_true(fabs(x * x * (3 - 2 * x) - u) < 5e-5);
    }
}

static void half_is_the_arcsine(void **state) {
    struct beta_table table;

    (void)state;
    beta_table_init(&table, 0.5);
    for (int i = 0; i < 512; i++) {
        double s = sin(i / 512.0 * 1.57079632679489661923);

        assert_true(fabs(quantile(&table, i / 512.0) - s * s) < 2e-5);
    }
}

/* Var = 1 / (4 (2a + 1)), whatever a is. */
static void moments_are_right(void **state) {
    static const double alphas[] = {0.1, 0.2, 0.4, 1, 3, 8, 16};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(alphas); k++) {
        struct beta_table table;
        double sum = 0, squares = 0, n = 100000;

        beta_table_init(&table, alphas[k]);
        for (int i = 0; i < n; i++) {
            double x = quantile(&table, (i + 0.5) / n) - 0.5;

            sum += x;
            squares += x * x;
        }
        assert_true(fabs(sum / n) < 1e-5);
        squares *= 4 * (2 * alphas[k] + 1) / n;
        assert_true(squares > 0.9999 && squares < (alphas[k] <= 3 ? 1.002 : 1.04));
    }
}

static void it_is_symmetric_and_monotonic(void **state) {
    static const double alphas[] = {BETA_ALPHA_MIN, 0.2, 5, BETA_ALPHA_MAX};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(alphas); k++) {
        struct beta_table table;
        uint32_t before = 0;

        beta_table_init(&table, alphas[k]);
        for (uint32_t i = 0; i < 4096; i++) {
            uint32_t draw = i << 19, x = beta_quantile_q16(&table, draw);

            assert_true(x >= before && x <= 32768);
            assert_int_equal(beta_quantile_q16(&table, ~draw), 65536 - x);
            before = x;
        }
        assert_int_equal(beta_quantile_q16(&table, 0), 0);
    }
}

/* The same bits on every machine, with every compiler. */
static void the_bits_are_fixed(void **state) {
    static const struct {
        double alpha;
        uint64_t hash;
    } known[] = {
        {0.01, 0x55f1380bcb2d8cd7}, {0.2, 0xe74ebf1d819acbe2}, {1, 0x9a6f71ae80bc0728},
        {2.5, 0x3a278ee4194b0475},  {16, 0x1f21f5c8964b9015},
    };
    int wrong = 0;

    (void)state;
    for (size_t k = 0; k < COUNT_OF(known); k++) {
        struct beta_table table;
        uint64_t hash = 0;

        beta_table_init(&table, known[k].alpha);
        for (uint32_t i = 0; i <= BETA_STEPS; i++)
            hash = hash_64(&table.at[i], 4, hash);
        if (hash != known[k].hash) {
            print_error("alpha %g: 0x%016" PRIx64 "\n", known[k].alpha, hash);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_uniform),
        cmocka_unit_test(two_is_a_cubic),
        cmocka_unit_test(half_is_the_arcsine),
        cmocka_unit_test(moments_are_right),
        cmocka_unit_test(it_is_symmetric_and_monotonic),
        cmocka_unit_test(the_bits_are_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
