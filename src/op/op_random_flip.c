/* random_flip: mirror an image with a given probability. */
#include "base/base.h"
#include "op/field.h"
#include "op/kernels_pixel.h"

enum direction { HORIZONTAL, VERTICAL, BOTH };

struct params {
    char field[OPIML_TEXT_MAX];
    double p;
    uint32_t direction;
    /* derived */
    uint32_t index, channels;
    uint64_t threshold; /* p in units of 2^-32 */
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"p", "0.5", "Probability of a flip", offsetof(struct params, p), OPIML_PARAM_F64, NULL, 0, 1},
    {"direction", "horizontal",
     "horizontal swaps left and right, vertical above and below; both: each on its own, with p",
     offsetof(struct params, direction), OPIML_PARAM_CHOICE, "horizontal|vertical|both", 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int rc = op_field_image(in, p->field, &p->index, err);

    if (rc < 0)
        return rc;
    /* A table's range does not keep NaN out when it is written into the struct by hand. */
    if (!(p->p >= 0 && p->p <= 1))
        return opiml_fail(err, OPIML_EINVAL, "p: a probability is 0 to 1");
    p->channels = (uint32_t)in->fields[p->index].shape[2];
    p->threshold = (uint64_t)(p->p * 4294967296.0);
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

static int flip(struct opiml_op_call *call, const struct kernels_pixel *kernels) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    /* Both draws in any case, so that the stream does not depend on the direction. */
    bool x = opiml_rng_u32(&call->rng) < p->threshold && p->direction != VERTICAL;
    bool y = opiml_rng_u32(&call->rng) < p->threshold && p->direction != HORIZONTAL;
    size_t height = (size_t)in->shape[0], width = (size_t)in->shape[1], row = width * p->channels;

    for (size_t i = 0; i < height && (x || y); i++) {
        const uint8_t *from = in->data + (y ? height - 1 - i : i) * row;

        if (x)
            kernels->reverse(from, out->data + i * row, width, p->channels);
        else
            memcpy(out->data + i * row, from, row);
    }
    if (!x && !y)
        memcpy(out->data, in->data, in->bytes);
    memcpy(out->shape, in->shape, sizeof(out->shape));
    out->bytes = in->bytes;
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    (void)err;
    return flip(call, kernels_pixel());
}

static int reference(struct opiml_op_call *call, struct opiml_error *err) {
    (void)err;
    return flip(call, &kernels_pixel_portable);
}

const struct opiml_op op_random_flip = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "random_flip",
    .help = "Mirror an image with a given probability",
    .about = "Two draws in every case: one for each direction.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
    .reference = reference,
};
