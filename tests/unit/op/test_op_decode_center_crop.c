/* decode_center_crop: the middle of a picture, decoded alone. */
#include "crop_cases.h"

extern const struct opiml_op op_decode_center_crop, op_center_crop;

static void fast_is_the_reference(void **state) {
    (void)state;
    crop_compare_all(&op_decode_center_crop, "{size: [24, 17]}", 150);
    crop_compare_all(&op_decode_center_crop, "{size: [24, 17], resize: 30}", 150);
    crop_compare_all(&op_decode_center_crop, "{size: 7, resize: 8}", 150);
    crop_compare_all(&op_decode_center_crop, "{size: 70, resize: 20}", 100);
}

static void one_is_two(void **state) {
    (void)state;
    crop_compare_parts(&op_decode_center_crop, &op_center_crop, "{size: 40}", 60, 1, 200);
    crop_compare_parts(&op_decode_center_crop, &op_center_crop, "{size: 40, resize: 45}", 60, 1,
                       85);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(one_is_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
