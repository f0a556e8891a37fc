/* random_crop: a window of fixed size at a random place, of an image with a margin around it. */
#include "base/base.h"
#include "op/border.h"
#include "op/field.h"

struct params {
    char field[OPIML_TEXT_MAX];
    struct opiml_u32_list size, value;
    uint32_t pad, mode;
    /* derived */
    uint32_t index, channels, height, width;
    uint8_t fill[BORDER_CHANNELS_MAX];
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"size", NULL, "Pixels of the crop: [height, width], or one number for both",
     offsetof(struct params, size), OPIML_PARAM_U32_LIST, NULL, 1, 65536},
    {"pad", "0", "Pixels of margin put around the image before it is cropped",
     offsetof(struct params, pad), OPIML_PARAM_U32, NULL, 0, BORDER_PAD_MAX},
    {"mode", "constant", "What stands in the margin: `value`, the image reflected, or its edge",
     offsetof(struct params, mode), OPIML_PARAM_CHOICE, BORDER_MODES, 0, 0},
    {"value", "0", "mode constant: one number, or one for each channel",
     offsetof(struct params, value), OPIML_PARAM_U32_LIST, NULL, 0, 255},
    {0},
};

static int check_room(const struct params *p, const int64_t *shape, int code,
                      struct opiml_error *err) {
    int64_t height = shape[0] + 2 * (int64_t)p->pad, width = shape[1] + 2 * (int64_t)p->pad;

    if ((shape[0] >= 0 && height < p->height) || (shape[1] >= 0 && width < p->width))
        return opiml_fail(err, code,
                          "size: an image of %" PRId64 " × %" PRId64 " with a margin of %u is "
                          "smaller than the crop of %u × %u; raise `pad`, or `resize` before",
                          shape[0], shape[1], p->pad, p->height, p->width);
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    const struct opiml_field *field;
    struct opiml_field *out;
    int rc = op_field_image(in, p->field, &p->index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[p->index];
    p->channels = (uint32_t)field->shape[2];
    if (p->size.count != 1 && p->size.count != 2)
        return opiml_fail(err, OPIML_EINVAL,
                          "size: %u numbers; give [height, width] or one for both", p->size.count);
    p->height = p->size.at[0];
    p->width = p->size.at[p->size.count - 1];
    if ((rc = border_read_fill(&p->value, p->channels, p->fill, err)) < 0)
        return rc;
    if ((rc = check_room(p, field->shape, OPIML_EINVAL, err)) < 0)
        return rc;
    out = &shape->out.fields[p->index];
    out->shape[0] = p->height;
    out->shape[1] = p->width;
    out->max_bytes = (uint64_t)p->height * p->width * p->channels;
    shape->from[p->index] = OPIML_OP_NEW;
    /* What is reflected, or stretched from the edge, may lie anywhere. */
    shape->window[p->index] = p->pad == 0 || p->mode == BORDER_CONSTANT ? p->height : 0;
    return 0;
}

static int64_t draw_top(struct opiml_op_call *call, int64_t height) {
    const struct params *p = call->params;

    return op_draw_below(&call->rng, (uint32_t)(height + 2 * (int64_t)p->pad - p->height + 1)) -
           (int64_t)p->pad;
}

static int64_t window(struct opiml_op_call *call, uint32_t field) {
    return draw_top(call, call->in[field].shape[0]);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    int64_t margin = 2 * (int64_t)p->pad;
    struct border_window place = {.height = p->height, .width = p->width, .mode = p->mode};
    int rc;

    if (in->shape[0] < 1 || in->shape[1] < 1)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: an image without pixels", p->field);
    if ((rc = check_room(p, in->shape, OPIML_ECORRUPT, err)) < 0)
        return rc;
    memcpy(place.fill, p->fill, sizeof(place.fill));
    place.top = draw_top(call, in->shape[0]);
    place.left = op_draw_below(&call->rng, (uint32_t)(in->shape[1] + margin - p->width + 1)) -
                 (int64_t)p->pad;
    border_copy(in->data, in->shape[0], in->shape[1], p->channels, &place,
                call->out[p->index].data);
    return 0;
}

const struct opiml_op op_random_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "random_crop",
    .help = "Cut a window of fixed size at a random place",
    .about =
        "`{size: [32, 32], pad: 4}` is the usual augmentation of 32-pixel images. Every place is "
        "equally likely. Two draws: the row, then the column.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
    .window = window,
};
