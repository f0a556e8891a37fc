/* Encoded pictures for tests, made on the spot with the libraries' own encoders, and a way to
 * decode a window of one. All memory is malloc's. */
#ifndef TESTS_UNIT_OP_PICTURES_H
#define TESTS_UNIT_OP_PICTURES_H

#include <stdio.h>

#include <jpeglib.h>
#include <spng.h>

#include "op_harness.h"

#include "op/codec.h"

/* ---- contents ---- */

/* Edges, gradients and some noise, so that neighbours differ everywhere. */
static inline uint8_t *picture_pixels(uint32_t width, uint32_t height, uint32_t channels,
                                      uint32_t seed) {
    size_t bytes = (size_t)width * height * channels;
    uint8_t *pixels = malloc(bytes + 1);

    if (!pixels)
        abort();
    op_bench_noise(pixels, bytes, seed);
    for (size_t i = 0; i < bytes; i++) {
        size_t x = i / channels % width, y = i / channels / width, c = i % channels;
        size_t wave = (x * (7 + c) + y * (11 - 3 * c)) % 256;

        pixels[i] = (uint8_t)((((x / 5 + y / 3) & 1) * 90 + wave + pixels[i] % 60) / 2 + c * 15);
    }
    return pixels;
}

/* ---- JPEG ---- */

struct picture_jpeg {
    uint32_t width, height;
    int channels; /* 1, 3 or 4 (CMYK); 0: 3 */
    int h, v;     /* sampling of the first channel, the others have 1 × 1; 0: 1 × 1 */
    int restart;  /* MCUs between restart markers; 0: none */
    int quality;  /* 0: 80 */
    bool progressive, arithmetic, ycck, adobe, scans_apart;
    bool usual_tables, no_tables; /* the standard's Huffman tables; and none at all in the file */
    uint32_t seed;
};

static inline uint8_t *picture_make_jpeg(const struct picture_jpeg *what, size_t *ret_bytes) {
    static const jpeg_scan_info apart[] = {
        {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    uint32_t channels = what->channels ? (uint32_t)what->channels : 3;
    uint8_t *pixels = picture_pixels(what->width, what->height, channels, what->seed);
    struct jpeg_compress_struct lib;
    struct jpeg_error_mgr errors;
    unsigned char *file = NULL;
    unsigned long bytes = 0;

    lib.err = jpeg_std_error(&errors); /* ends the program on errors */
    jpeg_create_compress(&lib);
    jpeg_mem_dest(&lib, &file, &bytes);
    lib.image_width = what->width;
    lib.image_height = what->height;
    lib.input_components = (int)channels;
    lib.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&lib);
    if (channels == 4)
        jpeg_set_colorspace(&lib, what->ycck ? JCS_YCCK : JCS_CMYK);
    if (channels == 4 && !what->ycck)
        lib.write_Adobe_marker = what->adobe;
    jpeg_set_quality(&lib, what->quality ? what->quality : 80, TRUE);
    lib.comp_info[0].h_samp_factor = what->h ? what->h : 1;
    lib.comp_info[0].v_samp_factor = what->v ? what->v : 1;
    for (int c = 1; c < lib.num_components; c++)
        lib.comp_info[c].h_samp_factor = lib.comp_info[c].v_samp_factor = 1;
    lib.restart_interval = (unsigned)what->restart;
    lib.arith_code = what->arithmetic;
    lib.optimize_coding = !what->arithmetic && !what->usual_tables && !what->no_tables;
    if (what->progressive)
        jpeg_simple_progression(&lib);
    if (what->scans_apart) {
        lib.scan_info = apart;
        lib.num_scans = 3;
    }
    if (what->no_tables)
        jpeg_suppress_tables(&lib, TRUE);
    jpeg_start_compress(&lib, !what->no_tables);
    while (lib.next_scanline < lib.image_height) {
        JSAMPROW row = pixels + (size_t)lib.next_scanline * what->width * channels;

        jpeg_write_scanlines(&lib, &row, 1);
    }
    jpeg_finish_compress(&lib);
    jpeg_destroy_compress(&lib);
    free(pixels);
    *ret_bytes = bytes;
    return file;
}

/* ---- PNG ---- */

struct picture_png {
    uint32_t width, height;
    uint8_t type, depth; /* enum spng_color_type; bits a sample */
    bool interlaced, transparent;
    uint32_t seed;
};

static inline uint32_t picture_png_samples(const struct picture_png *what) {
    switch (what->type) {
    case SPNG_COLOR_TYPE_TRUECOLOR: return 3;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA: return 2;
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA: return 4;
    }
    return 1;
}

#define PICTURE_PALETTE 13 /* colours; fewer where the depth has no room for them */

static inline struct spng_plte picture_palette(const struct picture_png *what) {
    struct spng_plte palette = {.n_entries = PICTURE_PALETTE};

    if (what->depth < 4)
        palette.n_entries = 1u << what->depth;
    for (uint32_t i = 0; i < palette.n_entries; i++)
        palette.entries[i] = (struct spng_plte_entry){
            .red = (uint8_t)(i * 19), .green = (uint8_t)(255 - i * 7), .blue = (uint8_t)(i * i)};
    return palette;
}

/* The samples as a PNG file's rows hold them (big-endian, packed); *ret_row is the bytes of a row.
 */
static inline uint8_t *picture_png_rows(const struct picture_png *what, size_t *ret_row) {
    size_t bits = (size_t)what->width * picture_png_samples(what) * what->depth;
    size_t row = (bits + 7) / 8;
    uint8_t *raw = calloc(what->height, row + 1);

    if (!raw)
        abort();
    op_bench_noise(raw, row * what->height, what->seed);
    /* A palette's indices must be in it: 13 colours in 4 or 8 bits. */
    for (size_t i = 0; what->type == SPNG_COLOR_TYPE_INDEXED && i < row * what->height; i++)
        if (what->depth == 8)
            raw[i] = raw[i] % PICTURE_PALETTE;
        else if (what->depth == 4)
            raw[i] =
                (uint8_t)((raw[i] >> 4) % PICTURE_PALETTE << 4 | (raw[i] & 15) % PICTURE_PALETTE);
    *ret_row = row;
    return raw;
}

static inline uint8_t *picture_make_png(const struct picture_png *what, size_t *ret_bytes) {
    struct spng_ihdr header = {.width = what->width,
                               .height = what->height,
                               .bit_depth = what->depth,
                               .color_type = what->type,
                               .interlace_method = what->interlaced};
    struct spng_trns clear = {.gray = 1, .red = 1, .green = 1, .blue = 1, .n_type3_entries = 1};
    struct spng_plte palette = picture_palette(what);
    spng_ctx *lib = spng_ctx_new(SPNG_CTX_ENCODER);
    size_t row;
    uint8_t *raw = picture_png_rows(what, &row), *file;
    int bad = 0;

    spng_set_option(lib, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_ihdr(lib, &header);
    if (what->type == SPNG_COLOR_TYPE_INDEXED)
        spng_set_plte(lib, &palette);
    if (what->transparent)
        bad = spng_set_trns(lib, &clear);
    if (bad || spng_encode_image(lib, raw, row * what->height, SPNG_FMT_RAW, SPNG_ENCODE_FINALIZE))
        abort();
    file = spng_get_png_buffer(lib, ret_bytes, &bad);
    spng_ctx_free(lib);
    free(raw);
    if (!file)
        abort();
    return file;
}

/* Bit-packed sample number `at` of a row. */
static inline uint32_t picture_sample(const uint8_t *row, uint32_t depth, size_t at) {
    if (depth == 16)
        return (uint32_t)row[2 * at] << 8 | row[2 * at + 1];
    return row[at * depth / 8] >> (8 - depth - at * depth % 8) & ((1u << depth) - 1);
}

/* What decoding must give, from the samples and the rules of png.h. */
static inline uint8_t *picture_png_expected(const struct picture_png *what) {
    struct spng_plte palette = picture_palette(what);
    uint32_t samples = picture_png_samples(what);
    size_t row;
    uint8_t *raw = picture_png_rows(what, &row);
    uint8_t *rgb = malloc((size_t)what->width * what->height * 3), *to = rgb;

    for (uint32_t y = 0; y < what->height; y++)
        for (uint32_t x = 0; x < what->width; x++, to += 3)
            for (uint32_t c = 0; c < 3; c++) {
                uint32_t at = samples < 3 ? x * samples : x * samples + c;
                uint32_t value = picture_sample(raw + y * row, what->depth, at);

                if (what->type == SPNG_COLOR_TYPE_INDEXED)
                    value = c == 0   ? palette.entries[value].red
                            : c == 1 ? palette.entries[value].green
                                     : palette.entries[value].blue;
                else if (what->depth == 16)
                    value >>= 8;
                else
                    value = value * 255 / ((1u << what->depth) - 1);
                to[c] = (uint8_t)value;
            }
    free(raw);
    return rgb;
}

/* ---- windows ---- */

struct picture_sink {
    uint8_t *to;
    size_t row;
    uint32_t rows, most; /* `most`: takes no more after so many; 0: all */
};

static inline bool picture_take(void *context, const uint8_t *row) {
    struct picture_sink *sink = context;

    memcpy(sink->to + sink->rows++ * sink->row, row, sink->row);
    return sink->rows == sink->most;
}

/* Cut [left, right) × [top, bottom) out of a decoded picture. */
static inline uint8_t *picture_cut(const uint8_t *whole, uint32_t width,
                                   const struct codec_window *window) {
    size_t row = (size_t)(window->right - window->left) * 3;
    uint8_t *part = malloc(row * (window->bottom - window->top) + 1);

    for (uint32_t y = window->top; y < window->bottom; y++)
        memcpy(part + (y - window->top) * row, whole + ((size_t)y * width + window->left) * 3, row);
    return part;
}

#endif
