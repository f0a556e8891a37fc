/* random_crop: every window is one of the padded image, and all come up. */
#include "op_harness.h"

extern const struct opiml_op op_random_crop;

static void make(struct op_bench *b, int64_t height, int64_t width, int64_t channels) {
    op_bench_init(b, &op_random_crop);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){height, width, channels}, 4000);
}

/* Pixels are numbered, so a crop tells where it comes from: 0 is the margin. */
static void every_place_comes_up(void **state) {
    uint8_t pixels[6 * 5], seen[6][7] = {{0}};
    struct op_bench b;
    uint32_t places = 0;

    (void)state;
    for (uint8_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i + 1);
    make(&b, 6, 5, 1);
    op_bench_value(&b, "image", pixels, sizeof(pixels), NULL);
    assert_int_equal(op_bench_open(&b, "{size: [5, 3], pad: 2}"), 0);
    for (uint64_t sample = 0; sample < 400; sample++) {
        uint8_t middle;
        int top, left;

        assert_int_equal(op_bench_compare(&b, sample), 0);
        middle = b.out[0].data[2 * 3 + 1];
        if (middle == 0)
            continue; /* its middle lies in the margin */
        top = (middle - 1) / 5;
        left = (middle - 1) % 5;
        for (int y = -2; y <= 2; y++)
            for (int x = -1; x <= 1; x++) {
                bool inside = top + y >= 0 && top + y < 6 && left + x >= 0 && left + x < 5;

                assert_int_equal(b.out[0].data[(y + 2) * 3 + x + 1],
                                 inside ? pixels[(top + y) * 5 + left + x] : 0);
            }
        places += !seen[top][left];
        seen[top][left] = 1;
    }
    assert_int_equal(places, 6 * 5); /* tops -2 … 3 and lefts -2 … 4: middles all over the image */
    op_bench_release(&b);
}

static void the_stream_keys_the_place(void **state) {
    struct op_bench b;
    uint8_t pixels[40 * 40], first[64], other[64];

    (void)state;
    op_bench_noise(pixels, sizeof(pixels), 9);
    make(&b, -1, -1, 1);
    op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){40, 40, 1});
    assert_int_equal(op_bench_open(&b, "{size: 8, mode: reflect, pad: 3}"), 0);
    assert_int_equal(op_bench_run(&b, 1), 0);
    memcpy(first, b.out[0].data, 64);
    assert_int_equal(op_bench_run(&b, 2), 0);
    memcpy(other, b.out[0].data, 64);
    assert_memory_not_equal(first, other, 64);
    assert_int_equal(op_bench_run(&b, 1), 0);
    assert_memory_equal(first, b.out[0].data, 64);
    b.epoch = 1;
    assert_int_equal(op_bench_run(&b, 1), 0);
    assert_memory_not_equal(first, b.out[0].data, 64);
    op_bench_release(&b);
}

static void small_images_are_bad_rows(void **state) {
    struct op_bench b;
    uint8_t pixels[4 * 30] = {0};

    (void)state;
    make(&b, -1, -1, 1);
    assert_int_equal(op_bench_open(&b, "{size: [8, 8], pad: 1}"), 0);
    op_bench_value(&b, "image", pixels, sizeof(pixels), (int64_t[]){4, 30, 1});
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    assert_non_null(strstr(b.err.message, "4 × 30"));
    assert_non_null(strstr(b.err.message, "resize"));
    op_bench_value(&b, "image", pixels, 0, (int64_t[]){0, 30, 1});
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    op_bench_value(&b, "image", pixels, 36, (int64_t[]){6, 6, 1}); /* exactly the padded size */
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 4, -1, 3);
    op_bench_refuses(&b, "{}", "size");
    op_bench_refuses(&b, "{size: [1, 2, 3]}", "size|3 numbers");
    op_bench_refuses(&b, "{size: 8}", "size|smaller than the crop of 8 × 8|raise `pad`");
    op_bench_refuses(&b, "{size: 0}", "size");
    op_bench_refuses(&b, "{size: 2, value: [1, 2]}", "value");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_comes_up),
        cmocka_unit_test(the_stream_keys_the_place),
        cmocka_unit_test(small_images_are_bad_rows),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
