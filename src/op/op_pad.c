/* pad: put a margin around an image. */
#include "base/base.h"
#include "op/border.h"
#include "op/field.h"

struct params {
    char field[OPIML_TEXT_MAX];
    struct opiml_u32_list pad, value;
    uint32_t mode;
    /* derived */
    uint32_t index, channels;
    uint32_t top, bottom, left, right;
    uint8_t fill[BORDER_CHANNELS_MAX];
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"pad", NULL,
     "Pixels: one number for all sides, [above and below, left and right], or [above, below, left, "
     "right]",
     offsetof(struct params, pad), OPIML_PARAM_U32_LIST, NULL, 0, BORDER_PAD_MAX},
    {"mode", "constant", "What stands there: `value`, the image reflected, or its edge",
     offsetof(struct params, mode), OPIML_PARAM_CHOICE, BORDER_MODES, 0, 0},
    {"value", "0", "mode constant: one number, or one for each channel",
     offsetof(struct params, value), OPIML_PARAM_U32_LIST, NULL, 0, 255},
    {0},
};

static int read_sides(struct params *p, struct opiml_error *err) {
    const uint32_t *at = p->pad.at;

    switch (p->pad.count) {
    case 1: p->top = p->bottom = p->left = p->right = at[0]; return 0;
    case 2:
        p->top = p->bottom = at[0];
        p->left = p->right = at[1];
        return 0;
    case 4:
        p->top = at[0];
        p->bottom = at[1];
        p->left = at[2];
        p->right = at[3];
        return 0;
    }
    return opiml_fail(err, OPIML_EINVAL,
                      "pad: %u numbers; give 1, 2 (rows, columns) or 4 (above, below, left, right)",
                      p->pad.count);
}

/* What varies stays -1. */
static int64_t grow(int64_t size, uint32_t before, uint32_t after) {
    return size < 0 ? -1 : size + before + after;
}

/* Most bytes of an output row. Where both sides of the image vary, one that is a single pixel high
 * or wide grows most, by a factor that nobody wants to keep room for. */
#define GROWTH_MAX 4
#define ROOM_LEAST MIB(1)

static uint64_t most_bytes(const struct params *p, const struct opiml_field *in) {
    uint64_t pixels = in->max_bytes / p->channels, worst, usual;
    uint64_t above = (uint64_t)p->top + p->bottom, beside = (uint64_t)p->left + p->right;
    int64_t height = in->shape[0], width = in->shape[1];

    /* (h + above)(w + beside), with h × w at most `pixels` */
    if (height < 0 && width < 0) {
        worst = pixels * base_max_u64(above, beside) + base_min_u64(above, beside);
        usual = base_max_u64(GROWTH_MAX * in->max_bytes, ROOM_LEAST) / p->channels;
        return base_min_u64(pixels + worst + above * beside, usual) * p->channels;
    }
    height = height < 0 ? (int64_t)(pixels / base_max_u64((uint64_t)width, 1)) : height;
    width = width < 0 ? (int64_t)(pixels / base_max_u64((uint64_t)height, 1)) : width;
    return ((uint64_t)height + above) * ((uint64_t)width + beside) * p->channels;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    const struct opiml_field *field;
    struct opiml_field *out;
    int rc;

    if ((rc = op_field_image(in, p->field, &p->index, err)) < 0 || (rc = read_sides(p, err)) < 0)
        return rc;
    field = &in->fields[p->index];
    p->channels = (uint32_t)field->shape[2];
    if ((rc = border_read_fill(&p->value, p->channels, p->fill, err)) < 0)
        return rc;
    out = &shape->out.fields[p->index];
    out->shape[0] = grow(field->shape[0], p->top, p->bottom);
    out->shape[1] = grow(field->shape[1], p->left, p->right);
    out->max_bytes = most_bytes(p, field);
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    struct border_window window = {
        .top = -(int64_t)p->top,
        .left = -(int64_t)p->left,
        .height = in->shape[0] + p->top + p->bottom,
        .width = in->shape[1] + p->left + p->right,
        .mode = p->mode,
    };
    uint64_t bytes;

    if (in->shape[0] < 1 || in->shape[1] < 1)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: an image without pixels", p->field);
    bytes = (uint64_t)window.height * (uint64_t)window.width * p->channels;
    if (bytes > out->capacity)
        return opiml_fail(err, OPIML_ELIMIT,
                          "pad: an image of %" PRId64 " × %" PRId64 " grows past the %" PRIu64
                          " bytes that there is room for; `resize` before, or pad less",
                          in->shape[0], in->shape[1], out->capacity);
    memcpy(window.fill, p->fill, sizeof(window.fill));
    border_copy(in->data, in->shape[0], in->shape[1], p->channels, &window, out->data);
    out->shape[0] = window.height;
    out->shape[1] = window.width;
    out->shape[2] = p->channels;
    out->bytes = bytes;
    return 0;
}

const struct opiml_op op_pad = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "pad",
    .help = "Put a margin around an image",
    .about =
        "Mode reflect mirrors the image at its edge without repeating the edge, as often as the "
        "margin asks for it. Images whose height and width both vary may grow to four times the "
        "largest input (at least 1 MiB); more makes the row a bad one.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
