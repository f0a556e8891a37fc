/* JPEG through libjpeg: regions, DCT scaling, and damage as an error.
 *
 * A region equals the same part of a whole decode, bit for bit. libjpeg treats the edges of a cropped
 * scanline and of skipped rows as edges of the image, where its smooth chroma upsampling looks at
 * neighbours; so we decode some columns more on each side, and skip whole MCU rows only. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "op/codec.h"

#define SCANS_MAX 500   /* a progressive file of a few KiB can ask for hours of work */
#define MARGIN 16       /* columns more, to each side */
#define PAD 64          /* bytes behind a row that kernels may read */

struct jpeg {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr handlers;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    bool damaged, started, cmyk, inverted;
    uint8_t *row; /* of ROW_BYTES: sized once, for the widest image that libjpeg takes */
    uint32_t skip_left; /* columns of a decoded row that lie left of the region */
};

#define ROW_BYTES (CODEC_ROW_BYTES(CODEC_SIDE_MAX) + 4 * 2 * MARGIN + PAD)

static void on_error(j_common_ptr info) {
    struct jpeg *self = info->client_data;

    info->err->format_message(info, self->message);
    longjmp(self->escape, 1);
}

/* Any warning is about coded data: files that give one decode differently with different code paths. */
static void on_message(j_common_ptr info, int level) {
    struct jpeg *self = info->client_data;

    if (level >= 0 || self->damaged)
        return;
    self->damaged = true;
    info->err->format_message(info, self->message);
}

static void on_output(j_common_ptr info) {}

static void on_progress(j_common_ptr info) {
    struct jpeg *self = info->client_data;

    if (((j_decompress_ptr)info)->input_scan_number <= SCANS_MAX)
        return;
    snprintf(self->message, sizeof(self->message), "more than %d scans", SCANS_MAX);
    longjmp(self->escape, 1);
}

static int fail(struct jpeg *self, struct opiml_error *err) {
    jpeg_abort_decompress(&self->info);
    self->started = false;
    return opiml_fail(err, OPIML_ECORRUPT, "JPEG: %s", self->message);
}

static int jpeg_create(void **ret_self, struct opiml_error *err) {
    struct jpeg *self = base_alloc(sizeof(*self));

    if (self)
        self->row = base_alloc_aligned(ROW_BYTES, 64);
    if (!self || !self->row) {
        base_free(self);
        return base_fail_memory(err, ROW_BYTES, "a JPEG decoder");
    }
    self->info.err = jpeg_std_error(&self->handlers);
    self->handlers.error_exit = on_error;
    self->handlers.emit_message = on_message;
    self->handlers.output_message = on_output;
    self->info.client_data = self;
    if (setjmp(self->escape)) {
        base_free(self->row);
        base_free(self);
        return opiml_fail(err, OPIML_ENOMEM, "JPEG: %s", self->message);
    }
    jpeg_create_decompress(&self->info);
    self->info.client_data = self;
    self->progress.progress_monitor = on_progress;
    self->info.progress = &self->progress;
    *ret_self = self;
    return 0;
}

static void jpeg_destroy_self(void *pointer) {
    struct jpeg *self = pointer;

    jpeg_destroy_decompress(&self->info);
    base_free(self->row);
    base_free(self);
}

static bool jpeg_takes(const uint8_t *data, uint64_t bytes) {
    return bytes >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff;
}

/* The coefficients of all blocks are kept when a file has more than one scan. */
static uint64_t coefficient_bytes(const struct jpeg_decompress_struct *info) {
    uint64_t blocks = 0;

    if (!info->progressive_mode && info->comps_in_scan == info->num_components)
        return 0;
    for (int c = 0; c < info->num_components; c++) {
        const jpeg_component_info *component = &info->comp_info[c];
        uint64_t unit_w = 8 * (uint64_t)info->max_h_samp_factor;
        uint64_t unit_h = 8 * (uint64_t)info->max_v_samp_factor;

        blocks += (info->image_width + unit_w - 1) / unit_w * (uint64_t)component->h_samp_factor *
                  ((info->image_height + unit_h - 1) / unit_h) *
                  (uint64_t)component->v_samp_factor;
    }
    return blocks * sizeof(JBLOCK);
}

static int jpeg_begin(void *pointer, const uint8_t *data, uint64_t bytes,
                      struct codec_image *ret_image, struct opiml_error *err) {
    struct jpeg *self = pointer;
    struct jpeg_decompress_struct *info = &self->info;

    self->damaged = false;
    if (setjmp(self->escape))
        return fail(self, err);
    jpeg_mem_src(info, data, bytes);
    self->started = true;
    jpeg_read_header(info, TRUE);
    if (self->damaged)
        return fail(self, err);
    *ret_image = (struct codec_image){.width = info->image_width,
                                      .height = info->image_height,
                                      .scales = true,
                                      .working_bytes = coefficient_bytes(info)};
    return 0;
}

static void choose_colors(struct jpeg *self) {
    struct jpeg_decompress_struct *info = &self->info;

    self->cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    self->inverted = info->saw_Adobe_marker;
    info->out_color_space = self->cmyk ? JCS_CMYK : JCS_EXT_RGBX;
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
    info->do_block_smoothing = FALSE; /* guesses at what an unfinished progressive file lacks */
}

/* Samplings whose regions are known to equal the whole: luma twice as fine as chroma or as fine. */
static bool can_cut(const struct jpeg_decompress_struct *info) {
    if (info->max_h_samp_factor > 2 || info->max_v_samp_factor > 2)
        return false;
    for (int c = 1; c < info->num_components; c++)
        if (info->comp_info[c].h_samp_factor != 1 || info->comp_info[c].v_samp_factor != 1)
            return false;
    return true;
}

static void go_to_region(struct jpeg *self, const struct codec_region *region, bool whole) {
    struct jpeg_decompress_struct *info = &self->info;
    uint32_t unit = (uint32_t)(info->max_v_samp_factor * info->min_DCT_scaled_size);
    uint32_t skip = region->y >= 2 ? (region->y - 2) / unit * unit : 0;
    JDIMENSION left = region->x > MARGIN ? region->x - MARGIN : 0;
    JDIMENSION right = (JDIMENSION)base_min_u64((uint64_t)region->x + region->width + MARGIN,
                                                info->output_width);
    JDIMENSION width = right - left;

    self->skip_left = region->x;
    if (whole || !can_cut(info)) {
        skip = 0;
    } else {
        if (width < info->output_width) {
            jpeg_crop_scanline(info, &left, &width);
            self->skip_left = region->x - left;
        }
        if (skip > 0)
            skip = jpeg_skip_scanlines(info, skip);
    }
    for (; skip < region->y; skip++)
        jpeg_read_scanlines(info, &self->row, 1);
}

static int jpeg_start(void *pointer, const struct codec_region *region, bool whole,
                      struct opiml_error *err) {
    struct jpeg *self = pointer;
    struct jpeg_decompress_struct *info = &self->info;

    if (setjmp(self->escape))
        return fail(self, err);
    choose_colors(self);
    info->scale_num = 1;
    info->scale_denom = region->denominator;
    jpeg_start_decompress(info);
    assert((uint64_t)region->x + region->width <= info->output_width &&
           (uint64_t)region->y + region->height <= info->output_height);
    go_to_region(self, region, whole);
    return self->damaged ? fail(self, err) : 0;
}

/* In place: C, M, Y and K to R, G, B and anything. Adobe's files hold them inverted. */
static void convert_cmyk(uint8_t *row, uint32_t pixels, bool inverted) {
    for (uint32_t i = 0; i < pixels; i++, row += 4) {
        uint32_t k = inverted ? row[3] : 255u - row[3];

        for (int c = 0; c < 3; c++) {
            uint32_t ink = inverted ? row[c] : 255u - row[c];

            row[c] = (uint8_t)((ink * k + 127) / 255);
        }
    }
}

static int jpeg_row(void *pointer, const uint8_t **ret_row, struct opiml_error *err) {
    struct jpeg *self = pointer;

    if (setjmp(self->escape))
        return fail(self, err);
    jpeg_read_scanlines(&self->info, &self->row, 1);
    if (self->damaged)
        return fail(self, err);
    if (self->cmyk)
        convert_cmyk(self->row, self->info.output_width, self->inverted);
    *ret_row = self->row + 4 * (size_t)self->skip_left;
    return 0;
}

static void jpeg_end(void *pointer) {
    struct jpeg *self = pointer;

    if (self->started)
        jpeg_abort_decompress(&self->info);
    self->started = false;
}

const struct codec_ops codec_jpeg = {
    .takes = jpeg_takes,
    .create = jpeg_create,
    .destroy = jpeg_destroy_self,
    .begin = jpeg_begin,
    .start = jpeg_start,
    .row = jpeg_row,
    .end = jpeg_end,
};
