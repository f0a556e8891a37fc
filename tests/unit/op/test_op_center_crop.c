/* center_crop: decoded images. */
#include "crop_cases.h"

extern const struct opiml_op op_center_crop;

static void fast_is_the_reference(void **state) {
    (void)state;
    crop_compare_decoded(&op_center_crop, "{size: [24, 17]}", 60);
    crop_compare_decoded(&op_center_crop, "{size: [24, 17], resize: 30}", 60);
    crop_compare_decoded(&op_center_crop, "{size: 60, resize: 9}", 30);
}

/* Unresized, it is a copy; what is missing is zero. */
static void pixels_are_copied(void **state) {
    uint8_t pixels[9 * 12 * 2];
    struct op_bench b;

    (void)state;
    op_bench_noise(pixels, sizeof(pixels), 3);
    crop_open_decoded(&b, &op_center_crop, 2, "{size: [5, 15]}");
    op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){9, 12, 2});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 15; x++)
            for (int c = 0; c < 2; c++) {
                bool inside = x >= 1 && x < 13; /* (15 - 12) / 2 = 1 column of zeros before */

                assert_int_equal(b.out[0].data[(y * 15 + x) * 2 + c],
                                 inside ? pixels[((y + 2) * 12 + x - 1) * 2 + c] : 0);
            }
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(pixels_are_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
