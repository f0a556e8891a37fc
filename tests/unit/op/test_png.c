/* PNG: every colour type and depth gives the RGB that the standard's arithmetic gives; damage is
 * told. */
#include "pictures.h"

#include "op/png.h"

static struct op_png *png;
static struct opiml_error err;

static int setup(void **state) {
    (void)state;
    return op_png_create(&png, &err);
}

static int teardown(void **state) {
    (void)state;
    op_png_destroy(png);
    return 0;
}

static const struct {
    uint8_t type, depth;
} kinds[] = {
    {SPNG_COLOR_TYPE_GRAYSCALE, 1},        {SPNG_COLOR_TYPE_GRAYSCALE, 2},
    {SPNG_COLOR_TYPE_GRAYSCALE, 4},        {SPNG_COLOR_TYPE_GRAYSCALE, 8},
    {SPNG_COLOR_TYPE_GRAYSCALE, 16},       {SPNG_COLOR_TYPE_TRUECOLOR, 8},
    {SPNG_COLOR_TYPE_TRUECOLOR, 16},       {SPNG_COLOR_TYPE_INDEXED, 1},
    {SPNG_COLOR_TYPE_INDEXED, 2},          {SPNG_COLOR_TYPE_INDEXED, 4},
    {SPNG_COLOR_TYPE_INDEXED, 8},          {SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8},
    {SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 16}, {SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8},
    {SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 16},
};

static void check_one(const struct picture_png *what) {
    struct codec_window window = {.reduction = 1,
                                  .left = what->width / 3,
                                  .right = what->width,
                                  .top = what->height / 4,
                                  .bottom = what->height - what->height / 5};
    size_t bytes, part_row = (size_t)(window.right - window.left) * 3;
    size_t part_bytes = part_row * (window.bottom - window.top);
    uint8_t *file = picture_make_png(what, &bytes), *expected = picture_png_expected(what);
    uint8_t *part = picture_cut(expected, what->width, &window);
    uint8_t *got = op_bench_buffer(part_bytes, 0x44);
    struct picture_sink sink = {.to = got, .row = part_row};
    struct codec_picture picture;

    for (int way = 0; way < 2; way++) {
        memset(got, 0x44, part_bytes);
        window.to = way ? got : NULL;
        window.stride = part_row;
        window.row = picture_take;
        window.context = &sink;
        if (op_png_open(png, file, bytes, &picture, &err) < 0)
            fail_msg("type %u, %u bits: %s", what->type, what->depth, err.message);
        assert_int_equal(picture.width, what->width);
        assert_int_equal(picture.height, what->height);
        assert_false(picture.reducible);
        assert_int_equal(picture.memory_bytes,
                         what->interlaced ? (uint64_t)what->width * what->height * 3 : 0);
        if (op_png_rows(png, &window, &err) < 0)
            fail_msg("type %u, %u bits: %s", what->type, what->depth, err.message);
        op_bench_guard(got, part_bytes, "window");
        if (memcmp(got, part, part_bytes) != 0)
            fail_msg("type %u, %u bits%s: other pixels", what->type, what->depth,
                     what->interlaced ? ", interlaced" : "");
    }
    free(file);
    free(expected);
    free(part);
    free(got);
}

static void every_type_is_rgb(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        for (uint32_t width = 1; width < 40; width += width < 10 ? 1 : 13)
            for (int interlaced = 0; interlaced < 2; interlaced++) {
                bool alpha = kinds[k].type >= SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
                struct picture_png what = {.width = width,
                                           .height = 1 + width * 7 % 19,
                                           .type = kinds[k].type,
                                           .depth = kinds[k].depth,
                                           .interlaced = interlaced,
                                           .transparent = !alpha && width % 2,
                                           .seed = width};

                check_one(&what);
            }
}

static int read_all(const uint8_t *file, size_t bytes, uint8_t *to, uint32_t width,
                    uint32_t height) {
    struct codec_window window = {
        .reduction = 1, .right = width, .bottom = height, .to = to, .stride = (size_t)width * 3};
    struct codec_picture picture;
    int rc = op_png_open(png, file, bytes, &picture, &err);

    if (rc == 0 && (picture.width != width || picture.height != height)) {
        op_png_drop(png);
        return OPIML_ECORRUPT;
    }
    return rc < 0 ? rc : op_png_rows(png, &window, &err);
}

/* Wherever a file ends too early and whichever byte is hit: the checksums tell. */
static void damage_is_told(void **state) {
    (void)state;
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        struct picture_png what = {.width = 13,
                                   .height = 11,
                                   .type = SPNG_COLOR_TYPE_TRUECOLOR,
                                   .depth = 8,
                                   .interlaced = interlaced};
        uint8_t to[13 * 11 * 3];
        size_t bytes;
        uint8_t *file = picture_make_png(&what, &bytes);

        assert_int_equal(read_all(file, bytes, to, 13, 11), 0);
        /* libspng does not miss the last checksum, behind which nothing comes. */
        for (size_t left = 0; left < bytes - 4; left++) {
            uint8_t *part = malloc(left ? left : 1);

            memcpy(part, file, left);
            assert_int_equal(read_all(part, left, to, 13, 11), OPIML_ECORRUPT);
            assert_non_null(strstr(err.message, "PNG: "));
            free(part);
        }
        for (size_t i = 0; i < bytes; i++) {
            file[i] ^= 0x10;
            assert_int_equal(read_all(file, bytes, to, 13, 11), OPIML_ECORRUPT);
            file[i] ^= 0x10;
        }
        free(file);
    }
}

static void memory_may_run_out(void **state) {
    struct picture_png what = {.width = 13,
                               .height = 11,
                               .type = SPNG_COLOR_TYPE_TRUECOLOR,
                               .depth = 8,
                               .interlaced = true};
    uint8_t to[13 * 11 * 3];
    struct op_png *other = NULL;
    size_t bytes;
    uint8_t *file = picture_make_png(&what, &bytes);

    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(op_png_create(&other, &err), OPIML_ENOMEM);
        assert_null(other);
    }
    base_alloc_fail_at(1);
    assert_int_equal(read_all(file, bytes, to, 13, 11), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    assert_int_equal(read_all(file, bytes, to, 13, 11), 0);
    op_png_destroy(NULL);
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_rgb),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
