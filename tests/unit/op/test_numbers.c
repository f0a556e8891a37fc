/* Numbers of every type as f32, and ranges. */
#include "op_harness.h"

#include <math.h>

#include "op/numbers.h"

static void every_type_is_loaded(void **state) {
    uint8_t raw[8 * 21 + 1];
    float got[21];

    op_bench_noise(raw, sizeof(raw), 3);
    for (int odd = 0; odd < 2; odd++) { /* at any address */
        const uint8_t *from = raw + odd;

        numbers_load(OPIML_U8, from, 21, got);
        for (int i = 0; i < 21; i++)
            assert_true(got[i] == (float)from[i]);
        numbers_load(OPIML_I8, from, 21, got);
        for (int i = 0; i < 21; i++)
            assert_true(got[i] == (float)(int8_t)from[i]);
        numbers_load(OPIML_U16, from, 21, got);
        for (int i = 0; i < 21; i++)
            assert_true(got[i] == (float)(from[2 * i] | from[2 * i + 1] << 8));
        numbers_load(OPIML_I16, from, 21, got);
        for (int i = 0; i < 21; i++)
            assert_true(got[i] == (float)(int16_t)(from[2 * i] | from[2 * i + 1] << 8));
    }
}

static void wide_types_are_rounded(void **state) {
    const int32_t i32[] = {INT32_MIN, 16777217, 16777219, -5};
    const int64_t i64[] = {INT64_MAX, -3, INT64_C(1) << 40};
    const double f64[] = {0.1, -1e300, 1e-300, NAN};
    float got[4];

    numbers_load(OPIML_I32, (const uint8_t *)i32, 4, got);
    assert_true(got[0] == -0x1p31f && got[1] == 16777216 && got[2] == 16777220 && got[3] == -5);
    numbers_load(OPIML_I64, (const uint8_t *)i64, 3, got);
    assert_true(got[0] == 0x1p63f && got[1] == -3 && got[2] == 0x1p40f);
    numbers_load(OPIML_F64, (const uint8_t *)f64, 4, got);
    assert_true(got[0] == 0.1f && got[1] == -INFINITY && got[2] == 0 && isnan(got[3]));
    numbers_load(OPIML_F32, (const uint8_t *)(const float[]){3.5f}, 1, got);
    assert_true(got[0] == 3.5f);
}

static void ranges(void **state) {
    double range[2];
    struct opiml_error err;

    assert_int_equal(numbers_range("p", &(struct opiml_f64_list){1, {4}}, range, NULL), 0);
    assert_true(range[0] == 4 && range[1] == 4);
    assert_int_equal(numbers_range("p", &(struct opiml_f64_list){2, {-1, 2}}, range, NULL), 0);
    assert_true(range[0] == -1 && range[1] == 2);
    assert_int_equal(numbers_range("p", &(struct opiml_f64_list){2, {2, 1}}, range, &err),
                     OPIML_EINVAL);
    assert_non_null(strstr(err.message, "p: "));
    assert_int_equal(numbers_range("p", &(struct opiml_f64_list){2, {NAN, 1}}, range, NULL),
                     OPIML_EINVAL);
    assert_int_equal(numbers_range("p", &(struct opiml_f64_list){0, {0}}, range, NULL),
                     OPIML_EINVAL);
    assert_int_equal(numbers_range("p", &(struct opiml_f64_list){3, {0}}, range, NULL),
                     OPIML_EINVAL);
}

static void draws_keep_to_their_range(void **state) {
    const double range[] = {-1, 3};
    struct opiml_rng rng;
    double sum = 0;

    rng_init(&rng, 1, 2, 3, 4);
    for (int i = 0; i < 20000; i++) {
        float x = numbers_draw(&rng, range);

        assert_true(x >= -1 && x <= 3);
        sum += (double)x;
    }
    assert_true(fabs(sum / 20000 - 1) < 0.05);
    assert_true(numbers_draw(&rng, (const double[]){2, 2}) == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_loaded),
        cmocka_unit_test(wide_types_are_rounded),
        cmocka_unit_test(ranges),
        cmocka_unit_test(draws_keep_to_their_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
