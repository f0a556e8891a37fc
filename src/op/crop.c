/* Crop and resize. */
#include "op/crop.h"

#include "op/field.h"
#include "op/kernels.h"
#include "op/resample.h"

uint32_t crop_out_height(const struct crop_params *params) {
    return params->size.at[0];
}

uint32_t crop_out_width(const struct crop_params *params) {
    return params->size.at[params->size.count - 1];
}

int crop_check(struct crop_params *params, struct opiml_error *err) {
    uint32_t w, h;

    if (params->size.count < 1 || params->size.count > 2)
        return opiml_fail(err, OPIML_EINVAL, "size: [height, width], or one number for both");
    w = crop_out_width(params);
    h = crop_out_height(params);
    if (params->kind == CROP_RANDOM)
        return geometry_random_init(&params->random, &params->scale, &params->ratio, err);
    if (params->kind == CROP_CENTER && params->shorter != 0 &&
        params->shorter < (w > h ? w : h))
        return opiml_fail(err, OPIML_EINVAL,
                          "resize: %u is less than size: an image resized to it does not hold %u × "
                          "%u pixels", params->shorter, h, w);
    return 0;
}

static uint64_t line_bytes(uint32_t pixels) {
    return base_align_up(CODEC_ROW_BYTES(pixels), 64);
}

uint64_t crop_scratch_bytes(const struct crop_params *params, uint32_t side) {
    return resample_scratch_most(side, crop_out_width(params), crop_out_height(params)) +
           2 * line_bytes(side);
}

/* ---- cutting without resizing: what lies outside is black ---- */

static int cut(const struct crop_params *params, const struct crop_source *source,
               uint32_t channels, uint8_t *to, bool reference, struct opiml_error *err) {
    uint32_t out_w = crop_out_width(params), out_h = crop_out_height(params);
    uint32_t w = source->width < out_w ? source->width : out_w;
    uint32_t h = source->height < out_h ? source->height : out_h;
    uint32_t left = (out_w - w) / 2, top = (out_h - h) / 2;
    struct codec_region region = {1, (source->width - w) / 2, (source->height - h) / 2, w, h};
    int rc = source->start(source->context, &region, reference, err);

    if (w < out_w || h < out_h)
        memset(to, 0, (size_t)out_w * out_h * channels);
    for (uint32_t y = 0; rc == 0 && y < h; y++) {
        uint8_t *line = to + ((size_t)(top + y) * out_w + left) * channels;
        const uint8_t *row;

        rc = source->row(source->context, &row, err);
        for (uint32_t x = 0; rc == 0 && x < w; x++)
            memcpy(line + (size_t)x * channels, row + 4 * (size_t)x, channels);
    }
    return rc;
}

/* ---- resizing ---- */

static struct geometry_box choose_box(const struct crop_params *params,
                                      const struct crop_source *source, struct opiml_rng *rng) {
    switch (params->kind) {
    case CROP_RANDOM:
        return geometry_random_box(&params->random, source->width, source->height, rng);
    case CROP_CENTER:
        return geometry_center_box(source->width, source->height, crop_out_width(params),
                                   crop_out_height(params), params->shorter);
    default:
        return (struct geometry_box){0, 0, 8 * (uint64_t)source->width,
                                     8 * (uint64_t)source->height};
    }
}

/* The pixels that a box touches along one axis of an image of `side` pixels, reduced. */
static struct resample_axis touch(uint64_t from8, uint64_t length8, uint32_t reduction,
                                  uint32_t side, uint32_t out, uint32_t *ret_first) {
    uint32_t scaled = (side + reduction - 1) / reduction;
    uint64_t from = from8 / reduction, length = length8 / reduction;
    uint32_t first = (uint32_t)base_min_u64(from / 8, scaled - 1);
    uint32_t end = (uint32_t)base_min_u64((from + length + 7) / 8, scaled);

    *ret_first = first;
    return (struct resample_axis){.in = end > first ? end - first : 1,
                                  .out = out,
                                  .from = from - 8 * (uint64_t)first,
                                  .length = base_max_u64(length, 1)};
}

int crop_run(const struct crop_params *params, const struct crop_source *source, uint32_t channels,
             struct opiml_op_call *call, uint64_t scratch_bytes, uint8_t *to, bool reference,
             struct opiml_error *err) {
    struct geometry_box box;
    struct codec_region region = {.denominator = 1};
    struct resample_axis x, y;
    struct resample resample;
    bool done = false;
    int rc;

    if (params->kind == CROP_CENTER && params->shorter == 0)
        return cut(params, source, channels, to, reference, err);
    box = choose_box(params, source, &call->rng);
    if (source->scales)
        region.denominator =
            geometry_reduction(&box, crop_out_width(params), crop_out_height(params));
    x = touch(box.x, box.width, region.denominator, source->width, crop_out_width(params),
              &region.x);
    y = touch(box.y, box.height, region.denominator, source->height, crop_out_height(params),
              &region.y);
    region.width = x.in;
    region.height = y.in;
    if (resample_scratch_bytes(&x, &y) > scratch_bytes)
        return opiml_fail(err, OPIML_ELIMIT, "%u × %u pixels are too many", source->width,
                          source->height);
    resample_init(&resample, &x, &y, channels, to, call->scratch,
                  reference ? &kernels_portable : kernels_get());
    rc = source->start(source->context, &region, reference, err);
    for (uint32_t i = 0; rc == 0 && !done && i < region.height; i++) {
        const uint8_t *row;

        rc = source->row(source->context, &row, err);
        if (rc == 0)
            done = resample_row(&resample, row);
    }
    assert(rc < 0 || done);
    return rc;
}

/* ---- images that are decoded already ---- */

struct memory_image {
    const uint8_t *at;
    uint32_t width, channels, x, columns;
    uint64_t next;
    uint8_t *line;
};

static int memory_start(void *context, const struct codec_region *region, bool whole,
                        struct opiml_error *err) {
    struct memory_image *self = context;

    self->x = region->x;
    self->columns = region->width;
    self->next = region->y;
    return 0;
}

static int memory_row(void *context, const uint8_t **ret_row, struct opiml_error *err) {
    struct memory_image *self = context;
    const uint8_t *from =
        self->at + (self->next++ * self->width + self->x) * (uint64_t)self->channels;

    for (uint32_t i = 0; i < self->columns; i++)
        memcpy(self->line + 4 * (size_t)i, from + (size_t)i * self->channels, self->channels);
    *ret_row = self->line;
    return 0;
}

/* The most pixels along a side that an image of the field can have: what max_bytes allows in one row. */
static uint32_t longest_side(const struct opiml_field *field) {
    uint64_t pixels = field->max_bytes / (uint64_t)field->shape[2], side = CODEC_SIDE_MAX;

    if (field->shape[0] >= 0 && field->shape[1] >= 0)
        side = base_max_u64((uint64_t)field->shape[0], (uint64_t)field->shape[1]);
    return (uint32_t)base_max_u64(1, base_min_u64(side, pixels));
}

int crop_image_check(void *pointer, const struct opiml_schema *in, struct opiml_op_shape *shape,
                     struct opiml_error *err) {
    struct crop_params *params = pointer;
    struct opiml_field *field;
    uint32_t f;
    int rc;

    if ((rc = op_field_image(in, params->field, &f, err)) < 0 || (rc = crop_check(params, err)) < 0)
        return rc;
    field = &shape->out.fields[f];
    shape->from[f] = OPIML_OP_NEW;
    field->shape[0] = crop_out_height(params);
    field->shape[1] = crop_out_width(params);
    field->max_bytes = (uint64_t)field->shape[0] * (uint64_t)field->shape[1] *
                       (uint64_t)field->shape[2];
    shape->scratch_bytes = crop_scratch_bytes(params, longest_side(&in->fields[f]));
    return 0;
}

static int image_run(struct opiml_op_call *call, bool reference, struct opiml_error *err) {
    const struct crop_params *params = call->params;
    int f = opiml_schema_find(call->in_schema, params->field);
    const struct opiml_value *in = &call->in[f];
    uint64_t lines = line_bytes(longest_side(&call->in_schema->fields[f]));
    struct memory_image image = {.at = in->data,
                                 .width = (uint32_t)in->shape[1],
                                 .channels = (uint32_t)in->shape[2],
                                 .line = call->scratch + call->shape->scratch_bytes - lines};
    struct crop_source source = {.width = (uint32_t)in->shape[1],
                                 .height = (uint32_t)in->shape[0],
                                 .start = memory_start,
                                 .row = memory_row,
                                 .context = &image};

    if (source.width == 0 || source.height == 0)
        return opiml_fail(err, OPIML_ECORRUPT, "an image without pixels");
    image.line = (uint8_t *)((uintptr_t)image.line & ~(uintptr_t)63);
    return crop_run(params, &source, image.channels, call,
                    (uint64_t)(image.line - call->scratch), call->out[f].data, reference, err);
}

int crop_image_run(struct opiml_op_call *call, struct opiml_error *err) {
    return image_run(call, false, err);
}

int crop_image_reference(struct opiml_op_call *call, struct opiml_error *err) {
    return image_run(call, true, err);
}
