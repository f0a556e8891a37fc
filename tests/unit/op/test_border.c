/* Windows past an image's edges, against a plain loop. */
#include "op_harness.h"

#include "op/border.h"

static void places_reflect(void **state) {
    static const int64_t four[] = {3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1}; /* from -3 */

    (void)state;
    for (int64_t i = 0; i < (int64_t)COUNT_OF(four); i++)
        assert_int_equal(border_index(i - 3, 4, BORDER_REFLECT), four[i]);
    for (int64_t i = -9; i < 9; i++) {
        assert_int_equal(border_index(i, 1, BORDER_REFLECT), 0);
        assert_int_equal(border_index(i, 2, BORDER_REFLECT), i & 1);
        assert_int_equal(border_index(i, 5, BORDER_EDGE), i < 0 ? 0 : i > 4 ? 4 : i);
    }
}

static void plain_copy(const uint8_t *in, int64_t height, int64_t width, uint32_t channels,
                       const struct border_window *w, uint8_t *out) {
    for (int64_t y = 0; y < w->height; y++)
        for (int64_t x = 0; x < w->width; x++)
            for (uint32_t c = 0; c < channels; c++) {
                int64_t v = w->top + y, u = w->left + x;
                bool inside = v >= 0 && v < height && u >= 0 && u < width;

                if (!inside && w->mode == BORDER_CONSTANT) {
                    *out++ = w->fill[c];
                    continue;
                }
                v = border_index(v, height, w->mode);
                u = border_index(u, width, w->mode);
                *out++ = in[(v * width + u) * channels + c];
            }
}

/* Everywhere: inside, over each edge, and quite outside. */
static void windows_are_right(void **state) {
    (void)state;
    for (int64_t top = -9; top <= 9; top += 3)
        for (int64_t left = -11; left <= 11; left += 2)
            for (int64_t width = 1; width <= 13; width += 4)
                for (uint32_t channels = 1; channels <= 4; channels++)
                    for (int mode = BORDER_CONSTANT; mode <= BORDER_EDGE; mode++) {
                        struct border_window w = {top, left, 6, width, mode, {1, 2, 3, 4}};
                        size_t bytes = (size_t)(w.height * w.width) * channels;
                        uint8_t *a = op_bench_buffer(bytes, 1), *b = op_bench_buffer(bytes, 2);
                        uint8_t *in = malloc(5 * 7 * channels);

                        op_bench_noise(in, 5 * 7 * channels, channels);
                        border_copy(in, 5, 7, channels, &w, a);
                        plain_copy(in, 5, 7, channels, &w, b);
                        assert_memory_equal(a, b, bytes);
                        op_bench_guard(a, bytes, "window");
                        free(a);
                        free(b);
                        free(in);
                    }
}

static void fills_are_read(void **state) {
    struct opiml_u32_list one = {1, {7}}, three = {3, {1, 2, 3}};
    struct opiml_error err = {0};
    uint8_t fill[BORDER_CHANNELS_MAX];

    (void)state;
    assert_int_equal(border_read_fill(&one, 3, fill, &err), 0);
    assert_memory_equal(fill, ((uint8_t[]){7, 7, 7}), 3);
    assert_int_equal(border_read_fill(&three, 3, fill, &err), 0);
    assert_memory_equal(fill, ((uint8_t[]){1, 2, 3}), 3);
    assert_int_equal(border_read_fill(&three, 1, fill, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "value: 3 numbers for 1 channel;"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_reflect),
        cmocka_unit_test(windows_are_right),
        cmocka_unit_test(fills_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
