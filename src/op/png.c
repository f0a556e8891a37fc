/* libspng, wrapped. */
#include "op/png.h"

#include <spng.h>

#define CHUNK_BYTES_MAX MIB(8) /* of one chunk beside the pixels: profiles, texts */
#define CHUNKS_BYTES_MAX MIB(16)

struct op_png {
    spng_ctx *lib; /* NULL: no file is open */
    struct spng_ihdr header;
    uint8_t *row;
};

/* ---- memory: libspng asks through functions that count ---- */

static void *count(void *memory, size_t bytes) {
    base_library_took((struct base_taken){1, bytes});
    return memory;
}

static void *take(size_t bytes) {
    return count(malloc(bytes), bytes);
}

static void *take_more(void *old, size_t bytes) {
    return count(realloc(old, bytes), bytes);
}

static void *take_zeroed(size_t items, size_t bytes) {
    return count(calloc(items, bytes), items * bytes);
}

static struct spng_alloc counted = {take, take_more, take_zeroed, free};

/* ---- life ---- */

int op_png_create(struct op_png **ret_png, struct opiml_error *err) {
    struct op_png *self = base_alloc(sizeof(*self));
    size_t room = (size_t)CODEC_SIDE_MAX * CODEC_CHANNELS + CODEC_PAD;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a PNG decoder");
    self->row = base_alloc_aligned(room, 64);
    if (!self->row) {
        base_free(self);
        return base_fail_memory(err, room, "a row of a PNG file");
    }
    *ret_png = self;
    return 0;
}

void op_png_drop(struct op_png *self) {
    spng_ctx_free(self->lib);
    self->lib = NULL;
}

void op_png_destroy(struct op_png *self) {
    if (!self)
        return;
    op_png_drop(self);
    base_free(self->row);
    base_free(self);
}

bool op_png_is(const uint8_t *data, size_t bytes) {
    return bytes >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

/* libspng's number as our error; closes the file. */
static int fail(struct op_png *self, int number, struct opiml_error *err) {
    op_png_drop(self);
    if (number == SPNG_EMEM)
        return opiml_fail(err, OPIML_ENOMEM, "PNG: %s", spng_strerror(number));
    return opiml_fail(err, OPIML_ECORRUPT, "PNG: %s",
                      number == SPNG_IO_EOF ? "cut off: the data end too early"
                                            : spng_strerror(number));
}

int op_png_open(struct op_png *self, const uint8_t *data, size_t bytes, struct codec_picture *ret,
                struct opiml_error *err) {
    int bad;

    op_png_drop(self);
    self->lib = spng_ctx_new2(&counted, 0);
    if (!self->lib)
        return opiml_fail(err, OPIML_ENOMEM, "PNG: out of memory for a decoder");
    if ((bad = spng_set_image_limits(self->lib, CODEC_SIDE_MAX, CODEC_SIDE_MAX)) ||
        (bad = spng_set_chunk_limits(self->lib, CHUNK_BYTES_MAX, CHUNKS_BYTES_MAX)) ||
        (bad = spng_set_crc_action(self->lib, SPNG_CRC_ERROR, SPNG_CRC_ERROR)) ||
        (bad = spng_set_png_buffer(self->lib, data, bytes)) ||
        (bad = spng_get_ihdr(self->lib, &self->header)))
        return fail(self, bad, err);
    *ret = (struct codec_picture){.width = self->header.width, .height = self->header.height};
    if (self->header.interlace_method)
        ret->memory_bytes = (uint64_t)ret->width * ret->height * CODEC_CHANNELS;
    return 0;
}

/* Rows come more than once and out of order: the picture is put together first. */
static int interlaced_rows(struct op_png *self, const struct codec_window *window) {
    size_t row = (size_t)self->header.width * CODEC_CHANNELS;
    size_t bytes = row * self->header.height;
    AUTO_FREE uint8_t *whole = base_alloc(bytes + CODEC_PAD);
    int bad;

    if (!whole)
        return SPNG_EMEM;
    if ((bad = spng_decode_image(self->lib, whole, bytes, SPNG_FMT_RGB8, 0)) ||
        (bad = spng_decode_chunks(self->lib)))
        return bad;
    for (uint32_t y = window->top; y < window->bottom; y++) {
        const uint8_t *from = whole + y * row + (size_t)window->left * CODEC_CHANNELS;

        if (window->to)
            memcpy(window->to + (y - window->top) * window->stride, from,
                   (size_t)(window->right - window->left) * CODEC_CHANNELS);
        else if (window->row(window->context, from))
            break;
    }
    return 0;
}

static int plain_rows(struct op_png *self, const struct codec_window *window) {
    size_t bytes = (size_t)self->header.width * CODEC_CHANNELS;
    const uint8_t *from = self->row + (size_t)window->left * CODEC_CHANNELS;
    int bad = spng_decode_image(self->lib, NULL, 0, SPNG_FMT_RGB8, SPNG_DECODE_PROGRESSIVE);
    bool enough = false;

    for (uint32_t y = 0; bad == 0; y++) {
        bad = spng_decode_row(self->lib, self->row, bytes); /* SPNG_EOI with the last row */
        if ((bad && bad != SPNG_EOI) || y < window->top || y >= window->bottom || enough)
            continue;
        if (window->to)
            memcpy(window->to + (y - window->top) * window->stride, from,
                   (size_t)(window->right - window->left) * CODEC_CHANNELS);
        else
            enough = window->row(window->context, from);
    }
    return bad == SPNG_EOI ? spng_decode_chunks(self->lib) : bad;
}

int op_png_rows(struct op_png *self, const struct codec_window *window, struct opiml_error *err) {
    int bad =
        self->header.interlace_method ? interlaced_rows(self, window) : plain_rows(self, window);

    if (bad)
        return fail(self, bad, err);
    op_png_drop(self);
    return 0;
}
