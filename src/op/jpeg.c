/* libjpeg, wrapped. */
#include "op/jpeg.h"

#include <setjmp.h>

#include <jpeglib.h>
#include <jerror.h>

#define ROWS 2 /* as many as libjpeg makes at once of 4:2:0 */
/* Columns that are decoded at least: narrower pictures are upsampled in another way. */
#define WIDTH_LEAST 32

struct op_jpeg {
    struct jpeg_decompress_struct lib;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_memory_mgr memory; /* libjpeg's own, behind those that count */
    struct base_taken taken;
    jmp_buf back;
    int code; /* of the failure that jumped back */
    char message[JMSG_LENGTH_MAX];
    const uint8_t *data;
    size_t bytes;
    const struct codec_window *window;
    uint32_t offset; /* where the window's left column lies in a decoded row */
    uint8_t *rows;   /* [ROWS][ROW_BYTES], and ROW_OFFSET */
};

/* CMYK rows are turned into RGB in place. */
#define ROW_BYTES (base_align_up(CODEC_SIDE_MAX * 4 + CODEC_PAD, 64))
/* Where a row begins behind an address that vectors align to: libjpeg writes aligned rows past the
 * cache, out of which they are about to be read. */
#define ROW_OFFSET 8

/* ---- errors: libjpeg expects its error handler not to return ---- */

static struct op_jpeg *owner(j_common_ptr lib) {
    return (struct op_jpeg *)lib->client_data;
}

static void fail(j_common_ptr lib) {
    struct op_jpeg *self = owner(lib);

    lib->err->format_message(lib, self->message);
    self->code = lib->err->msg_code == JERR_OUT_OF_MEMORY ? OPIML_ENOMEM : OPIML_ECORRUPT;
    longjmp(self->back, 1);
}

/* Levels: -1 a warning, 0 and more a trace. */
static void report(j_common_ptr lib, int level) {
    if (level >= 0)
        return;
    switch (lib->err->msg_code) {
    case JWRN_JFIF_MAJOR: /* what these say about the header changes nothing */
    case JWRN_ADOBE_XFORM: return;
    }
    fail(lib);
}

static void print_nothing(j_common_ptr lib) {
    (void)lib;
}

static void count_scans(j_common_ptr lib) {
    struct op_jpeg *self = owner(lib);

    if (self->lib.input_scan_number <= OP_JPEG_SCANS_MAX)
        return;
    snprintf(self->message, sizeof(self->message), "more than %d scans", OP_JPEG_SCANS_MAX);
    self->code = OPIML_ECORRUPT;
    longjmp(self->back, 1);
}

/* The one place that is jumped back to. */
static int guarded(struct op_jpeg *self, void (*step)(struct op_jpeg *self),
                   struct opiml_error *err) {
    if (setjmp(self->back) == 0) {
        step(self);
        return 0;
    }
    op_jpeg_drop(self);
    return opiml_fail(err, self->code, "JPEG: %s", self->message);
}

/* ---- memory: libjpeg's manager, asked through functions that count ---- */

static const struct jpeg_memory_mgr *count(j_common_ptr lib, size_t bytes) {
    struct op_jpeg *self = owner(lib);

    self->taken.count++;
    self->taken.bytes += bytes;
    return &self->memory;
}

static void *take_small(j_common_ptr lib, int pool, size_t bytes) {
    return count(lib, bytes)->alloc_small(lib, pool, bytes);
}

static void *take_large(j_common_ptr lib, int pool, size_t bytes) {
    return count(lib, bytes)->alloc_large(lib, pool, bytes);
}

static JSAMPARRAY take_samples(j_common_ptr lib, int pool, JDIMENSION width, JDIMENSION rows) {
    return count(lib, (size_t)width * rows)->alloc_sarray(lib, pool, width, rows);
}

static JBLOCKARRAY take_blocks(j_common_ptr lib, int pool, JDIMENSION width, JDIMENSION rows) {
    return count(lib, (size_t)width * rows * sizeof(JBLOCK))->alloc_barray(lib, pool, width, rows);
}

static jvirt_barray_ptr take_coefficients(j_common_ptr lib, int pool, boolean zero,
                                          JDIMENSION width, JDIMENSION rows, JDIMENSION at_once) {
    return count(lib, (size_t)width * rows * sizeof(JBLOCK))
        ->request_virt_barray(lib, pool, zero, width, rows, at_once);
}

static void count_memory(struct op_jpeg *self) {
    struct jpeg_memory_mgr *mem = self->lib.mem;

    self->memory = *mem;
    mem->alloc_small = take_small;
    mem->alloc_large = take_large;
    mem->alloc_sarray = take_samples;
    mem->alloc_barray = take_blocks;
    mem->request_virt_barray = take_coefficients;
    mem->max_memory_to_use = 0; /* whatever JPEGMEM says: the engine has charged for it */
}

/* ---- life ---- */

int op_jpeg_create(struct op_jpeg **ret_jpeg, struct opiml_error *err) {
    struct op_jpeg *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a JPEG decoder");
    self->rows = base_alloc_aligned(ROWS * (size_t)ROW_BYTES + ROW_OFFSET, 64);
    if (!self->rows) {
        base_free(self);
        return base_fail_memory(err, ROWS * (size_t)ROW_BYTES, "rows of a JPEG file");
    }
    self->lib.err = jpeg_std_error(&self->errors);
    self->lib.client_data = self;
    self->errors.error_exit = fail;
    self->errors.emit_message = report;
    self->errors.output_message = print_nothing;
    self->progress.progress_monitor = count_scans;
    *ret_jpeg = self;
    return 0;
}

void op_jpeg_destroy(struct op_jpeg *self) {
    if (!self)
        return;
    op_jpeg_drop(self);
    base_free(self->rows);
    base_free(self);
}

void op_jpeg_drop(struct op_jpeg *self) {
    jpeg_destroy_decompress(&self->lib); /* copes with one that was not made */
    base_library_took(self->taken);
    self->taken = (struct base_taken){0};
}

/* ---- header ---- */

bool op_jpeg_is(const uint8_t *data, size_t bytes) {
    return bytes >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF;
}

/* Every picture has a decoder of its own: libjpeg's keeps the tables of the last file, and one that
 * lacks some would come out by what was read before it. */
static void read_header(struct op_jpeg *self) {
    jpeg_create_decompress(&self->lib);
    self->lib.progress = &self->progress;
    count_memory(self);
    jpeg_mem_src(&self->lib, self->data, self->bytes);
    jpeg_read_header(&self->lib, TRUE);
}

/* A window may end before the data do, so a file that was cut off is told by its end marker, which
 * coded data cannot contain. Thumbnails that have one lie before the first scan, where libjpeg
 * stands now. */
static bool has_end(const struct op_jpeg *self) {
    size_t left = self->lib.src->bytes_in_buffer;
    const uint8_t *at = self->data + (self->bytes - left), *end = at + left;

    while ((end = memrchr(at, 0xD9, (size_t)(end - at))))
        if (end > at && end[-1] == 0xFF)
            return true;
    return false;
}

/* The coefficients of all blocks, which files of several scans need. */
static uint64_t coefficient_bytes(const struct jpeg_decompress_struct *lib) {
    uint64_t blocks = 0;

    for (int c = 0; c < lib->num_components; c++) {
        const jpeg_component_info *info = &lib->comp_info[c];

        blocks += base_align_up(info->width_in_blocks, (uint64_t)info->h_samp_factor) *
                  base_align_up(info->height_in_blocks, (uint64_t)info->v_samp_factor);
    }
    return blocks * DCTSIZE2 * sizeof(JCOEF);
}

int op_jpeg_open(struct op_jpeg *self, const uint8_t *data, size_t bytes, struct codec_picture *ret,
                 struct opiml_error *err) {
    int rc;

    op_jpeg_drop(self);
    self->data = data;
    self->bytes = bytes;
    rc = guarded(self, read_header, err);
    if (rc < 0)
        return rc;
    if (!has_end(self)) {
        op_jpeg_drop(self);
        return opiml_fail(err, OPIML_ECORRUPT, "JPEG: cut off: no end marker within %zu bytes",
                          bytes);
    }
    *ret = (struct codec_picture){
        .width = self->lib.image_width, .height = self->lib.image_height, .reducible = true};
    if (jpeg_has_multiple_scans(&self->lib))
        ret->memory_bytes = coefficient_bytes(&self->lib);
    return 0;
}

/* ---- rows ---- */

/* Whether leaving out columns and rows leaves no trace: shown by test for these samplings, 4:4:4,
 * 4:2:2, 4:2:0, 4:4:0 and grey. Others are rare enough to be decoded whole. */
static bool can_skip(const struct jpeg_decompress_struct *lib) {
    if (lib->arith_code)
        return false;
    for (int c = 0; c < lib->num_components; c++) {
        const jpeg_component_info *info = &lib->comp_info[c];
        bool full = info->h_samp_factor == lib->max_h_samp_factor &&
                    info->v_samp_factor == lib->max_v_samp_factor;

        if (!full && (info->h_samp_factor != 1 || info->v_samp_factor != 1))
            return false;
    }
    if (lib->num_components == 1)
        return lib->max_h_samp_factor == 1 && lib->max_v_samp_factor == 1;
    return lib->max_h_samp_factor <= 2 && lib->max_v_samp_factor <= 2;
}

static void set_output(struct op_jpeg *self) {
    struct jpeg_decompress_struct *lib = &self->lib;

    lib->scale_num = 1;
    lib->scale_denom = self->window->reduction;
    lib->dct_method = JDCT_ISLOW;
    lib->do_fancy_upsampling = TRUE;
    lib->do_block_smoothing = FALSE;
    lib->out_color_space = lib->num_components == 4 ? JCS_CMYK : JCS_RGB;
}

/* Decode the window's columns and one more on either side, which chroma upsampling looks at. */
static void leave_out(struct op_jpeg *self) {
    const struct codec_window *window = self->window;
    uint32_t whole = self->lib.output_width;
    uint32_t left = window->left ? window->left - 1 : 0;
    uint32_t right = (uint32_t)base_min_u64((uint64_t)window->right + 1, whole);
    JDIMENSION from, width;

    if (right - left < WIDTH_LEAST) {
        right = (uint32_t)base_min_u64(left + WIDTH_LEAST, whole);
        left =
            right < left + WIDTH_LEAST ? right - (uint32_t)base_min_u64(right, WIDTH_LEAST) : left;
    }
    from = left;
    width = right - left;
    if (width < whole) {
        jpeg_crop_scanline(&self->lib, &from, &width);
        self->offset -= from;
    }
    if (window->top)
        jpeg_skip_scanlines(&self->lib, window->top);
}

/* Adobe's programs store inverted CMYK, and say so; 255 stands for no ink. The arithmetic is
 * Pillow's. */
static void cmyk_to_rgb(uint8_t *row, uint32_t pixels, bool inverted) {
    uint8_t flip = inverted ? 0 : 255;

    for (uint32_t i = 0; i < pixels; i++) {
        const uint8_t *in = row + (size_t)4 * i;
        uint32_t white = in[3] ^ flip;

        for (int c = 0; c < 3; c++) {
            uint32_t product = (255u - (in[c] ^ flip)) * white + 128;

            row[(size_t)3 * i + (size_t)c] = (uint8_t)(white - ((product >> 8) + product) / 256);
        }
    }
}

/* Hand out the rows that libjpeg has put into `rows`; true when no more are wanted. */
static bool hand_out(struct op_jpeg *self, uint8_t *const rows[ROWS], uint32_t first,
                     uint32_t count) {
    const struct codec_window *window = self->window;

    for (uint32_t i = 0; i < count; i++) {
        uint8_t *row = rows[i];
        uint32_t number = first + i;

        if (number < window->top)
            continue;
        if (self->lib.out_color_space == JCS_CMYK)
            cmyk_to_rgb(row, self->lib.output_width, self->lib.saw_Adobe_marker);
        row += (size_t)self->offset * CODEC_CHANNELS;
        if (window->to)
            memcpy(window->to + (number - window->top) * window->stride, row,
                   (size_t)(window->right - window->left) * CODEC_CHANNELS);
        else if (window->row(window->context, row))
            return true;
    }
    return false;
}

/* Rows of whole pictures need no copy. */
static bool straight(const struct op_jpeg *self) {
    const struct codec_window *window = self->window;

    return window->to && window->left == 0 && window->right == self->lib.output_width &&
           window->top == 0 && self->lib.out_color_space != JCS_CMYK;
}

static void read_rows(struct op_jpeg *self) {
    struct jpeg_decompress_struct *lib = &self->lib;
    const struct codec_window *window = self->window;
    bool direct;

    set_output(self);
    jpeg_start_decompress(lib);
    self->offset = window->left;
    if (!window->plain && can_skip(lib))
        leave_out(self);
    direct = straight(self);
    while (lib->output_scanline < window->bottom) {
        uint32_t first = lib->output_scanline;
        uint32_t wanted = (uint32_t)base_min_u64(window->bottom - first, ROWS);
        uint8_t *rows[ROWS];

        for (uint32_t i = 0; i < wanted; i++)
            rows[i] = direct ? window->to + (first + i) * window->stride
                             : self->rows + i * (size_t)ROW_BYTES + ROW_OFFSET;
        wanted = jpeg_read_scanlines(lib, rows, wanted);
        if (!direct && hand_out(self, rows, first, wanted))
            break;
    }
    op_jpeg_drop(self); /* what lies below is not looked at */
}

int op_jpeg_rows(struct op_jpeg *self, const struct codec_window *window, struct opiml_error *err) {
    self->window = window;
    return guarded(self, read_rows, err);
}
