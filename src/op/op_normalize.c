/* normalize: (x - mean) / std for each channel, to floats, planes or pixels. */
#include "base/base.h"
#include "base/text.h"
#include "op/field.h"
#include "op/half.h"
#include "op/kernels_pixel.h"

enum layout { NCHW, NHWC };

struct params {
    char field[OPIML_TEXT_MAX];
    struct opiml_f64_list mean, std;
    uint32_t to, layout;
    /* derived */
    uint32_t index, from;
    struct kernels_pixel_affine affine;
    uint8_t bytes[KERNELS_PIXEL_CHANNELS_MAX][256]; /* to: u8 */
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"mean", "0", "One number, or one for each channel; 1.0 stands for 255 in u8 images",
     offsetof(struct params, mean), OPIML_PARAM_F64_LIST, NULL, -1e6, 1e6},
    {"std", "1", "One number, or one for each channel, in the same unit; above 0",
     offsetof(struct params, std), OPIML_PARAM_F64_LIST, NULL, 0, 1e6},
    {"to", "f32", "Type of the result; u8 (of u8 images only) clamps to 0 to 255",
     offsetof(struct params, to), OPIML_PARAM_CHOICE, "f32|f16|bf16|u8", 0, 0},
    {"layout", "nchw", "nchw: channels first; nhwc: channels last, as they come",
     offsetof(struct params, layout), OPIML_PARAM_CHOICE, "nchw|nhwc", 0, 0},
    {0},
};

static int pick(const char *name, const struct opiml_f64_list *list, uint32_t channels, uint32_t c,
                double *ret_x, struct opiml_error *err) {
    if (list->count != 1 && list->count != channels)
        return opiml_fail(err, OPIML_EINVAL, "%s: %u numbers for %u channel%s; give 1 or %u", name,
                          list->count, channels, text_s(channels), channels);
    *ret_x = list->at[list->count == 1 ? 0 : c];
    return 0;
}

static uint8_t to_byte(float y) {
    double x = (double)y * 255.0 + 0.5;

    return x <= 0 ? 0 : x >= 255 ? 255 : (uint8_t)x;
}

/* Scale and bias, rounded to f32 once each. */
static int derive(struct params *p, struct opiml_error *err) {
    double unit = p->from == OPIML_U8 ? 255.0 : 1.0;

    for (uint32_t c = 0; c < p->affine.channels; c++) {
        double mean = 0, std = 0;
        float scale, bias;
        int rc;

        if ((rc = pick("mean", &p->mean, p->affine.channels, c, &mean, err)) < 0 ||
            (rc = pick("std", &p->std, p->affine.channels, c, &std, err)) < 0)
            return rc;
        if (p->from == OPIML_U8 && mean > 1)
            return opiml_fail(err, OPIML_EINVAL,
                              "mean: %g is beyond white: the values of u8 images are taken as 0 to "
                              "1, so that the mean is %g / 255 = %.3g",
                              mean, mean, mean / 255);
        if (!(std > 0))
            return opiml_fail(err, OPIML_EINVAL, "std: %g must be above 0", std);
        p->affine.scale[c] = scale = (float)(1.0 / (unit * std));
        p->affine.bias[c] = bias = (float)(-mean / std);
        if (!(scale < 3e38f) || !(bias > -3e38f && bias < 3e38f))
            return opiml_fail(err, OPIML_EINVAL, "std: %g is too small", std);
        for (uint32_t x = 0; x < 256; x++) {
            float product = (float)x * scale;

            p->bytes[c][x] = to_byte(product + bias);
        }
    }
    return 0;
}

static int check_input(const struct params *p, const struct opiml_field *field,
                       struct opiml_error *err) {
    if (field->ndim == 1 && field->dtype == OPIML_U8 && field->shape[0] < 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" holds encoded bytes: put `decode` before this operator",
                          p->field);
    if (field->ndim != 3 || field->shape[2] < 1 || field->shape[2] > KERNELS_PIXEL_CHANNELS_MAX)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is no image of height, width and 1 to %d channels; `cast` "
                          "with a scale works on fields of any shape",
                          p->field, KERNELS_PIXEL_CHANNELS_MAX);
    if (field->dtype != OPIML_U8 && field->dtype != OPIML_F32)
        return opiml_fail(err, OPIML_EINVAL, "field: \"%s\" is %s; `cast` it to u8 or f32 before",
                          p->field, opiml_dtype_text(field->dtype));
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    static const uint32_t dtypes[] = {OPIML_F32, OPIML_F16, OPIML_BF16, OPIML_U8};
    struct params *p = params;
    const struct opiml_field *field;
    struct opiml_field *out;
    int rc;

    if ((rc = op_field_find(in, "field", p->field, &p->index, err)) < 0)
        return rc;
    field = &in->fields[p->index];
    if ((rc = check_input(p, field, err)) < 0)
        return rc;
    p->from = field->dtype;
    p->affine.channels = (uint32_t)field->shape[2];
    p->affine.to = dtypes[p->to];
    p->affine.planar = p->layout == NCHW;
    if (p->from == OPIML_F32 && p->affine.to == OPIML_U8)
        return opiml_fail(err, OPIML_EINVAL,
                          "to: u8 is for u8 images; use `cast: {to: u8, scale: 255}`");
    if ((rc = derive(p, err)) < 0)
        return rc;
    out = &shape->out.fields[p->index];
    out->dtype = p->affine.to;
    if (p->layout == NCHW) {
        out->shape[0] = field->shape[2];
        out->shape[1] = field->shape[0];
        out->shape[2] = field->shape[1];
    }
    out->max_bytes =
        field->max_bytes / opiml_dtype_bytes(p->from) * opiml_dtype_bytes(p->affine.to);
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

/* Where element (pixel, channel) goes. */
static size_t place(const struct kernels_pixel_affine *a, size_t pixels, size_t i, uint32_t c) {
    return a->planar ? c * pixels + i : i * a->channels + c;
}

static void from_f32(const struct kernels_pixel_affine *a, const uint8_t *in, size_t pixels,
                     void *out) {
    for (uint32_t c = 0; c < a->channels; c++)
        for (size_t i = 0; i < pixels; i++) {
            size_t at = place(a, pixels, i, c);
            float x, y;

            memcpy(&x, in + (i * a->channels + c) * sizeof(x), sizeof(x)); /* may be unaligned */
            y = x * a->scale[c];
            y = half_clean_nan(y + a->bias[c]);

            if (a->to == OPIML_F32)
                ((float *)out)[at] = y;
            else
                ((uint16_t *)out)[at] = a->to == OPIML_F16 ? half_from_f32(y) : bf16_from_f32(y);
        }
}

static void to_bytes(const struct params *p, const uint8_t *in, size_t pixels, uint8_t *out) {
    const struct kernels_pixel_affine *a = &p->affine;

    for (uint32_t c = 0; c < a->channels; c++)
        for (size_t i = 0; i < pixels; i++)
            out[place(a, pixels, i, c)] = p->bytes[c][in[i * a->channels + c]];
}

static int normalize(struct opiml_op_call *call, const struct kernels_pixel *kernels) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    size_t pixels = (size_t)in->shape[0] * (size_t)in->shape[1];
    bool planar = p->affine.planar;

    if (p->from == OPIML_F32)
        from_f32(&p->affine, in->data, pixels, out->data);
    else if (p->affine.to == OPIML_U8)
        to_bytes(p, in->data, pixels, out->data);
    else
        kernels->affine(&p->affine, in->data, pixels, out->data);
    out->shape[0] = planar ? in->shape[2] : in->shape[0];
    out->shape[1] = planar ? in->shape[0] : in->shape[1];
    out->shape[2] = planar ? in->shape[1] : in->shape[2];
    out->bytes = pixels * p->affine.channels * opiml_dtype_bytes(p->affine.to);
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    (void)err;
    return normalize(call, kernels_pixel());
}

static int reference(struct opiml_op_call *call, struct opiml_error *err) {
    (void)err;
    return normalize(call, &kernels_pixel_portable);
}

const struct opiml_op op_normalize = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "normalize",
    .help = "Subtract a mean and divide by a standard deviation, for each channel",
    .about =
        "The result is x × scale + bias, where scale = 1 / (255 × std) for u8 images (1 / std "
        "for f32) and bias = -mean / std are rounded to f32 once, then the product, then the "
        "sum; f16 and bf16 round once more to nearest even. A NaN (f32 images only) becomes the "
        "positive quiet NaN.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
    .reference = reference,
};
