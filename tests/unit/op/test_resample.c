/* Resizing: Pillow's pixels to within one, the same bits from every kernel, nothing beyond the
 * scratch and the output. */
#include "op_harness.h"

#include "op/resample.h"

struct image {
    uint32_t width, height, channels;
    const uint8_t *pixels;
};

/* Resize as the operators do; the caller frees. */
static uint8_t *resize(const struct image *image, const struct resample_axis *x,
                       const struct resample_axis *y, const struct kernels *kernels) {
    uint64_t scratch_bytes =
        resample_scratch_bytes(image->width > image->height ? image->width : image->height, x->out,
                               y->out, image->channels);
    uint8_t *scratch = aligned_alloc(64, base_align_up(scratch_bytes + OP_BENCH_GUARD, 64));
    size_t stride = (size_t)x->out * image->channels + 3, bytes = stride * y->out;
    size_t row_bytes = (size_t)image->width * image->channels;
    uint8_t *to = op_bench_buffer(bytes, 0x33), *row = malloc(row_bytes + RESAMPLE_PAD);
    struct resample resample;
    bool done = false;

    memset(scratch, 0xC3, scratch_bytes + OP_BENCH_GUARD);
    resample_init(&resample, x, y, image->channels, to, stride, scratch, kernels);
    assert_true(resample.x.low >= x->low && resample.x.high <= x->high);
    assert_true(resample.y.low >= y->low && resample.y.high <= y->high);
    for (uint32_t r = resample.y.low; r < resample.y.high; r++) {
        size_t left = (size_t)resample.x.low * image->channels;

        assert_false(done);
        memset(row, 0x77, row_bytes + RESAMPLE_PAD);
        memcpy(row, image->pixels + r * row_bytes + left, row_bytes - left);
        done = resample_row(&resample, row);
    }
    assert_true(done);
    op_bench_guard(to, bytes, "output");
    op_bench_guard(scratch, scratch_bytes, "scratch");
    for (uint32_t r = 0; r < y->out; r++) { /* close the gaps, which nobody may have touched */
        assert_int_equal(to[r * stride + stride - 1], 0x33);
        memmove(to + r * (stride - 3), to + r * stride, stride - 3);
    }
    free(scratch);
    free(row);
    return to;
}

static uint8_t *resize_alike(const struct image *image, const struct resample_axis *x,
                             const struct resample_axis *y) {
    uint8_t *fast = resize(image, x, y, kernels_get());
    uint8_t *plain = resize(image, x, y, kernels_get_portable());

    if (memcmp(fast, plain, (size_t)x->out * y->out * image->channels) != 0)
        fail_msg("%u x %u to %u x %u: %s differs", image->width, image->height, x->out, y->out,
                 kernels_get()->name);
    free(plain);
    return fast;
}

static struct resample_axis axis(double from, double to, uint32_t in, uint32_t out) {
    return (struct resample_axis){.from = (uint64_t)(from * RESAMPLE_UNIT),
                                  .length = (uint64_t)((to - from) * RESAMPLE_UNIT),
                                  .high = in,
                                  .out = out};
}

/* golden/resize_pillow.py says what is in the file. */
static void pillow_agrees(void **state) {
    FILE *file = fopen(TEST_DATA "/resize_pillow.bin", "rb");
    uint16_t head[5];
    uint32_t cases = 0, same = 0, all = 0;

    (void)state;
    assert_non_null(file);
    while (fread(head, sizeof(head), 1, file) == 1) {
        float box[4];
        size_t in_bytes = (size_t)head[0] * head[1] * head[2];
        size_t out_bytes = (size_t)head[3] * head[4] * head[2];
        uint8_t *in = malloc(in_bytes), *wanted = malloc(out_bytes), *got;
        struct image image = {head[0], head[1], head[2], in};
        struct resample_axis x, y;

        assert_int_equal(fread(box, sizeof(box), 1, file), 1);
        assert_int_equal(fread(in, in_bytes, 1, file), 1);
        assert_int_equal(fread(wanted, out_bytes, 1, file), 1);
        x = axis((double)box[0], (double)box[2], head[0], head[3]);
        y = axis((double)box[1], (double)box[3], head[1], head[4]);
        got = resize_alike(&image, &x, &y);
        for (size_t i = 0; i < out_bytes; i++) {
            if (abs(got[i] - wanted[i]) > 1)
                fail_msg("case %u, byte %zu: %u instead of %u", cases, i, got[i], wanted[i]);
            same += got[i] == wanted[i];
            all++;
        }
        cases++;
        free(in);
        free(wanted);
        free(got);
    }
    fclose(file);
    assert_int_equal(cases, 8);
    assert_true(same > all * 97 / 100);
}

static void kernels_agree(void **state) {
    struct opiml_rng rng;
    uint8_t pixels[90 * 90 * 4];

    (void)state;
    op_bench_noise(pixels, sizeof(pixels), 4);
    rng_init(&rng, 1, 2, 3, 4);
    for (uint32_t round = 0; round < 1500; round++) {
        struct image image = {1 + opiml_rng_below(&rng, 90), 1 + opiml_rng_below(&rng, 90),
                              1 + opiml_rng_below(&rng, 4), pixels};
        struct resample_axis axes[2];

        for (int k = 0; k < 2; k++) {
            uint32_t in = k ? image.height : image.width, whole = in * RESAMPLE_UNIT;

            axes[k].low = opiml_rng_below(&rng, in);
            axes[k].high = axes[k].low + 1 + opiml_rng_below(&rng, in - axes[k].low);
            axes[k].from = axes[k].low * RESAMPLE_UNIT + opiml_rng_below(&rng, RESAMPLE_UNIT);
            whole = axes[k].high * RESAMPLE_UNIT;
            axes[k].length = 1 + opiml_rng_below(&rng, whole - (uint32_t)axes[k].from);
            axes[k].out = 1 + opiml_rng_below(&rng, round % 4 == 0 ? 3 : 60);
        }
        free(resize_alike(&image, &axes[0], &axes[1]));
    }
}

/* The same size is the same picture; one colour stays it. */
static void nothing_is_lost(void **state) {
    uint8_t pixels[40 * 30 * 3], white[40 * 30 * 3], *got;
    struct image image = {40, 30, 3, pixels}, bright = {40, 30, 3, white};
    struct resample_axis x = axis(0, 40, 40, 40), y = axis(0, 30, 30, 30);

    (void)state;
    op_bench_noise(pixels, sizeof(pixels), 8);
    memset(white, 255, sizeof(white));
    got = resize_alike(&image, &x, &y);
    assert_memory_equal(got, pixels, sizeof(pixels));
    free(got);
    for (uint32_t out = 1; out < 100; out += 7) {
        x.out = out;
        y.out = 101 - out;
        got = resize_alike(&bright, &x, &y);
        for (size_t i = 0; i < (size_t)out * (101 - out) * 3; i++)
            assert_int_equal(got[i], 255);
        free(got);
    }
}

/* The longest source there can be, to the shortest result and to one of the usual size. */
static void extremes_fit(void **state) {
    static uint8_t line[RESAMPLE_SIDE_MAX];
    static const uint32_t outs[] = {1, 2, 3, 224, 16384};
    struct resample_axis one = axis(0, 1, 1, 1);

    (void)state;
    memset(line, 200, sizeof(line));
    for (size_t k = 0; k < COUNT_OF(outs); k++) {
        struct resample_axis longest = axis(0, RESAMPLE_SIDE_MAX, RESAMPLE_SIDE_MAX, outs[k]);
        struct image wide = {RESAMPLE_SIDE_MAX, 1, 1, line}, tall = {1, RESAMPLE_SIDE_MAX, 1, line};
        uint8_t *got = resize_alike(&wide, &longest, &one);

        for (uint32_t i = 0; i < outs[k]; i++)
            assert_int_equal(got[i], 200);
        free(got);
        got = resize_alike(&tall, &one, &longest);
        for (uint32_t i = 0; i < outs[k]; i++)
            assert_int_equal(got[i], 200);
        free(got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillow_agrees),
        cmocka_unit_test(kernels_agree),
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(extremes_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
