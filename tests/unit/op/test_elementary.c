/* Logarithm and exponential against the C library's. */
#include "op_harness.h"

#include <math.h>

#include "op/elementary.h"

static void logarithms(void **state) {
    assert_true(elementary_log(1) == 0);
    for (double x = 1e-300; x < 1e300; x *= 1.7)
        assert_true(fabs(elementary_log(x) - log(x)) <= 1e-15 * fabs(log(x)) + 1e-16);
    for (double x = 0.5; x < 2; x += 0.001)
        assert_true(fabs(elementary_log(x) - log(x)) < 1e-15);
}

static void exponentials(void **state) {
    assert_true(elementary_exp(0) == 1);
    for (double y = 0; y > -650; y -= 0.37)
        assert_true(fabs(elementary_exp(y) - exp(y)) <= 1e-13 * exp(y));
    assert_true(elementary_exp(-1e4) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms),
        cmocka_unit_test(exponentials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
