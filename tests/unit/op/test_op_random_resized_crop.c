/* random_resized_crop: decoded images. */
#include "crop_cases.h"

extern const struct opiml_op op_random_resized_crop;

static void fast_is_the_reference(void **state) {
    (void)state;
    crop_compare_decoded(&op_random_resized_crop, "{size: [24, 17]}", 60);
    crop_compare_decoded(&op_random_resized_crop, "{size: 50, scale: [0.01, 0.2]}", 60);
    crop_compare_decoded(&op_random_resized_crop, "{size: 3, ratio: [0.1, 10]}", 30);
}

/* Columns and rows are numbered: the result's gradients tell which part it shows. */
static void parts_lie_in_the_image(void **state) {
    uint8_t pixels[100 * 120 * 2];
    struct op_bench b;
    int left_most = 255, right_most = 0;

    (void)state;
    for (int i = 0; i < 100 * 120; i++) {
        pixels[2 * i] = (uint8_t)(i % 120 * 2);
        pixels[2 * i + 1] = (uint8_t)(i / 120 * 2);
    }
    crop_open_decoded(&b, &op_random_resized_crop, 2, "{size: 20}");
    op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){100, 120, 2});
    for (uint64_t sample = 0; sample < 300; sample++) {
        const uint8_t *out;
        double width, height;

        assert_int_equal(op_bench_compare(&b, sample), 0);
        out = b.out[0].data;
        /* Columns 0 and 19 lie 19 twentieths of the part apart. */
        width = (out[2 * 19] - out[0]) / 2.0 * 20 / 19;
        height = (out[2 * 20 * 19 + 1] - out[1]) / 2.0 * 20 / 19;
        assert_true(width * height / 12000 > 0.06 && width * height / 12000 < 1.02);
        assert_true(width / height > 0.68 && width / height < 1.48);
        left_most = out[0] < left_most ? out[0] : left_most;
        right_most = out[2 * 19] > right_most ? out[2 * 19] : right_most;
    }
    assert_true(left_most < 10 && right_most > 228);
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(parts_lie_in_the_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
