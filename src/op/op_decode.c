/* decode: JPEG and PNG to RGB. */
#include "op/codec.h"
#include "op/field.h"
#include "op/fuse.h"
#include "op/kernels.h"

static const struct opiml_param decode_params[] = {FUSE_ROWS_DECODE(struct decode_params), {0}};

int decode_check_input(const char *name, const struct opiml_schema *in, uint32_t *ret_field,
                       struct opiml_error *err) {
    int rc = op_field_find(in, "field", name, ret_field, err);
    const struct opiml_field *field;

    if (rc < 0)
        return rc;
    field = &in->fields[*ret_field];
    if (field->dtype != OPIML_U8 || field->ndim != 1)
        return opiml_fail(err, OPIML_EINVAL,
                          "field \"%s\" is no encoded image (bytes of varying length)", name);
    return 0;
}

static int decode_check(void *pointer, const struct opiml_schema *in, struct opiml_op_shape *shape,
                        struct opiml_error *err) {
    struct decode_params *params = pointer;
    struct opiml_field *field;
    uint32_t f;
    int rc = decode_check_input(params->field, in, &f, err);

    if (rc < 0)
        return rc;
    field = &shape->out.fields[f];
    field->ndim = 3;
    field->shape[0] = field->shape[1] = -1;
    field->shape[2] = 3;
    field->max_bytes = 3 * params->max_pixels;
    shape->from[f] = OPIML_OP_NEW;
    return 0;
}

static int decode_open(const void *params, const struct opiml_op_shape *shape, void **ret_state,
                       struct opiml_error *err) {
    return codec_create((struct codec **)ret_state, err);
}

static void decode_close(void *state) {
    codec_destroy(state);
}

static int decode_rows(struct codec *codec, const struct codec_image *image,
                       struct opiml_value *out, bool reference, struct opiml_error *err) {
    struct codec_region region = {1, 0, 0, image->width, image->height};
    const struct kernels *kernels = reference ? &kernels_portable : kernels_get();
    int rc = codec_start(codec, &region, reference, err);

    for (uint32_t y = 0; rc == 0 && y < image->height; y++) {
        const uint8_t *row;

        rc = codec_row(codec, &row, err);
        if (rc == 0)
            kernels->drop_fourth(row, out->data + 3 * (size_t)y * image->width, image->width);
    }
    return rc;
}

static int decode_any(struct opiml_op_call *call, bool reference, struct opiml_error *err) {
    const struct decode_params *params = call->params;
    int f = opiml_schema_find(call->in_schema, params->field);
    struct opiml_value *out = &call->out[f];
    struct codec_image image;
    int rc = codec_begin(call->state, call->in[f].data, call->in[f].bytes, &image, err);

    if (rc == 0 && (uint64_t)image.width * image.height * 3 > out->capacity)
        rc = opiml_fail(err, OPIML_ELIMIT, "%u × %u pixels; max_pixels is %" PRIu64, image.width,
                        image.height, params->max_pixels);
    if (rc == 0 && image.working_bytes)
        rc = call->charge(call->engine, image.working_bytes, err);
    if (rc == 0)
        rc = decode_rows(call->state, &image, out, reference, err);
    codec_end(call->state);
    out->shape[0] = image.height;
    out->shape[1] = image.width;
    out->shape[2] = 3;
    out->bytes = 3 * (uint64_t)image.width * image.height;
    return rc;
}

static int decode_run(struct opiml_op_call *call, struct opiml_error *err) {
    return decode_any(call, false, err);
}

static int decode_reference(struct opiml_op_call *call, struct opiml_error *err) {
    return decode_any(call, true, err);
}

const struct opiml_op op_decode = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "decode",
    .help = "JPEG or PNG to RGB pixels, [height, width, 3] of u8",
    .about = "Followed directly by random_resized_crop, center_crop or resize it becomes one operator with "
             "it (decode_crop), which decodes only the region that is needed, and smaller where the crop is "
             "at least twice as large as what comes out. Gray is spread to three channels, CMYK converted, "
             "alpha dropped. A warning of the JPEG library makes the record a bad one.",
    .params = decode_params,
    .params_bytes = sizeof(struct decode_params),
    .check = decode_check,
    .open = decode_open,
    .close = decode_close,
    .run = decode_run,
    .reference = decode_reference,
    .codec_id = codec_id,
};
