/* PNG through libspng. Alpha is dropped, 16 bits keep their upper 8, palettes are looked up. */
#include <spng.h>

#include "op/codec.h"

#define CHUNK_MAX MIB(8)

struct png {
    spng_ctx *context;
    uint8_t *row;       /* one row, sized once */
    uint8_t *image;     /* a whole interlaced image, whose rows come in seven passes */
    uint32_t width, height, next, left;
    bool interlaced;
};

static int fail(int problem, struct opiml_error *err) {
    return opiml_fail(err, problem == SPNG_EMEM ? OPIML_ENOMEM : OPIML_ECORRUPT, "PNG: %s",
                      spng_strerror(problem));
}

static int png_create(void **ret_self, struct opiml_error *err) {
    struct png *self = base_alloc(sizeof(*self));

    if (self)
        self->row = base_alloc_aligned(CODEC_ROW_BYTES(CODEC_SIDE_MAX), 64);
    if (!self || !self->row) {
        base_free(self);
        return base_fail_memory(err, CODEC_ROW_BYTES(CODEC_SIDE_MAX), "a PNG decoder");
    }
    *ret_self = self;
    return 0;
}

static void png_end(void *pointer) {
    struct png *self = pointer;

    if (self->context)
        spng_ctx_free(self->context);
    self->context = NULL;
    base_free(self->image);
    self->image = NULL;
}

static void png_destroy(void *pointer) {
    struct png *self = pointer;

    png_end(self);
    base_free(self->row);
    base_free(self);
}

static bool png_takes(const uint8_t *data, uint64_t bytes) {
    static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

    return bytes >= sizeof(magic) && memcmp(data, magic, sizeof(magic)) == 0;
}

static int png_begin(void *pointer, const uint8_t *data, uint64_t bytes,
                     struct codec_image *ret_image, struct opiml_error *err) {
    struct png *self = pointer;
    struct spng_ihdr header;
    int problem;

    png_end(self);
    self->context = spng_ctx_new(0);
    if (!self->context)
        return fail(SPNG_EMEM, err);
    if ((problem = spng_set_image_limits(self->context, CODEC_SIDE_MAX, CODEC_SIDE_MAX)) != 0 ||
        (problem = spng_set_chunk_limits(self->context, CHUNK_MAX, CHUNK_MAX)) != 0 ||
        (problem = spng_set_png_buffer(self->context, data, bytes)) != 0 ||
        (problem = spng_get_ihdr(self->context, &header)) != 0)
        return fail(problem, err);
    self->width = header.width;
    self->height = header.height;
    self->interlaced = header.interlace_method != 0;
    *ret_image = (struct codec_image){
        .width = header.width,
        .height = header.height,
        .working_bytes = self->interlaced ? CODEC_ROW_BYTES(header.width) * header.height : 0};
    return 0;
}

static int decode_whole(struct png *self, struct opiml_error *err) {
    size_t bytes = 4 * (size_t)self->width * self->height;
    int problem;

    self->image = base_alloc(bytes + 64);
    if (!self->image)
        return base_fail_memory(err, bytes, "an interlaced PNG");
    problem = spng_decode_image(self->context, self->image, bytes, SPNG_FMT_RGBA8, 0);
    return problem ? fail(problem, err) : 0;
}

static int next_row(struct png *self, struct opiml_error *err) {
    int problem = spng_decode_row(self->context, self->row, 4 * (size_t)self->width);

    self->next++;
    return problem == 0 || problem == SPNG_EOI ? 0 : fail(problem, err);
}

static int png_start(void *pointer, const struct codec_region *region, bool whole,
                     struct opiml_error *err) {
    struct png *self = pointer;
    int problem, rc = 0;

    assert(region->denominator == 1);
    self->left = region->x;
    self->next = 0;
    if (self->interlaced) {
        self->next = region->y;
        return decode_whole(self, err);
    }
    problem = spng_decode_image(self->context, NULL, 0, SPNG_FMT_RGBA8, SPNG_DECODE_PROGRESSIVE);
    if (problem)
        return fail(problem, err);
    while (rc == 0 && self->next < region->y)
        rc = next_row(self, err);
    return rc;
}

static int png_row(void *pointer, const uint8_t **ret_row, struct opiml_error *err) {
    struct png *self = pointer;
    const uint8_t *row = self->row;
    int rc;

    if (self->interlaced)
        row = self->image + 4 * (size_t)self->width * self->next++;
    else if ((rc = next_row(self, err)) < 0)
        return rc;
    *ret_row = row + 4 * (size_t)self->left;
    return 0;
}

const struct codec_ops codec_png = {
    .takes = png_takes,
    .create = png_create,
    .destroy = png_destroy,
    .begin = png_begin,
    .start = png_start,
    .row = png_row,
    .end = png_end,
};
