/* The vector kernels give the bits of the portable ones, and touch nothing beyond what they may. */
#include "op_harness.h"

#include "op/kernels.h"

/* Random weights that sum to 1 over `count` of `taps`. */
static void draw_weights(struct opiml_rng *rng, int16_t *weight, uint32_t count, uint32_t taps) {
    int32_t left = 1 << KERNELS_BITS;

    memset(weight, 0, taps * sizeof(*weight));
    for (uint32_t t = 0; t + 1 < count; t++) {
        weight[t] = (int16_t)opiml_rng_below(rng, (uint32_t)left + 1);
        left -= weight[t];
    }
    weight[count - 1] = (int16_t)left;
}

static void compare_resize(struct opiml_rng *rng, uint32_t out, uint32_t taps, uint32_t channels) {
    const struct kernels *kernels = kernels_get();
    uint32_t groups = (uint32_t)base_align_up(out, KERNELS_GROUP), in = 40 + taps;
    size_t in_bytes = (size_t)in * channels, out_bytes = (size_t)out * channels;
    int16_t *weight = calloc((size_t)groups * taps, sizeof(*weight));
    uint32_t *first = calloc(groups, sizeof(*first));
    uint8_t *row = op_bench_buffer(in_bytes + KERNELS_OVERRUN, 0xEE);
    uint8_t *got = op_bench_buffer(out_bytes + KERNELS_OVERRUN, 1);
    uint8_t *wanted = op_bench_buffer(out_bytes, 2);
    struct kernels_taps table = {.out = out, .taps = taps, .first = first, .weight = weight};

    op_bench_noise(row, in_bytes, out * 64 + taps);
    for (uint32_t i = 0; i < out; i++) {
        uint32_t count = 1 + opiml_rng_below(rng, taps);

        draw_weights(rng, weight + (size_t)i * taps, count, taps);
        first[i] = opiml_rng_below(rng, in - count + 1) * channels;
        if (i == out / 2 && count == taps) /* all of it in one extreme pixel */
            memset(row + first[i], 255, channels);
    }
    if (kernels->spread && taps <= KERNELS_SPREAD_TAPS_MAX) {
        table.spread = calloc(1, kernels->spread_bytes(out, taps));
        kernels->spread(&table);
    }
    kernels->resize_row(&table, channels, row, got);
    kernels_get_portable()->resize_row(&table, channels, row, wanted);
    op_bench_guard(wanted, out_bytes, "portable");
    op_bench_guard(got, out_bytes + KERNELS_OVERRUN, kernels->name);
    if (memcmp(got, wanted, out_bytes) != 0)
        fail_msg("%s: %u pixels of %u channels, %u taps", kernels->name, out, channels, taps);
    free(weight);
    free(first);
    free(row);
    free(got);
    free(wanted);
    free(table.spread);
}

static void resize_rows_are_equal(void **state) {
    static const uint32_t taps[] = {2, 4, 8, 12, 16, 20, 64};
    struct opiml_rng rng;

    (void)state;
    rng_init(&rng, 1, 1, 1, 1);
    for (uint32_t out = 1; out < 70; out++)
        for (size_t t = 0; t < COUNT_OF(taps); t++)
            for (uint32_t channels = 1; channels <= 4; channels++)
                compare_resize(&rng, out, taps[t], channels);
}

static void blends_are_equal(void **state) {
    const struct kernels *kernels = kernels_get();
    struct opiml_rng rng;

    (void)state;
    rng_init(&rng, 2, 2, 2, 2);
    for (size_t n = 1; n < 200; n += n < 70 ? 1 : 17)
        for (uint32_t count = 1; count <= 16; count++) {
            uint8_t *rows[16], *got = op_bench_buffer(n, 1), *wanted = op_bench_buffer(n, 2);
            int16_t weight[16];

            for (uint32_t r = 0; r < count; r++) {
                rows[r] = malloc(n); /* no room behind: not a byte too many is read */
                op_bench_noise(rows[r], n, count * 16 + r);
                memset(rows[r], 255, n / 3);
            }
            draw_weights(&rng, weight, count, count);
            kernels->blend_rows((const uint8_t *const *)rows, weight, count, got, n);
            kernels_get_portable()->blend_rows((const uint8_t *const *)rows, weight, count, wanted,
                                               n);
            op_bench_guard(got, n, kernels->name);
            op_bench_guard(wanted, n, "portable");
            assert_memory_equal(got, wanted, n);
            assert_int_equal(got[0], n >= 3 ? 255 : got[0]); /* weights sum to 1 */
            for (uint32_t r = 0; r < count; r++)
                free(rows[r]);
            free(got);
            free(wanted);
        }
}

/* Rounding is to nearest, ties up, by hand. */
static void arithmetic_is_as_told(void **state) {
    const struct kernels *tables[] = {kernels_get(), kernels_get_portable()};
    const uint8_t a[] = {0, 1, 10, 255}, b[] = {1, 2, 20, 0};
    const uint8_t *rows[] = {a, b};
    const int16_t half[] = {1 << (KERNELS_BITS - 1), 1 << (KERNELS_BITS - 1)};
    const uint8_t wanted[] = {1, 2, 15, 128};

    (void)state;
    for (size_t k = 0; k < COUNT_OF(tables); k++) {
        uint8_t got[sizeof(a)];

        tables[k]->blend_rows(rows, half, 2, got, sizeof(got));
        assert_memory_equal(got, wanted, sizeof(got));
    }
}

static void the_choice_holds(void **state) {
    const char *wish = getenv("OPIML_SIMD");

    (void)state;
    assert_ptr_equal(kernels_get(), kernels_get());
    assert_string_equal(kernels_get_portable()->name, "portable");
    if (wish && strcmp(wish, "portable") == 0)
        assert_ptr_equal(kernels_get(), kernels_get_portable());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_rows_are_equal),
        cmocka_unit_test(blends_are_equal),
        cmocka_unit_test(arithmetic_is_as_told),
        cmocka_unit_test(the_choice_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
