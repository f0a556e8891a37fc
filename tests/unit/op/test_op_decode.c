/* decode: whole pictures. */
#include "crop_cases.h"

static void every_kind_is_decoded(void **state) {
    struct op_bench b;

    (void)state;
    crop_open(&b, &op_decode, "{max_pixels: 10000}");
    for (uint32_t i = 0; i < 3 * CROP_FILES; i++) {
        struct crop_file file = crop_file(i, 3 + i * 7 % 60, 1 + i * 13 % 50);

        crop_give(&b, &file);
        if (op_bench_compare(&b, i) < 0)
            fail_msg("file %u: %s", i, b.err.message);
        assert_int_equal(b.out[0].shape[0], file.height);
        assert_int_equal(b.out[0].shape[1], file.width);
        assert_int_equal(b.out[0].shape[2], 3);
        free(file.data);
    }
    op_bench_release(&b);
}

static void pixels_are_those_of_the_picture(void **state) {
    struct picture_png what = {
        .width = 13, .height = 9, .type = SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, .depth = 8};
    struct crop_file file = crop_png(what);
    uint8_t *expected = picture_png_expected(&what);
    struct op_bench b;

    (void)state;
    crop_open(&b, &op_decode, "{max_pixels: 10000}");
    crop_give(&b, &file);
    assert_int_equal(op_bench_run(&b, 0), 0);
    assert_int_equal(b.out[0].bytes, 13 * 9 * 3);
    assert_memory_equal(b.out[0].data, expected, 13 * 9 * 3);
    op_bench_release(&b);
    free(file.data);
    free(expected);
}

static void limits_are_told(void **state) {
    struct crop_file file = crop_file(5, 20, 10);
    struct op_bench b;

    (void)state;
    crop_open(&b, &op_decode, "{max_pixels: 200}");
    assert_int_equal(b.shape.out.fields[0].max_bytes, 600);
    crop_give(&b, &file);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
    crop_open(&b, &op_decode, "{max_pixels: 199}");
    crop_give(&b, &file);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    assert_non_null(strstr(b.err.message, "max_pixels"));
    op_bench_release(&b);
    free(file.data);
}

/* A bad picture between two good ones changes neither. */
static void damage_is_told(void **state) {
    struct crop_file file = crop_file(5, 64, 48);
    struct op_bench b;

    (void)state;
    crop_open(&b, &op_decode, "{max_pixels: 10000}");
    for (size_t left = 0; left < file.bytes; left += 11) {
        op_bench_value(&b, "image", file.data, left, (int64_t[]){(int64_t)left});
        assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
        assert_memory_equal(b.err.message, "image: ", 7);
    }
    crop_give(&b, &file);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
    free(file.data);
}

static void it_has_an_identity(void **state) {
    (void)state;
    assert_true(op_decode.codec_id() != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_decoded), cmocka_unit_test(pixels_are_those_of_the_picture),
        cmocka_unit_test(limits_are_told),       cmocka_unit_test(damage_is_told),
        cmocka_unit_test(it_has_an_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
