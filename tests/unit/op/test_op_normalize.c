/* normalize: its formula, layouts and types; vectors as without. */
#include "op_harness.h"

#include <math.h>

#include "base/hash.h"
#include "op/half.h"

extern const struct opiml_op op_normalize;

#define IMAGENET "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"

static void make(struct op_bench *b, uint32_t dtype, int64_t channels) {
    op_bench_init(b, &op_normalize);
    op_bench_field(b, "image", dtype, 3, (int64_t[]){-1, -1, channels}, 1 << 20);
}

static void give_bytes(struct op_bench *b, int64_t height, int64_t width, int64_t channels) {
    uint64_t bytes = (uint64_t)(height * width * channels);
    uint8_t *pixels = malloc(bytes + 1);

    op_bench_noise(pixels, bytes, (uint32_t)width);
    op_bench_value(b, "image", pixels, bytes, (int64_t[]){height, width, channels});
    free(pixels);
}

static void the_formula_holds(void **state) {
    static const double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};
    struct op_bench b;

    (void)state;
    make(&b, OPIML_U8, 3);
    give_bytes(&b, 5, 9, 3);
    assert_int_equal(op_bench_open(&b, "{" IMAGENET "}"), 0);
    assert_int_equal(b.shape.out.fields[0].shape[0], 3);
    assert_int_equal(b.shape.out.fields[0].shape[1], -1);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(b.out[0].shape[0], 3);
    assert_int_equal(b.out[0].shape[1], 5);
    assert_int_equal(b.out[0].shape[2], 9);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 45; i++) {
            double x = (b.in[0].data[i * 3 + c] / 255.0 - mean[c]) / std[c];
            float scale = (float)(1 / (255 * std[c])), bias = (float)(-mean[c] / std[c]);
            volatile float product = b.in[0].data[i * 3 + c] * scale;
            float y = ((float *)b.out[0].data)[c * 45 + i];

            assert_true(fabs(x - y) < 1e-6);
            assert_true(y == product + bias); /* bit for bit */
        }
    op_bench_release(&b);
}

static void vectors_change_nothing(void **state) {
    static const char *const dtypes[] = {"f32", "f16", "bf16", "u8"};
    static const char *const layouts[] = {"nchw", "nhwc"};

    (void)state;
    for (size_t d = 0; d < COUNT_OF(dtypes); d++)
        for (size_t l = 0; l < COUNT_OF(layouts); l++)
            for (int64_t channels = 1; channels <= 4; channels++) {
                struct op_bench b;
                char params[96];

                snprintf(params, sizeof(params), "{mean: 0.45, std: 0.22, to: %s, layout: %s}",
                         dtypes[d], layouts[l]);
                make(&b, OPIML_U8, channels);
                assert_int_equal(op_bench_open(&b, params), 0);
                for (int64_t width = 0; width < 36; width++) {
                    give_bytes(&b, 3, width, channels);
                    assert_int_equal(op_bench_compare(&b, 0), 0);
                }
                op_bench_release(&b);
            }
}

/* The same element in either layout. */
static void layouts_agree(void **state) {
    struct op_bench a, b;

    (void)state;
    make(&a, OPIML_U8, 3);
    make(&b, OPIML_U8, 3);
    give_bytes(&a, 7, 11, 3);
    give_bytes(&b, 7, 11, 3);
    assert_int_equal(op_bench_open(&a, "{" IMAGENET ", to: bf16}"), 0);
    assert_int_equal(op_bench_open(&b, "{" IMAGENET ", to: bf16, layout: nhwc}"), 0);
    assert_int_equal(op_bench_run(&a, 0), 0);
    assert_int_equal(op_bench_run(&b, 0), 0);
    for (int i = 0; i < 77; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(((uint16_t *)a.out[0].data)[c * 77 + i],
                             ((uint16_t *)b.out[0].data)[i * 3 + c]);
    op_bench_release(&a);
    op_bench_release(&b);
}

static void bytes_stay_bytes(void **state) {
    struct op_bench b;
    uint8_t all[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    make(&b, OPIML_U8, 1);
    op_bench_value(&b, "image", all, 256, (int64_t[]){16, 16, 1});
    assert_int_equal(op_bench_open(&b, "{to: u8}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, all, 256);
    op_bench_release(&b);
    make(&b, OPIML_U8, 1);
    op_bench_value(&b, "image", all, 256, (int64_t[]){16, 16, 1});
    assert_int_equal(op_bench_open(&b, "{to: u8, mean: 0.25, std: 0.5}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    for (int i = 0; i < 256; i++) {
        double x = 2 * i - 127.5;

        assert_true(fabs(b.out[0].data[i] - fmin(fmax(x, 0), 255)) <= 0.501);
    }
    op_bench_release(&b);
}

static void floats_are_taken_too(void **state) {
    const float in[] = {0.5f, -1.0f, half_f32_of(0xFFC00123), 3e38f, 1e-40f, 0};
    struct op_bench b;

    (void)state;
    make(&b, OPIML_F32, 3);
    op_bench_value(&b, "image", in, sizeof(in), (int64_t[]){1, 2, 3});
    assert_int_equal(op_bench_open(&b, "{mean: 0.25, std: 0.5}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_true(((float *)b.out[0].data)[0] == 0.5f);
    assert_true(((float *)b.out[0].data)[2] == -2.5f);
    assert_int_equal(((uint32_t *)b.out[0].data)[4], F32_NAN);
    assert_int_equal(((uint32_t *)b.out[0].data)[1], 0x7F800000); /* past f32 */
    op_bench_release(&b);
    make(&b, OPIML_F32, 3);
    op_bench_value(&b, "image", in, sizeof(in), (int64_t[]){1, 2, 3});
    assert_int_equal(op_bench_open(&b, "{to: f16, layout: nhwc}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_int_equal(((uint16_t *)b.out[0].data)[0], 0x3800);
    assert_int_equal(((uint16_t *)b.out[0].data)[2], HALF_NAN);
    op_bench_release(&b);
}

static void the_bits_are_fixed(void **state) {
    static const struct {
        const char *to;
        uint64_t hash;
    } known[] = {
        {"f32", 0x3d9c0772be94baed}, {"f16", 0xff4ff1a4d2583975}, {"bf16", 0x6a36695e39b03a3d}};
    int wrong = 0;

    (void)state;
    for (size_t k = 0; k < COUNT_OF(known); k++) {
        struct op_bench b;
        char params[160];
        uint64_t hash;

        snprintf(params, sizeof(params), "{" IMAGENET ", to: %s}", known[k].to);
        make(&b, OPIML_U8, 3);
        give_bytes(&b, 37, 53, 3);
        assert_int_equal(op_bench_open(&b, params), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        hash = hash_64(b.out[0].data, b.out[0].bytes, 0);
        if (hash != known[k].hash) {
            print_error("%s: 0x%016" PRIx64 "\n", known[k].to, hash);
            wrong++;
        }
        op_bench_release(&b);
    }
    assert_int_equal(wrong, 0);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    op_bench_init(&b, &op_normalize);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){8, 8, 3}, 0);
    op_bench_field(&b, "bytes", OPIML_U8, 1, (int64_t[]){-1}, 100);
    op_bench_field(&b, "wide", OPIML_I32, 3, (int64_t[]){8, 8, 3}, 0);
    op_bench_field(&b, "five", OPIML_U8, 3, (int64_t[]){8, 8, 5}, 0);
    op_bench_field(&b, "float", OPIML_F32, 3, (int64_t[]){8, 8, 3}, 0);
    op_bench_refuses(&b, "{mean: [0.1, 0.2]}", "mean|2 numbers for 3 channels");
    op_bench_refuses(&b, "{std: [1, 1]}", "std|2 numbers");
    op_bench_refuses(&b, "{std: 0}", "std|above 0");
    op_bench_refuses(&b, "{std: 1e-300}", "std|too small");
    op_bench_refuses(&b, "{to: f64}", "to");
    op_bench_refuses(&b, "{field: bytes}", "bytes|`decode`");
    op_bench_refuses(&b, "{field: wide}", "wide|i32|`cast`");
    op_bench_refuses(&b, "{field: five}", "five|1 to 4 channels");
    op_bench_refuses(&b, "{field: float, to: u8}", "to|cast");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_formula_holds),    cmocka_unit_test(vectors_change_nothing),
        cmocka_unit_test(layouts_agree),        cmocka_unit_test(bytes_stay_bytes),
        cmocka_unit_test(floats_are_taken_too), cmocka_unit_test(the_bits_are_fixed),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
