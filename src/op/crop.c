/* Crops and resizes, of images and of encoded pictures. */
#include "op/crop.h"

#include "base/text.h"
#include "op/codec.h"
#include "op/resample.h"

/* ---- shapes ---- */

static uint64_t scratch_bytes(const struct geometry_params *box, uint32_t channels) {
    uint32_t height = box->height, width = box->width;

    if (box->ragged) /* either side may be the longer one */
        height = width = (uint32_t)base_max_u64(height, width);
    return resample_scratch_bytes(GEOMETRY_SIDE_MAX, width, height, channels);
}

static void set_shape(const struct crop_params *p, struct opiml_op_shape *shape) {
    struct opiml_field *out = &shape->out.fields[p->index];

    out->ndim = 3;
    out->dtype = OPIML_U8;
    out->shape[0] = p->box.ragged ? -1 : (int64_t)p->box.height;
    out->shape[1] = p->box.ragged ? -1 : (int64_t)p->box.width;
    out->shape[2] = p->channels;
    out->max_bytes = (uint64_t)p->box.height * p->box.width * p->channels;
    shape->from[p->index] = OPIML_OP_NEW;
    shape->scratch_bytes = scratch_bytes(&p->box, p->channels);
}

/* ---- placing ---- */

static struct resample_axis reduce(const struct geometry_axis *axis, uint32_t by) {
    uint32_t unit = RESAMPLE_UNIT / GEOMETRY_UNIT / by;

    return (struct resample_axis){.from = axis->from * unit,
                                  .length = axis->length * unit,
                                  .low = axis->low / by,
                                  .high = (axis->high + by - 1) / by,
                                  .out = axis->out};
}

/* Prepare the output and the resampler. */
static void start(struct opiml_op_call *call, const struct geometry *geometry, uint32_t reduction,
                  const struct kernels *kernels, struct resample *resample) {
    const struct crop_params *p = call->params;
    struct opiml_value *out = &call->out[p->index];
    size_t stride = (size_t)geometry->x.total * p->channels;
    struct resample_axis x = reduce(&geometry->x, reduction), y = reduce(&geometry->y, reduction);

    out->shape[0] = geometry->y.total;
    out->shape[1] = geometry->x.total;
    out->shape[2] = p->channels;
    out->bytes = stride * geometry->y.total;
    if (geometry->x.out < geometry->x.total || geometry->y.out < geometry->y.total)
        memset(out->data, 0, out->bytes);
    resample_init(resample, &x, &y, p->channels,
                  out->data + geometry->y.at * stride + (size_t)geometry->x.at * p->channels,
                  stride, call->scratch, kernels);
}

/* ---- images ---- */

int crop_check(struct crop_params *p, uint32_t kind, const struct opiml_schema *in,
               struct opiml_op_shape *shape, struct opiml_error *err) {
    int rc = op_field_image(in, p->field, &p->index, err);

    if (rc < 0 || (rc = geometry_check(&p->box, kind, err)) < 0)
        return rc;
    p->channels = (uint32_t)in->fields[p->index].shape[2];
    set_shape(p, shape);
    /* The last row of an image is copied, since the resampler reads a bit further. */
    shape->scratch_bytes += base_align_up(GEOMETRY_SIDE_MAX * 4 + RESAMPLE_PAD, 64);
    return 0;
}

static int check_sides(const struct crop_params *p, int64_t height, int64_t width,
                       struct opiml_error *err) {
    if (height < 1 || width < 1)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: an image without pixels", p->field);
    if (height > GEOMETRY_SIDE_MAX || width > GEOMETRY_SIDE_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "%s: an image of %" PRId64 " × %" PRId64 " pixels; a side has at most %d",
                          p->field, height, width, GEOMETRY_SIDE_MAX);
    return 0;
}

static int crop_with(struct opiml_op_call *call, const struct kernels *kernels,
                     struct opiml_error *err) {
    const struct crop_params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    size_t row_bytes = (size_t)in->shape[1] * p->channels, wanted;
    struct geometry geometry;
    struct resample resample;
    uint8_t *spare;
    int rc = check_sides(p, in->shape[0], in->shape[1], err);

    if (rc < 0)
        return rc;
    geometry_place(&p->box, (uint32_t)in->shape[0], (uint32_t)in->shape[1], &call->rng, &geometry);
    spare = call->scratch + call->shape->scratch_bytes -
            base_align_up(GEOMETRY_SIDE_MAX * 4 + RESAMPLE_PAD, 64);
    start(call, &geometry, 1, kernels, &resample);
    wanted = (size_t)(resample.x.high - resample.x.low) * p->channels;
    for (uint32_t y = resample.y.low; y < resample.y.high; y++) {
        const uint8_t *row = in->data + y * row_bytes + (size_t)resample.x.low * p->channels;

        if ((size_t)(in->data + in->bytes - row) < wanted + RESAMPLE_PAD) {
            memcpy(spare, row, wanted);
            memset(spare + wanted, 0, RESAMPLE_PAD);
            row = spare;
        }
        if (resample_row(&resample, row))
            break;
    }
    return 0;
}

int crop_run(struct opiml_op_call *call, struct opiml_error *err) {
    return crop_with(call, kernels_get(), err);
}

int crop_reference(struct opiml_op_call *call, struct opiml_error *err) {
    return crop_with(call, kernels_get_portable(), err);
}

/* ---- encoded pictures ---- */

int crop_encoded_field(const struct opiml_schema *in, const char *name, uint32_t *ret_index,
                       struct opiml_error *err) {
    const struct opiml_field *field;
    uint32_t index;
    int rc = op_field_find(in, "field", name, &index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[index];
    if (field->dtype != OPIML_U8 || field->ndim != 1)
        return opiml_fail(
            err, OPIML_EINVAL,
            "field: \"%s\" is %s with %u dimension%s, not an encoded picture (u8 with "
            "one); it may be decoded already",
            name, opiml_dtype_text(field->dtype), field->ndim, text_s(field->ndim));
    *ret_index = index;
    return 0;
}

int crop_decode_check(struct crop_params *p, uint32_t kind, const struct opiml_schema *in,
                      struct opiml_op_shape *shape, struct opiml_error *err) {
    int rc = crop_encoded_field(in, p->field, &p->index, err);

    if (rc < 0 || (rc = geometry_check(&p->box, kind, err)) < 0)
        return rc;
    p->channels = CODEC_CHANNELS;
    set_shape(p, shape);
    return 0;
}

int crop_decode_open(const void *params, const struct opiml_op_shape *shape, void **ret_state,
                     struct opiml_error *err) {
    struct codec *codec;
    int rc = codec_create(&codec, err);

    (void)params;
    (void)shape;
    if (rc < 0)
        return rc;
    *ret_state = codec;
    return 0;
}

void crop_decode_close(void *state) {
    codec_destroy(state);
}

int crop_open_picture(struct opiml_op_call *call, struct codec *codec,
                      const struct opiml_value *value, const char *field, uint64_t max_pixels,
                      struct codec_picture *ret, struct opiml_error *err) {
    struct opiml_error problem;
    int rc = codec_open(codec, value->data, value->bytes, ret, &problem);

    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", field, problem.message);
    if ((uint64_t)ret->width * ret->height > max_pixels) {
        codec_drop(codec);
        return opiml_fail(err, OPIML_ELIMIT,
                          "%s: a picture of %u × %u pixels; raise `max_pixels` (%" PRIu64 ")",
                          field, ret->height, ret->width, max_pixels);
    }
    if (ret->memory_bytes && (rc = call->charge(call->engine, ret->memory_bytes, err)) < 0) {
        codec_drop(codec);
        return rc;
    }
    return 0;
}

static bool take_row(void *context, const uint8_t *row) {
    return resample_row(context, row);
}

static int decode_with(struct opiml_op_call *call, const struct kernels *kernels, bool plain,
                       struct opiml_error *err) {
    const struct crop_params *p = call->params;
    struct codec *codec = call->state;
    struct codec_picture picture;
    struct codec_window window = {.plain = plain, .row = take_row};
    struct geometry geometry;
    struct resample resample;
    struct opiml_error problem;
    int rc =
        crop_open_picture(call, codec, &call->in[p->index], p->field, p->max_pixels, &picture, err);

    if (rc < 0)
        return rc;
    geometry_place(&p->box, picture.height, picture.width, &call->rng, &geometry);
    window.reduction = picture.reducible ? geometry_reduction(&geometry) : 1;
    start(call, &geometry, window.reduction, kernels, &resample);
    window.left = resample.x.low;
    window.right = resample.x.high;
    window.top = resample.y.low;
    window.bottom = resample.y.high;
    window.context = &resample;
    rc = codec_rows(codec, &window, &problem);
    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", p->field, problem.message);
    return 0;
}

int crop_decode_run(struct opiml_op_call *call, struct opiml_error *err) {
    return decode_with(call, kernels_get(), false, err);
}

int crop_decode_reference(struct opiml_op_call *call, struct opiml_error *err) {
    return decode_with(call, kernels_get_portable(), true, err);
}
