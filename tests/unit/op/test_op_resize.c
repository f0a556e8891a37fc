/* resize: decoded images. */
#include "crop_cases.h"

extern const struct opiml_op op_resize;

static void fast_is_the_reference(void **state) {
    (void)state;
    crop_compare_decoded(&op_resize, "{size: [24, 17]}", 60);
    crop_compare_decoded(&op_resize, "{size: 20}", 60);
    crop_compare_decoded(&op_resize, "{size: [1, 200]}", 20);
}

static void sizes_follow_the_shorter_side(void **state) {
    uint8_t pixels[30 * 61 * 3] = {0};
    struct op_bench b;

    (void)state;
    crop_open_decoded(&b, &op_resize, 3, "{size: 20}");
    op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){30, 61, 3});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.out[0].shape[0], 20);
    assert_int_equal(b.out[0].shape[1], 40);
    op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){61, 30, 3});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.out[0].shape[0], 40);
    assert_int_equal(b.out[0].shape[1], 20);
    op_bench_release(&b);
}

/* Halves of 2 × 2 equal pixels, by hand: the triangle over an output pixel weighs 1 3 3 1. */
static void weights_are_a_triangle(void **state) {
    const uint8_t row[8] = {0, 0, 0, 80, 0, 0, 0, 0};
    struct op_bench b;

    (void)state;
    crop_open_decoded(&b, &op_resize, 1, "{size: [1, 4]}");
    op_bench_value(&b, "image", row, sizeof(row), (int64_t[]){1, 8, 1});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    /* 0 1 2 weigh 3 3 1 at the edge; 3 is in the second (third of 1 3 3 1) and third (first) */
    assert_int_equal(b.out[0].data[0], 0);
    assert_int_equal(b.out[0].data[1], 30);
    assert_int_equal(b.out[0].data[2], 10);
    assert_int_equal(b.out[0].data[3], 0);
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(sizes_follow_the_shorter_side),
        cmocka_unit_test(weights_are_a_triangle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
