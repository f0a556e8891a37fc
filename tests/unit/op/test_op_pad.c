/* pad: margins of every kind. */
#include "op_harness.h"

extern const struct opiml_op op_pad;

static void make(struct op_bench *b, int64_t height, int64_t width, int64_t channels) {
    op_bench_init(b, &op_pad);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){height, width, channels}, 60);
}

static void sides_are_as_given(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 1, 2, 1);
    op_bench_value(&b, "image", "ab", 2, NULL);
    assert_int_equal(op_bench_open(&b, "{pad: [1, 0, 2, 1], value: 46}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, ".......ab.", 10);
    assert_int_equal(b.out[0].shape[0], 2);
    assert_int_equal(b.out[0].shape[1], 5);
    op_bench_release(&b);
    make(&b, 1, 2, 1);
    op_bench_value(&b, "image", "ab", 2, NULL);
    assert_int_equal(op_bench_open(&b, "{pad: [0, 3], mode: reflect}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data,
                        "bab"
                        "ab"
                        "aba",
                        8);
    op_bench_release(&b);
    make(&b, 1, 2, 1);
    op_bench_value(&b, "image", "ab", 2, NULL);
    assert_int_equal(op_bench_open(&b, "{pad: 1, mode: edge}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, "aabbaabbaabb", 12);
    op_bench_release(&b);
}

static void channels_have_their_own_value(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 1, 1, 3);
    op_bench_value(&b, "image", "xyz", 3, NULL);
    assert_int_equal(op_bench_open(&b, "{pad: [0, 0, 1, 0], value: [65, 66, 67]}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, "ABCxyz", 6);
    op_bench_release(&b);
}

/* Of all images that fit the input's bytes none outgrows the room that check promises. */
static void varying_images_fit(void **state) {
    static const int64_t shapes[][2] = {{1, 20}, {20, 1}, {4, 5}, {1, 1}, {2, 10}};
    uint8_t pixels[60];

    (void)state;
    op_bench_noise(pixels, sizeof(pixels), 3);
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        for (int vary = 1; vary < 4; vary++) {
            struct op_bench b;
            uint64_t bytes = (uint64_t)(shapes[i][0] * shapes[i][1] * 3);

            make(&b, vary & 1 ? -1 : shapes[i][0], vary & 2 ? -1 : shapes[i][1], 3);
            op_bench_value(&b, "image", pixels, bytes, (int64_t[]){shapes[i][0], shapes[i][1], 3});
            assert_int_equal(op_bench_open(&b, "{pad: [2, 1, 3, 4]}"), 0);
            assert_int_equal(op_bench_compare(&b, 0), 0);
            assert_int_equal(b.out[0].bytes, (shapes[i][0] + 3) * (shapes[i][1] + 7) * 3);
            op_bench_release(&b);
        }
}

static void a_sliver_that_grows_too_much_is_a_bad_row(void **state) {
    struct op_bench b;
    uint8_t *pixels = calloc(1, 90000);

    (void)state;
    op_bench_init(&b, &op_pad);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 3}, 90000);
    op_bench_value(&b, "image", pixels, 90000, (int64_t[]){30000, 1, 3});
    assert_int_equal(op_bench_open(&b, "{pad: 50}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ELIMIT);
    assert_non_null(strstr(b.err.message, "30000 × 1"));
    op_bench_value(&b, "image", pixels, 30000, (int64_t[]){100, 100, 3});
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_release(&b);
    free(pixels);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, -1, -1, 3);
    op_bench_refuses(&b, "{}", "pad");
    op_bench_refuses(&b, "{pad: [1, 2, 3]}", "pad|3 numbers");
    op_bench_refuses(&b, "{pad: []}", "pad");
    op_bench_refuses(&b, "{pad: 70000}", "pad");
    op_bench_refuses(&b, "{pad: 1, value: [1, 2]}", "value|2 numbers for 3 channels");
    op_bench_refuses(&b, "{pad: 1, value: 256}", "value");
    op_bench_refuses(&b, "{pad: 1, mode: mirror}", "mode");
    op_bench_refuses(&b, "{pad: 1, field: img}", "field|img");
    op_bench_value(&b, "image", "", 0, (int64_t[]){0, 0, 3});
    assert_int_equal(op_bench_open(&b, "{pad: 1}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), OPIML_ECORRUPT);
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sides_are_as_given),
        cmocka_unit_test(channels_have_their_own_value),
        cmocka_unit_test(varying_images_fit),
        cmocka_unit_test(a_sliver_that_grows_too_much_is_a_bad_row),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
