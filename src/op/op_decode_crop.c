/* decode_crop: decode, crop and resize in one pass over the rows that are needed. */
#include "op/field.h"
#include "op/fuse.h"

#define AT(member) offsetof(struct decode_crop_params, member)

static const struct opiml_param decode_crop_params[] = {
    {"kind", "random", "Which crop", AT(crop.kind), OPIML_PARAM_CHOICE, "random|center|resize", 0,
     0},
    CROP_ROWS_SIZE,
    CROP_ROWS_SHORTER,
    CROP_ROWS_RANDOM,
    CROP_ROWS_FIELD,
    {"max_pixels", "16777216", "Larger images are bad records (pixels)", AT(max_pixels),
     OPIML_PARAM_U64, NULL, 1, 4290250000.0},
    {0},
};

static int decode_crop_check(void *pointer, const struct opiml_schema *in,
                             struct opiml_op_shape *shape, struct opiml_error *err) {
    struct decode_crop_params *params = pointer;
    uint32_t f;
    struct opiml_field *field;
    int rc;

    if ((rc = decode_check_input(params->crop.field, in, &f, err)) < 0 ||
        (rc = crop_check(&params->crop, err)) < 0)
        return rc;
    field = &shape->out.fields[f];
    field->ndim = 3;
    field->shape[0] = crop_out_height(&params->crop);
    field->shape[1] = crop_out_width(&params->crop);
    field->shape[2] = 3;
    field->max_bytes = 3 * (uint64_t)field->shape[0] * (uint64_t)field->shape[1];
    shape->from[f] = OPIML_OP_NEW;
    if (params->crop.kind != CROP_RANDOM)
        shape->flags &= ~(uint32_t)OPIML_OP_RANDOM;
    shape->scratch_bytes = crop_scratch_bytes(
        &params->crop, (uint32_t)base_min_u64(CODEC_SIDE_MAX, params->max_pixels));
    return 0;
}

static int decode_crop_open(const void *params, const struct opiml_op_shape *shape,
                            void **ret_state, struct opiml_error *err) {
    return codec_create((struct codec **)ret_state, err);
}

static void decode_crop_close(void *state) {
    codec_destroy(state);
}

static int start(void *codec, const struct codec_region *region, bool whole,
                 struct opiml_error *err) {
    return codec_start(codec, region, whole, err);
}

static int row(void *codec, const uint8_t **ret_row, struct opiml_error *err) {
    return codec_row(codec, ret_row, err);
}

static int decode_crop_any(struct opiml_op_call *call, bool reference, struct opiml_error *err) {
    const struct decode_crop_params *params = call->params;
    int f = opiml_schema_find(call->in_schema, params->crop.field);
    struct codec_image image;
    int rc = codec_begin(call->state, call->in[f].data, call->in[f].bytes, &image, err);

    if (rc == 0 && (uint64_t)image.width * image.height > params->max_pixels)
        rc = opiml_fail(err, OPIML_ELIMIT, "%u × %u pixels; max_pixels is %" PRIu64, image.width,
                        image.height, params->max_pixels);
    if (rc == 0 && image.working_bytes)
        rc = call->charge(call->engine, image.working_bytes, err);
    if (rc == 0) {
        struct crop_source source = {.width = image.width,
                                     .height = image.height,
                                     .scales = image.scales,
                                     .start = start,
                                     .row = row,
                                     .context = call->state};

        rc = crop_run(&params->crop, &source, 3, call, call->shape->scratch_bytes,
                      call->out[f].data, reference, err);
    }
    codec_end(call->state);
    return rc;
}

static int decode_crop_run(struct opiml_op_call *call, struct opiml_error *err) {
    return decode_crop_any(call, false, err);
}

static int decode_crop_reference(struct opiml_op_call *call, struct opiml_error *err) {
    return decode_crop_any(call, true, err);
}

const struct opiml_op op_decode_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "decode_crop",
    .help = "decode and a crop in one: only the rows and columns that are needed",
    .about = "What decode followed by random_resized_crop, center_crop or resize becomes. A crop at least "
             "twice, four or eight times as large as what comes out is decoded at 1/2, 1/4 or 1/8.",
    .params = decode_crop_params,
    .params_bytes = sizeof(struct decode_crop_params),
    .check = decode_crop_check,
    .open = decode_crop_open,
    .close = decode_crop_close,
    .run = decode_crop_run,
    .reference = decode_crop_reference,
    .codec_id = codec_id,
};
