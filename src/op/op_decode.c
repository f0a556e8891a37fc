/* decode: an encoded picture → RGB pixels. */
#include "op/codec.h"
#include "op/crop.h"
#include "op/decode.h"

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct decode_params, "image"),
    {"max_pixels", CROP_PIXELS_MAX,
     "Largest picture to decode, in pixels (height × width); every worker has room for one",
     offsetof(struct decode_params, max_pixels), OPIML_PARAM_U64, NULL, 1, 4290250000.0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct decode_params *p = params;
    struct opiml_field *out;
    int rc = crop_encoded_field(in, p->field, &p->index, err);

    if (rc < 0)
        return rc;
    out = &shape->out.fields[p->index];
    out->ndim = 3;
    out->shape[0] = out->shape[1] = -1;
    out->shape[2] = CODEC_CHANNELS;
    out->max_bytes = p->max_pixels * CODEC_CHANNELS;
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

static int decode(struct opiml_op_call *call, bool plain, struct opiml_error *err) {
    const struct decode_params *p = call->params;
    struct codec *codec = call->state;
    struct opiml_value *out = &call->out[p->index];
    struct codec_window window = {.reduction = 1, .to = out->data, .plain = plain};
    struct codec_picture picture;
    struct opiml_error problem;
    int rc =
        crop_open_picture(call, codec, &call->in[p->index], p->field, p->max_pixels, &picture, err);

    if (rc < 0)
        return rc;
    window.right = picture.width;
    window.bottom = picture.height;
    window.stride = (size_t)picture.width * CODEC_CHANNELS;
    rc = codec_rows(codec, &window, &problem);
    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", p->field, problem.message);
    out->shape[0] = picture.height;
    out->shape[1] = picture.width;
    out->shape[2] = CODEC_CHANNELS;
    out->bytes = window.stride * picture.height;
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    return decode(call, false, err);
}

static int reference(struct opiml_op_call *call, struct opiml_error *err) {
    return decode(call, true, err);
}

const struct opiml_op op_decode = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "decode",
    .help = "Decode JPEG and PNG pictures to RGB",
    .about = "The format is told by the first bytes. Grey becomes RGB, CMYK is converted, alpha is "
             "dropped, 16 bits become 8; EXIF orientation and colour profiles are left alone. "
             "Right before "
             "random_resized_crop, center_crop or resize it becomes one operator with it, which "
             "decodes only what is wanted and may decode at a half, a quarter or an eighth of the "
             "size.",
    .params = rows,
    .params_bytes = sizeof(struct decode_params),
    .check = check,
    .open = crop_decode_open,
    .close = crop_decode_close,
    .run = run,
    .reference = reference,
    .codec_id = codec_id,
};
