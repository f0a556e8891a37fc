/* decode_resize: a picture at another size. */
#include "crop_cases.h"

extern const struct opiml_op op_decode_resize, op_resize;

static void fast_is_the_reference(void **state) {
    (void)state;
    crop_compare_all(&op_decode_resize, "{size: [24, 17]}", 150);
    crop_compare_all(&op_decode_resize, "{size: 12}", 150);
    crop_compare_all(&op_decode_resize, "{size: 50, max_size: 60}", 100);
}

static void one_is_two(void **state) {
    (void)state;
    crop_compare_parts(&op_decode_resize, &op_resize, "{size: [40, 50]}", 60, 1, 79);
    crop_compare_parts(&op_decode_resize, &op_resize, "{size: 40}", 60, 1, 79);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(one_is_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
