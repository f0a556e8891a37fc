/* Fixed-point functions against libm, densely, with the bounds that their header states. */
#include "../test.h"

#include <math.h>

#include "base/base.h"
#include "base/fixed.h"
#include "base/hash.h"

#define ONE (INT64_C(1) << 32)

/* Numbers that look random, the same each time. */
static uint64_t next(uint64_t *at) {
    uint64_t z = *at += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void expect_root(uint64_t n) {
    unsigned __int128 root = fixed_sqrt_u64(n);

    assert_true(root * root <= n);
    assert_true((root + 1) * (root + 1) > n);
}

static void roots_are_floors(void **state) {
    uint64_t at = 1;

    for (uint64_t n = 0; n < 70000; n++)
        expect_root(n);
    for (uint64_t root = 1; root <= UINT32_MAX - 65536; root += 65521) {
        expect_root(root * root - 1);
        expect_root(root * root);
        expect_root(root * root + 1);
    }
    for (int i = 0; i < 100000; i++) {
        uint64_t n = next(&at);

        expect_root(n >> (n % 64));
    }
    expect_root(UINT64_MAX);
    assert_int_equal(fixed_sqrt_u64(UINT64_MAX), UINT32_MAX);
}

static void expect_exp2(int64_t x) {
    long double wanted = exp2l((long double)x / ONE) * ONE;
    long double error = fabsl((long double)fixed_exp2_q32(x) - wanted);

    /* The header's bound, with room for libm's own last bit. */
    if (!(error <= fmaxl(wanted * 0x1p-30L, 0.5L) + wanted * 0x1p-58L))
        fail_msg("2^(%" PRId64 " / 2^32): %" PRId64 ", not %.3Lf", x, fixed_exp2_q32(x), wanted);
}

static void exp2_is_near(void **state) {
    uint64_t at = 2;

    for (int64_t x = -34 * ONE; x < 31 * ONE; x += 65537 * 32)
        expect_exp2(x);
    for (int i = 0; i < 30000; i++)
        expect_exp2((int64_t)(next(&at) % (uint64_t)(62 * ONE)) - 31 * ONE);
    for (int64_t whole = -31; whole < 31; whole++)
        for (int64_t by = -2; by <= 2; by++)
            expect_exp2(whole * ONE + by);
    expect_exp2(31 * ONE - 1);
}

static void exp2_of_whole_numbers_is_exact(void **state) {
    for (int64_t whole = -32; whole <= 30; whole++)
        assert_true(fixed_exp2_q32(whole * ONE) == (int64_t)(UINT64_C(1) << (whole + 32)));
}

static void exp2_stays_in_range(void **state) {
    assert_true(fixed_exp2_q32(31 * ONE) == INT64_MAX);
    assert_true(fixed_exp2_q32(INT64_MAX) == INT64_MAX);
    assert_int_equal(fixed_exp2_q32(-40 * ONE), 0);
    assert_int_equal(fixed_exp2_q32(INT64_MIN), 0);
}

static void expect_log2(uint64_t x) {
    long double wanted = (log2l((long double)x) - 32) * ONE;
    long double error = fabsl((long double)fixed_log2_q32(x) - wanted);

    if (!(error < 0x1p3L)) /* 2^-29 in units of 2^-32 */
        fail_msg("log2(%" PRIu64 " / 2^32): %" PRId64 ", not %.3Lf", x, fixed_log2_q32(x), wanted);
}

static void log2_is_near(void **state) {
    uint64_t at = 3;

    for (uint64_t x = 1; x < 70000; x++)
        expect_log2(x);
    for (int64_t x = ONE / 2; x < 2 * ONE; x += 160001)
        expect_log2((uint64_t)x);
    for (int i = 0; i < 100000; i++) {
        uint64_t x = next(&at);

        expect_log2((x >> (x % 60)) | 1);
    }
    expect_log2(UINT64_MAX);
}

static void log2_of_powers_is_exact(void **state) {
    for (int64_t bit = 0; bit < 64; bit++)
        assert_true(fixed_log2_q32(UINT64_C(1) << bit) == (bit - 32) * ONE);
}

/* As random_resized_crop uses them: aspect ratios drawn on a logarithmic scale. */
static void exp2_undoes_log2(void **state) {
    for (int64_t x = ONE / 8; x < 8 * ONE; x += 1000003) {
        int64_t again = fixed_exp2_q32(fixed_log2_q32((uint64_t)x));

        assert_true(again <= x + 1 + (x >> 28) && again >= x - 1 - (x >> 28));
    }
}

/* Near is not enough: every machine and compiler must give these very bits. */
static void bits_are_the_same_everywhere(void **state) {
    uint64_t at = 6, sum = 0;

    for (int i = 0; i < 20000; i++) {
        uint64_t x = next(&at);
        int64_t values[] = {
            fixed_exp2_q32((int64_t)(x % (uint64_t)(62 * ONE)) - 31 * ONE),
            fixed_log2_q32((x >> (x % 60)) | 1),
            (int64_t)fixed_sqrt_u64(x),
            fixed_mul_q32((int64_t)x >> 20, (int64_t)next(&at) >> 24),
            fixed_from_double((double)(int64_t)x * 0x1p-40),
        };

        sum = hash_64(values, sizeof(values), sum);
    }
    if (sum != UINT64_C(0x7673310f0a703e9a))
        fail_msg("0x%016" PRIx64, sum);
}

static void products_are_rounded(void **state) {
    uint64_t at = 4;

    assert_true(fixed_mul_q32(3 * ONE, ONE / 2) == 3 * ONE / 2);
    assert_true(fixed_mul_q32(-3 * ONE, ONE / 2) == -3 * ONE / 2);
    assert_int_equal(fixed_mul_q32(1, ONE / 2), 1); /* half a unit goes up */
    assert_int_equal(fixed_mul_q32(1, ONE / 2 - 1), 0);
    assert_int_equal(fixed_mul_q32(-1, ONE / 2), 0);
    assert_int_equal(fixed_mul_q32(-1, ONE / 2 + 1), -1);
    assert_true(fixed_mul_q32(INT64_MAX, ONE) == INT64_MAX);
    assert_true(fixed_mul_q32(INT64_MIN, ONE) == INT64_MIN);
    for (int i = 0; i < 100000; i++) {
        int64_t a = (int64_t)next(&at) >> 20, b = (int64_t)next(&at) >> 24;
        __int128 rest = (__int128)a * b - (__int128)fixed_mul_q32(a, b) * ONE;

        assert_true(rest >= -ONE / 2 && rest < ONE / 2);
    }
}

static void doubles_are_rounded_away_from_zero(void **state) {
    static const struct {
        double x;
        int64_t wanted;
    } rows[] = {
        {0, 0},
        {1, ONE},
        {-1, -ONE},
        {0x1p-33, 1},
        {-0x1p-33, -1},
        {0x0.fffffffffffff8p-33, 0}, /* just below half: adding 0.5 would make it 1 */
        {-0x0.fffffffffffff8p-33, 0},
        {0x1.0000000000001p20, (INT64_C(1) << 52) + 1}, /* past 2^52 there is nothing to round */
        {0x1.fffffffffffffp30, INT64_C(0x7ffffffffffffc00)},
        {-0x1p31, INT64_MIN},
        {0x1p31, INT64_MAX},
        {1e300, INT64_MAX},
        {-1e300, INT64_MIN},
        {INFINITY, INT64_MAX},
        {-INFINITY, INT64_MIN},
        {NAN, 0},
    };
    uint64_t at = 5;

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_true(fixed_from_double(rows[i].x) == rows[i].wanted);
    for (int i = 0; i < 100000; i++) {
        double x = ((double)(int64_t)next(&at) * 0x1p-63) * (double)(UINT64_C(1) << (i % 31));

        assert_true(fixed_from_double(x) == (int64_t)llround(x * 0x1p32));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_floors),
        cmocka_unit_test(exp2_is_near),
        cmocka_unit_test(exp2_of_whole_numbers_is_exact),
        cmocka_unit_test(exp2_stays_in_range),
        cmocka_unit_test(log2_is_near),
        cmocka_unit_test(log2_of_powers_is_exact),
        cmocka_unit_test(exp2_undoes_log2),
        cmocka_unit_test(bits_are_the_same_everywhere),
        cmocka_unit_test(products_are_rounded),
        cmocka_unit_test(doubles_are_rounded_away_from_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
