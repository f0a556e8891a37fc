/* color_jitter against formulas in doubles, and its own bits against those of every other machine.
 */
#include "op_harness.h"

#include <math.h>

#include "base/hash.h"

extern const struct opiml_op op_color_jitter;

#define SIDE 16
#define PIXELS (SIDE * SIDE)

static void make(struct op_bench *b, int64_t channels) {
    uint8_t pixels[PIXELS * 4];

    op_bench_init(b, &op_color_jitter);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){SIDE, SIDE, channels}, 0);
    op_bench_noise(pixels, sizeof(pixels), 11);
    memset(pixels, 77, 12);      /* some greys, */
    memset(pixels + 12, 0, 6);   /* black */
    memset(pixels + 18, 255, 6); /* and white */
    op_bench_value(b, "image", pixels, (uint64_t)(PIXELS * channels), NULL);
}

static double clamp(double x) {
    return x < 0 ? 0 : x > 255 ? 255 : x;
}

static double grey(const uint8_t *rgb) {
    return floor((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 32768) / 65536.0);
}

static void compare(const struct op_bench *b, const double *want, double slack) {
    for (size_t i = 0; i < b->out[0].bytes; i++)
        if (fabs(b->out[0].data[i] - want[i]) > slack)
            fail_msg("byte %zu: %d, not %g", i, b->out[0].data[i], want[i]);
}

static void factors_do_what_they_say(void **state) {
    static const double factors[] = {0, 0.3, 1, 1.7, 15};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(factors); k++)
        for (int kind = 0; kind < 3; kind++) {
            static const char *const names[] = {"brightness", "contrast", "saturation"};
            double want[PIXELS * 3], mean = 0, f = factors[k];
            char params[64];
            struct op_bench b;

            make(&b, 3);
            for (int i = 0; i < PIXELS; i++)
                mean += grey(b.in[0].data + i * 3);
            mean = floor(mean / PIXELS + 0.5);
            for (int i = 0; i < PIXELS * 3; i++) {
                double x = b.in[0].data[i], g = grey(b.in[0].data + i / 3 * 3);
                double other = kind == 0 ? 0 : kind == 1 ? mean : g;

                want[i] = clamp(x * f + other * (1 - f));
            }
            snprintf(params, sizeof(params), "{%s: [%g, %g]}", names[kind], f, f);
            assert_int_equal(op_bench_open(&b, params), 0);
            assert_int_equal(op_bench_compare(&b, 3), 0);
            compare(&b, want, 0.51);
            op_bench_release(&b);
        }
}

/* Turn by way of the textbook's hue in doubles. */
static void turn(const uint8_t *rgb, double by, double *want) {
    double r = rgb[0], g = rgb[1], b = rgb[2], most = fmax(r, fmax(g, b));
    double least = fmin(r, fmin(g, b)), delta = most - least, hue, f;

    if (delta == 0) {
        want[0] = want[1] = want[2] = r;
        return;
    }
    hue = most == r ? (g - b) / delta : most == g ? 2 + (b - r) / delta : 4 + (r - g) / delta;
    hue = fmod(hue + 6 * by + 12, 6);
    f = hue - floor(hue);
    {
        double v = most, p = least, q = most - f * delta, t = least + f * delta;
        const double sides[6][3] = {{v, t, p}, {q, v, p}, {p, v, t},
                                    {p, q, v}, {t, p, v}, {v, p, q}};

        memcpy(want, sides[(int)hue % 6], sizeof(sides[0]));
    }
}

static void hue_turns(void **state) {
    static const double turns[] = {-0.5, -0.17, 0, 0.01, 0.25, 0.333, 0.5};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(turns); k++) {
        double want[PIXELS * 3];
        char params[64];
        struct op_bench b;

        make(&b, 3);
        for (int i = 0; i < PIXELS; i++)
            turn(b.in[0].data + i * 3, turns[k], want + i * 3);
        snprintf(params, sizeof(params), "{hue: [%g, %g]}", turns[k], turns[k]);
        assert_int_equal(op_bench_open(&b, params), 0);
        assert_int_equal(op_bench_compare(&b, 0), 0);
        compare(&b, want, 0.51);
        op_bench_release(&b);
    }
}

/* With contrast to the mean grey and saturation to nothing the order shows; all orders come up. */
static void the_order_varies(void **state) {
    struct op_bench b;
    uint64_t seen[64];
    uint32_t count = 0;

    (void)state;
    make(&b, 3);
    assert_int_equal(op_bench_open(&b, "{brightness: [1.5, 1.5], contrast: [0.5, 0.5], "
                                       "saturation: [1.8, 1.8], hue: [0.2, 0.2]}"),
                     0);
    for (uint64_t sample = 0; sample < 600; sample++) {
        uint64_t hash;
        uint32_t i = 0;

        assert_int_equal(op_bench_run(&b, sample), 0);
        hash = hash_64(b.out[0].data, b.out[0].bytes, 0);
        while (i < count && seen[i] != hash)
            i++;
        if (i == count)
            seen[count++] = hash;
        assert_true(count <= 24);
    }
    assert_int_equal(count, 24);
    op_bench_release(&b);
}

static void the_bits_are_fixed(void **state) {
    struct op_bench b;
    uint64_t hash = 0;

    (void)state;
    make(&b, 3);
    assert_int_equal(op_bench_open(&b, "{brightness: 0.4, contrast: 0.4, saturation: [0.2, 2], "
                                       "hue: 0.1}"),
                     0);
    for (uint64_t sample = 0; sample < 100; sample++) {
        assert_int_equal(op_bench_compare(&b, sample), 0);
        hash = hash_64(b.out[0].data, b.out[0].bytes, hash);
    }
    if (hash != UINT64_C(0x0bc835e312a92b62))
        fail_msg("0x%016" PRIx64, hash);
    op_bench_release(&b);
}

static void grey_images_work(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 1);
    assert_int_equal(op_bench_open(&b, "{brightness: 0.5, contrast: 0.5}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    op_bench_refuses(&b, "{saturation: 0.5}", "saturation|1 channel and");
    op_bench_refuses(&b, "{hue: 0.1}", "hue|1 channel and");
    op_bench_release(&b);
}

static void nothing_asked_nothing_done(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 3);
    assert_int_equal(op_bench_open(&b, "{}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0);
    assert_memory_equal(b.out[0].data, b.in[0].data, PIXELS * 3);
    op_bench_release(&b);
    op_bench_init(&b, &op_color_jitter);
    op_bench_field(&b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, 3}, 100);
    op_bench_value(&b, "image", "", 0, (int64_t[]){0, 5, 3});
    assert_int_equal(op_bench_open(&b, "{contrast: 0.5}"), 0);
    assert_int_equal(op_bench_compare(&b, 0), 0); /* no pixels, no mean */
    op_bench_release(&b);
}

static void mistakes_are_named(void **state) {
    struct op_bench b;

    (void)state;
    make(&b, 3);
    op_bench_refuses(&b, "{brightness: -1}", "brightness");
    op_bench_refuses(&b, "{contrast: [2, 1]}", "contrast|[least, most]");
    op_bench_refuses(&b, "{contrast: [1, 2, 3]}", "contrast|3 numbers");
    op_bench_refuses(&b, "{hue: 0.6}", "hue");
    op_bench_refuses(&b, "{hue: -0.1}", "hue");
    op_bench_refuses(&b, "{saturation: 99}", "saturation");
    op_bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_do_what_they_say), cmocka_unit_test(hue_turns),
        cmocka_unit_test(the_order_varies),         cmocka_unit_test(the_bits_are_fixed),
        cmocka_unit_test(grey_images_work),         cmocka_unit_test(nothing_asked_nothing_done),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
