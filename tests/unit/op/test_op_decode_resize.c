/* decode_resize: a picture at another size. */
#include "crop_cases.h"

#include "op/resample.h"

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

/* 81 × 67 to 20 × 16: decoded at a quarter, 21 × 17, of which 20.25 × 16.75 are the picture. */
static void reductions_keep_the_fractions(void **state) {
    struct crop_file file = crop_file(5, 81, 67);
    uint8_t whole[21 * 17 * 3 + RESAMPLE_PAD], wanted[20 * 16 * 3];
    struct codec_window window = {
        .reduction = 4, .right = 21, .bottom = 17, .to = whole, .stride = (size_t)21 * 3};
    struct resample_axis x = {.length = 81 * RESAMPLE_UNIT / 4, .high = 21, .out = 20};
    struct resample_axis y = {.length = 67 * RESAMPLE_UNIT / 4, .high = 17, .out = 16};
    uint8_t *scratch = aligned_alloc(64, resample_scratch_bytes(21, 20, 16, 3) / 64 * 64 + 64);
    struct codec_picture picture;
    struct resample resample;
    struct codec *codec;
    struct op_bench b;

    (void)state;
    crop_open(&b, &op_decode_resize, "{size: [16, 20]}");
    crop_give(&b, &file);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(codec_create(&codec, NULL), 0);
    assert_int_equal(codec_open(codec, file.data, file.bytes, &picture, NULL), 0);
    assert_int_equal(codec_rows(codec, &window, NULL), 0);
    codec_destroy(codec);
    resample_init(&resample, &x, &y, 3, wanted, (size_t)20 * 3, scratch, kernels_get_portable());
    assert_int_equal(resample.y.high, 17);
    for (uint32_t r = 0; r < 17; r++)
        assert_int_equal(resample_row(&resample, whole + (size_t)r * 21 * 3), r == 16);
    assert_memory_equal(b.out[0].data, wanted, sizeof(wanted));
    op_bench_release(&b);
    free(scratch);
    free(file.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_is_the_reference),
        cmocka_unit_test(one_is_two),
        cmocka_unit_test(reductions_keep_the_fractions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
