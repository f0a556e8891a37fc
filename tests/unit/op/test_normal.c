/* Normal deviates against the error function. */
#include "op_harness.h"

#include <math.h>

#include "base/hash.h"
#include "op/normal.h"

static struct normal_table table;

/* The deviate of a draw against Newton's step on the C library's erfc, at the draw's tail. */
static double astray(uint32_t draw) {
    double tail = ((double)(draw & 0x7FFFFFFF) + 0.5) / 4294967296.0;
    float z;
    double density;

    normal_deviates(&table, &draw, 1, &z);
    z = fabsf(z);
    density = exp(-(double)z * (double)z / 2) / 2.50662827463100050242;
    return (0.5 * erfc((double)z / 1.41421356237309504880) - tail) / density;
}

static void every_tail_is_right(void **state) {
    for (uint32_t draw = 0; draw < 100000; draw++)
        assert_true(fabs(astray(draw)) < 1e-4);
    for (uint64_t draw = 0; draw < UINT64_C(1) << 32; draw += 77777)
        assert_true(fabs(astray((uint32_t)draw)) < 1e-4);
    assert_true(fabs(astray(0x7FFFFFFF)) < 1e-4);
}

static void the_sign_is_the_top_bit(void **state) {
    const uint32_t draws[] = {0, 0x80000000, 0x12345678, 0x92345678, 0x7FFFFFFF};
    float z[5];

    normal_deviates(&table, draws, 5, z);
    assert_true(z[0] > 6.3f && z[0] < 6.35f && z[1] == -z[0]);
    assert_true(z[2] > 0 && z[3] == -z[2]);
    assert_true(fabsf(z[4]) < 1e-6f);
}

static void monotone(void **state) {
    float before = 10, z;

    for (uint64_t draw = 0; draw < UINT64_C(1) << 31; draw += 99991) {
        uint32_t one = (uint32_t)draw;

        normal_deviates(&table, &one, 1, &z);
        assert_true(z <= before);
        before = z;
    }
}

static void the_same_on_every_machine(void **state) {
    uint32_t draws[4096];

    for (uint32_t i = 0; i < COUNT_OF(draws); i++)
        draws[i] = i * 2654435761u + 12345;
    normal_deviates(&table, draws, COUNT_OF(draws), (float *)(void *)draws);
    assert_int_equal(hash_64(&table, sizeof(table), 0), UINT64_C(0xbf2d0084fa8a63c3));
    assert_int_equal(hash_64(draws, sizeof(draws), 0), UINT64_C(0x530c7afbd037ed4));
}

static int make_table(void **state) {
    normal_table_init(&table);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tail_is_right),
        cmocka_unit_test(the_sign_is_the_top_bit),
        cmocka_unit_test(monotone),
        cmocka_unit_test(the_same_on_every_machine),
    };

    return cmocka_run_group_tests(tests, make_table, NULL);
}
