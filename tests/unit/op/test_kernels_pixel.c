/* The vector kernels against the portable ones, and the half formats against their definition. */
#include "op_harness.h"

#include "op/half.h"
#include "op/kernels_pixel.h"

static void halves_go_there_and_back(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        bool nan16 = (h & 0x7C00) == 0x7C00 && (h & 0x3FF);
        bool nan_bf = (h & 0x7F80) == 0x7F80 && (h & 0x7F);

        assert_int_equal(half_from_f32(half_to_f32((uint16_t)h)), nan16 ? HALF_NAN : h);
        assert_int_equal(bf16_from_f32(bf16_to_f32((uint16_t)h)), nan_bf ? BF16_NAN : h);
        assert_int_equal(bf16_from_f64(bf16_to_f32((uint16_t)h)), nan_bf ? BF16_NAN : h);
    }
}

/* Rounding by its definition: halfway between neighbours goes to the even one, all else to the
 * nearer. */
static void rounding_is_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7BFF; h++) {
        double a = half_to_f32((uint16_t)h), b = half_to_f32((uint16_t)(h + 1)),
               middle = (a + b) / 2;
        uint32_t even = h & 1 ? h + 1 : h;

        assert_int_equal(half_from_f64(middle), even);
        assert_int_equal(half_from_f64(middle + (b - a) * 0x1p-20), h + 1);
        assert_int_equal(half_from_f64(middle - (b - a) * 0x1p-20), h);
        assert_int_equal(half_from_f64(-middle), 0x8000 | even);
    }
    for (uint32_t h = 0; h < 0x7F7F; h += 7) {
        double a = bf16_to_f32((uint16_t)h), b = bf16_to_f32((uint16_t)(h + 1)),
               middle = (a + b) / 2;
        uint32_t even = h & 1 ? h + 1 : h;

        assert_int_equal(bf16_from_f64(middle), even);
        assert_int_equal(bf16_from_f64(middle + (b - a) * 0x1p-20), h + 1);
        assert_int_equal(bf16_from_f64(middle - (b - a) * 0x1p-20), h);
        if (h > 0)
            assert_int_equal(bf16_from_f32((float)middle), even);
    }
}

static void what_is_too_large_or_small(void **state) {
    (void)state;
    assert_int_equal(half_from_f64(65504), 0x7BFF);
    assert_int_equal(half_from_f64(65519.99), 0x7BFF);
    assert_int_equal(half_from_f64(65520), 0x7C00);
    assert_int_equal(half_from_f64(-1e300), 0xFC00);
    assert_int_equal(half_from_f64(0x1p-24), 1);
    assert_int_equal(half_from_f64(0x1p-25), 0);
    assert_int_equal(half_from_f64(0x1.0001p-25), 1);
    assert_int_equal(half_from_f64(-0.0), 0x8000);
    assert_int_equal(half_from_f64(1e-310), 0);
    assert_int_equal(bf16_from_f32(half_f32_of(0x7F7FFFFF)), 0x7F80);
    assert_int_equal(bf16_from_f64(1e300), 0x7F80);
    assert_int_equal(bf16_from_f32(half_f32_of(0xFF800001)), BF16_NAN);
    assert_int_equal(half_f32_bits(half_clean_nan(half_f32_of(0xFFC12345))), F32_NAN);
}

static void reverse_is_the_same(void **state) {
    const struct kernels_pixel *best = kernels_pixel();
    uint8_t in[300 * 4];

    (void)state;
    op_bench_noise(in, sizeof(in), 1);
    for (uint32_t channels = 1; channels <= 4; channels++)
        for (size_t pixels = 0; pixels <= 130; pixels++) {
            size_t bytes = pixels * channels;
            uint8_t *exact = malloc(bytes + 1), *a = op_bench_buffer(bytes, 1);
            uint8_t *b = op_bench_buffer(bytes, 2);

            memcpy(exact, in, bytes);
            best->reverse(exact, a, pixels, channels);
            kernels_pixel_portable.reverse(exact, b, pixels, channels);
            assert_memory_equal(a, b, bytes);
            op_bench_guard(a, bytes, best->name);
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(b[i], in[(pixels - 1 - i / channels) * channels + i % channels]);
            free(exact);
            free(a);
            free(b);
        }
}

static void compare_affine(const struct kernels_pixel_affine *affine, size_t pixels) {
    const struct kernels_pixel *best = kernels_pixel();
    size_t count = pixels * affine->channels, bytes = count * opiml_dtype_bytes(affine->to);
    uint8_t *in = malloc(count + 1), *a = op_bench_buffer(bytes, 1), *b = op_bench_buffer(bytes, 2);

    op_bench_noise(in, count, (uint32_t)pixels + 1);
    best->affine(affine, in, pixels, a);
    kernels_pixel_portable.affine(affine, in, pixels, b);
    assert_memory_equal(a, b, bytes);
    op_bench_guard(a, bytes, best->name);
    op_bench_guard(b, bytes, "portable");
    free(in);
    free(a);
    free(b);
}

static void affine_is_the_same(void **state) {
    static const uint32_t dtypes[] = {OPIML_F32, OPIML_F16, OPIML_BF16};
    /* The usual, the subnormal in f16, the infinite in f16, and past f32. */
    static const float scales[] = {0.0171247534f, 1e-9f, 900.0f, 3e37f};

    (void)state;
    for (uint32_t d = 0; d < 3; d++)
        for (uint32_t planar = 0; planar < 2; planar++)
            for (uint32_t channels = 1; channels <= 4; channels++)
                for (uint32_t s = 0; s < COUNT_OF(scales); s++) {
                    struct kernels_pixel_affine affine = {
                        .channels = channels, .to = dtypes[d], .planar = planar};

                    for (uint32_t c = 0; c < channels; c++) {
                        affine.scale[c] = scales[s] * (1 + 0.1f * (float)c);
                        affine.bias[c] = s == 1 ? 0 : -2.1179039f + 0.3f * (float)c;
                    }
                    for (size_t pixels = 0; pixels <= 67; pixels++)
                        compare_affine(&affine, pixels);
                    compare_affine(&affine, 33 * 41);
                }
}

/* Values with every kind of exponent, among them subnormal ones, infinities and NaN. */
static void fill_wild(uint8_t *at, size_t bytes, uint32_t seed) {
    op_bench_noise(at, bytes, seed);
    for (size_t i = 0; i + 8 <= bytes; i += 32)
        memset(at + i, seed & 1 ? 0xFF : 0x7F, 4);
}

static void mix_is_the_same(void **state) {
    const struct kernels_pixel *best = kernels_pixel(), *plain = &kernels_pixel_portable;
    static const uint32_t shares[] = {0, 1, 13107, 32768, 65535, 65536};

    (void)state;
    for (uint32_t s = 0; s < COUNT_OF(shares); s++)
        for (size_t n = 0; n <= 70; n++) {
            float l = (float)shares[s] / 65536, m = (float)(65536 - shares[s]) / 65536;

            for (int kind = 0; kind < 4; kind++) {
                size_t bytes = n * (kind == 0 ? 4 : kind == 3 ? 1 : 2);
                uint8_t *v[4]; /* a and b for the one and for the other */

                for (int i = 0; i < 4; i++) {
                    v[i] = op_bench_buffer(bytes, 0);
                    fill_wild(v[i], bytes, (uint32_t)n * 2 + (i & 1));
                }
                for (int i = 0; i < 2; i++) {
                    const struct kernels_pixel *k = i ? best : plain;
                    void *a = v[2 * i], *b = v[2 * i + 1];

                    if (kind == 0)
                        k->mix_f32(a, b, n, l, m);
                    else if (kind == 1)
                        k->mix_f16(a, b, n, l, m);
                    else if (kind == 2)
                        k->mix_bf16(a, b, n, l, m);
                    else
                        k->mix_u8(a, b, n, shares[s]);
                    op_bench_guard(a, bytes, k->name);
                    op_bench_guard(b, bytes, k->name);
                }
                assert_memory_equal(v[0], v[2], bytes);
                assert_memory_equal(v[1], v[3], bytes);
                for (int i = 0; i < 4; i++)
                    free(v[i]);
            }
        }
}

static void mix_means_what_it_says(void **state) {
    float a[2] = {1.5f, 0}, b[2] = {-0.5f, half_f32_of(0xFFABCDEF)};
    uint8_t x[2] = {255, 10}, y[2] = {0, 20};

    (void)state;
    kernels_pixel()->mix_f32(a, b, 2, 0.75f, 0.25f);
    assert_true(a[0] == 1.0f && b[0] == 0.0f);
    assert_int_equal(half_f32_bits(a[1]), F32_NAN);
    assert_int_equal(half_f32_bits(b[1]), F32_NAN);
    kernels_pixel()->mix_u8(x, y, 2, 49152);
    assert_int_equal(x[0], 191); /* 191.25 */
    assert_int_equal(y[0], 64);  /* 63.75 */
    assert_int_equal(x[1], 13);  /* 12.5, upwards */
    assert_int_equal(y[1], 18);  /* 17.5 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_go_there_and_back),   cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(what_is_too_large_or_small), cmocka_unit_test(reverse_is_the_same),
        cmocka_unit_test(affine_is_the_same),         cmocka_unit_test(mix_is_the_same),
        cmocka_unit_test(mix_means_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
