/* Pictures of all kinds through a fused operator: the fast way against the reference, and against
 * the two operators one after the other where the definition makes them equal. */
#ifndef TESTS_UNIT_OP_CROP_CASES_H
#define TESTS_UNIT_OP_CROP_CASES_H

#include "pictures.h"

extern const struct opiml_op op_decode;

struct crop_file {
    uint8_t *data;
    size_t bytes;
    uint32_t width, height;
};

static inline struct crop_file crop_jpeg(struct picture_jpeg what) {
    struct crop_file file = {.width = what.width, .height = what.height};

    file.data = picture_make_jpeg(&what, &file.bytes);
    return file;
}

static inline struct crop_file crop_png(struct picture_png what) {
    struct crop_file file = {.width = what.width, .height = what.height};

    file.data = picture_make_png(&what, &file.bytes);
    return file;
}

/* File number `which` of a mixed bag; the caller frees its data. */
#define CROP_FILES 12
static inline struct crop_file crop_file(uint32_t which, uint32_t width, uint32_t height) {
    struct picture_jpeg jpeg = {.width = width, .height = height, .seed = which};
    struct picture_png png = {.width = width,
                              .height = height,
                              .type = SPNG_COLOR_TYPE_TRUECOLOR,
                              .depth = 8,
                              .seed = which};

    switch (which % CROP_FILES) {
    case 0: return crop_png(png);
    case 1: png.interlaced = true; return crop_png(png);
    case 2: png.type = SPNG_COLOR_TYPE_INDEXED; return crop_png(png);
    case 3: jpeg.channels = 1; break;
    case 4:
        jpeg.channels = 4;
        jpeg.adobe = true;
        break;
    case 5: jpeg.h = jpeg.v = 2; break;
    case 6: jpeg.h = 2; break;
    case 7: jpeg.v = 2; break;
    case 8: jpeg.h = 4; break;
    case 9:
        jpeg.h = jpeg.v = 2;
        jpeg.progressive = true;
        break;
    case 10:
        jpeg.progressive = true;
        jpeg.restart = 2;
        break;
    }
    return crop_jpeg(jpeg);
}

/* An encoded field "image", and the operator open. */
static inline void crop_open(struct op_bench *b, const struct opiml_op *op, const char *params) {
    op_bench_init(b, op);
    op_bench_field(b, "image", OPIML_U8, 1, (int64_t[]){-1}, MIB(4));
    if (op_bench_open(b, params) < 0)
        fail_msg("%s: %s", params, b->err.message);
}

/* A decoded field. */
static inline void crop_open_decoded(struct op_bench *b, const struct opiml_op *op,
                                     int64_t channels, const char *params) {
    op_bench_init(b, op);
    op_bench_field(b, "image", OPIML_U8, 3, (int64_t[]){-1, -1, channels}, MIB(1));
    if (op_bench_open(b, params) < 0)
        fail_msg("%s: %s", params, b->err.message);
}

static inline void crop_give(struct op_bench *b, const struct crop_file *file) {
    b->may_allocate = file->data[0] == 0x89; /* an interlaced PNG is put together in memory */
    op_bench_value(b, "image", file->data, file->bytes, (int64_t[]){(int64_t)file->bytes});
}

/* Fast and reference give the same for every kind of file and many sizes. */
static inline void crop_compare_all(const struct opiml_op *op, const char *params,
                                    uint32_t rounds) {
    struct opiml_rng rng;
    struct op_bench b;

    crop_open(&b, op, params);
    rng_init(&rng, 3, 1, 4, 1);
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t most = i % 5 == 0 ? 300 : 90;
        struct crop_file file =
            crop_file(i, 1 + opiml_rng_below(&rng, most), 1 + opiml_rng_below(&rng, most));

        crop_give(&b, &file);
        if (op_bench_compare(&b, i) < 0)
            fail_msg("%s %s: %s", op->name, params, b.err.message);
        free(file.data);
    }
    op_bench_release(&b);
}

/* Without a reduction, decoding a part and resizing it is decoding all, then cropping and resizing.
 */
static inline void crop_compare_parts(const struct opiml_op *fused, const struct opiml_op *second,
                                      const char *params, uint32_t rounds, uint32_t least,
                                      uint32_t most) {
    struct op_bench one, whole, part;
    struct opiml_rng rng;

    crop_open(&one, fused, params);
    crop_open(&whole, &op_decode, "{max_pixels: 100000}");
    crop_open_decoded(&part, second, 3, params);
    rng_init(&rng, 2, 7, 1, 8);
    for (uint32_t i = 0; i < rounds; i++) {
        struct crop_file file = crop_file(i, least + opiml_rng_below(&rng, most - least + 1),
                                          least + opiml_rng_below(&rng, most - least + 1));

        crop_give(&one, &file);
        crop_give(&whole, &file);
        assert_int_equal(op_bench_compare(&one, i), 0);
        assert_int_equal(op_bench_compare(&whole, i), 0);
        assert_int_equal(whole.out[0].shape[0], file.height);
        assert_int_equal(whole.out[0].shape[1], file.width);
        op_bench_value(&part, "image", whole.out[0].data, whole.out[0].bytes, whole.out[0].shape);
        assert_int_equal(op_bench_compare(&part, i), 0);
        assert_int_equal(part.out[0].bytes, one.out[0].bytes);
        assert_memory_equal(part.out[0].data, one.out[0].data, one.out[0].bytes);
        free(file.data);
    }
    op_bench_release(&one);
    op_bench_release(&whole);
    op_bench_release(&part);
}

/* Decoded images of 1 to 4 channels. */
static inline void crop_compare_decoded(const struct opiml_op *op, const char *params,
                                        uint32_t rounds) {
    struct opiml_rng rng;

    rng_init(&rng, 5, 7, 7, 2);
    for (int64_t channels = 1; channels <= 4; channels++) {
        struct op_bench b;

        crop_open_decoded(&b, op, channels, params);
        for (uint32_t i = 0; i < rounds; i++) {
            uint32_t width = 1 + opiml_rng_below(&rng, 90), height = 1 + opiml_rng_below(&rng, 90);
            uint8_t *pixels = picture_pixels(width, height, (uint32_t)channels, i);

            op_bench_value(&b, "image", pixels, (uint64_t)width * height * (uint64_t)channels,
                           (int64_t[]){height, width, channels});
            assert_int_equal(op_bench_compare(&b, i), 0);
            free(pixels);
        }
        op_bench_release(&b);
    }
}

#endif
