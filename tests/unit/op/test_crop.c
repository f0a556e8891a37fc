/* What the crop operators share: fields and shapes, refusals, limits, charges. The operators' own
 * tests look at pixels. */
#include "pictures.h"

#include "op/crop.h"

extern const struct opiml_op op_decode_crop, op_center_crop, op_decode_resize, op_resize;

static void encoded(struct op_bench *b, const struct opiml_op *op) {
    op_bench_init(b, op);
    op_bench_field(b, "label", OPIML_I64, 0, NULL, 0);
    op_bench_field(b, "image", OPIML_U8, 1, (int64_t[]){-1}, MIB(4));
}

static void shapes_are_as_told(void **state) {
    struct op_bench b;

    (void)state;
    encoded(&b, &op_decode_crop);
    assert_int_equal(op_bench_check(&b, "{size: [224, 192]}"), 0);
    assert_int_equal(b.shape.out.fields[1].shape[0], 224);
    assert_int_equal(b.shape.out.fields[1].shape[1], 192);
    assert_int_equal(b.shape.out.fields[1].shape[2], 3);
    assert_int_equal(b.shape.out.fields[1].max_bytes, 224 * 192 * 3);
    assert_int_equal(b.shape.from[0], 0);
    assert_int_equal(b.shape.from[1], OPIML_OP_NEW);
    assert_true(b.shape.scratch_bytes < MIB(6));
    op_bench_release(&b);
    encoded(&b, &op_decode_resize);
    assert_int_equal(op_bench_check(&b, "{size: 100, max_size: 300}"), 0);
    assert_int_equal(b.shape.out.fields[1].shape[0], -1);
    assert_int_equal(b.shape.out.fields[1].max_bytes, 100 * 300 * 3);
    op_bench_release(&b);
    op_bench_init(&b, &op_center_crop);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 1}, 1000);
    assert_int_equal(op_bench_check(&b, "{size: 8}"), 0);
    assert_int_equal(b.shape.out.fields[0].max_bytes, 64);
    assert_int_equal(b.shape.out.fields[0].shape[2], 1);
    op_bench_release(&b);
}

static void fields_that_do_not_fit_are_refused(void **state) {
    struct op_bench b;

    (void)state;
    encoded(&b, &op_decode_crop);
    op_bench_refuses(&b, "{size: 8, field: imaeg}", "field|image");
    op_bench_refuses(&b, "{size: 8, field: label}", "field|label|not an encoded picture");
    op_bench_refuses(&b, "{size: 0}", "size");
    op_bench_refuses(&b, "{size: [1, 2, 3]}", "size|3 numbers");
    op_bench_refuses(&b, "{size: 8, max_pixels: 0}", "max_pixels");
    op_bench_release(&b);
    encoded(&b, &op_resize);
    op_bench_refuses(&b, "{size: 8}", "field|encoded|decode");
    op_bench_release(&b);
}

static void set_file(struct op_bench *b, const uint8_t *file, size_t bytes) {
    op_bench_value(b, "image", file, bytes, (int64_t[]){(int64_t)bytes});
    op_bench_value(b, "label", &(int64_t){5}, 8, NULL);
}

static void limits_hold(void **state) {
    struct picture_jpeg what = {.width = 100, .height = 50, .progressive = true};
    struct op_bench b;
    size_t bytes;
    uint8_t *file = picture_make_jpeg(&what, &bytes);

    (void)state;
    encoded(&b, &op_decode_crop);
    assert_int_equal(op_bench_open(&b, "{size: 8, max_pixels: 4999}"), 0);
    set_file(&b, file, bytes);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    assert_non_null(strstr(b.err.message, "image: a picture of 50 × 100 pixels"));
    assert_non_null(strstr(b.err.message, "max_pixels"));
    op_bench_release(&b);
    encoded(&b, &op_decode_crop);
    assert_int_equal(op_bench_open(&b, "{size: 8, max_pixels: 5000}"), 0);
    set_file(&b, file, bytes);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.charged, 13 * 7 * 3 * 128); /* blocks of coefficients */
    b.charge_limit = 1000;                         /* a pool that can never hold them */
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    b.charge_limit = MIB(1); /* and the decoder is as good as before */
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
    free(file);
}

static void bad_pictures_name_the_field(void **state) {
    struct op_bench b;

    (void)state;
    encoded(&b, &op_decode_crop);
    assert_int_equal(op_bench_open(&b, "{size: 8}"), 0);
    set_file(&b, (const uint8_t *)"GIF89a", 6);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    assert_non_null(strstr(b.err.message, "image: neither JPEG nor PNG"));
    set_file(&b, (const uint8_t *)"", 0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    op_bench_release(&b);
}

static void images_without_pixels_are_bad(void **state) {
    static const uint8_t zeros[65536];
    struct op_bench b;

    (void)state;
    op_bench_init(&b, &op_resize);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 3}, 1000);
    assert_int_equal(op_bench_open(&b, "{size: [4, 4]}"), 0);
    op_bench_value(&b, "image", "", 0, (int64_t[]){0, 7, 3});
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    op_bench_value(&b, "image", "", 0, (int64_t[]){7, 0, 3});
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    op_bench_release(&b);
    op_bench_init(&b, &op_resize);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 1}, 70000);
    assert_int_equal(op_bench_open(&b, "{size: [1, 1]}"), 0);
    op_bench_value(&b, "image", zeros, sizeof(zeros), (int64_t[]){1, 65536, 1});
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    op_bench_release(&b);
}

static void state_needs_memory(void **state) {
    struct op_bench b;
    void *worker = NULL;

    (void)state;
    encoded(&b, &op_decode_crop);
    assert_int_equal(op_bench_check(&b, "{size: 8}"), 0);
    base_alloc_fail_at(3);
    assert_int_equal(crop_decode_open(b.params, &b.shape, &worker, &b.err), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    assert_null(worker);
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_as_told),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(bad_pictures_name_the_field),
        cmocka_unit_test(images_without_pixels_are_bad),
        cmocka_unit_test(state_needs_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
