/* color_jitter: brightness, contrast, saturation and hue by random amounts, in random order.
 * The adjustments are those of torchvision's ColorJitter on PIL images, in integer fixed point. */
#include "base/base.h"
#include "base/text.h"
#include "op/field.h"

#define ONE 65536 /* a factor of 1, in Q16 */
#define FACTOR_MAX 16

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, KINDS };

struct range {
    int32_t low, width; /* Q16; width 0 with low at the neutral value: nothing to do */
    bool active;
};

struct params {
    char field[OPIML_TEXT_MAX];
    struct opiml_f64_list amount[KINDS];
    /* derived */
    uint32_t index, channels;
    struct range range[KINDS];
};

#define AMOUNT(kind) offsetof(struct params, amount) + (kind) * sizeof(struct opiml_f64_list)

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"brightness", "0", "x: a factor between max(0, 1 - x) and 1 + x; or [least, most]",
     AMOUNT(BRIGHTNESS), OPIML_PARAM_F64_LIST, NULL, 0, FACTOR_MAX - 1},
    {"contrast", "0", "The same for contrast", AMOUNT(CONTRAST), OPIML_PARAM_F64_LIST, NULL, 0,
     FACTOR_MAX - 1},
    {"saturation", "0", "The same for saturation; images of 3 channels", AMOUNT(SATURATION),
     OPIML_PARAM_F64_LIST, NULL, 0, FACTOR_MAX - 1},
    {"hue", "0", "x: a turn between -x and x; or [least, most]; 0.5 is half the circle",
     AMOUNT(HUE), OPIML_PARAM_F64_LIST, NULL, -0.5, 0.5},
    {0},
};

/* To nearest; the numbers are small, so the conversion is exact but for that. */
static int32_t to_q16(double x) {
    return x < 0 ? -(int32_t)(-x * ONE + 0.5) : (int32_t)(x * ONE + 0.5);
}

static int read_range(const struct opiml_param *row, const struct opiml_f64_list *amount,
                      uint32_t kind, struct range *ret_range, struct opiml_error *err) {
    double neutral = kind == HUE ? 0 : 1, low, high;

    if (amount->count == 1) {
        if (!(amount->at[0] >= 0))
            return opiml_fail(err, OPIML_EINVAL, "%s: %g is below 0", row->name, amount->at[0]);
        low = neutral - amount->at[0];
        high = neutral + amount->at[0];
        if (kind != HUE && low < 0)
            low = 0;
    } else if (amount->count == 2) {
        low = amount->at[0];
        high = amount->at[1];
    } else {
        return opiml_fail(err, OPIML_EINVAL, "%s: %u numbers; give one, or [least, most]",
                          row->name, amount->count);
    }
    if (!(low <= high) || !(high <= FACTOR_MAX) || !(low >= -1))
        return opiml_fail(err, OPIML_EINVAL, "%s: [%g, %g] is not [least, most]", row->name, low,
                          high);
    ret_range->low = to_q16(low);
    ret_range->width = to_q16(high) - ret_range->low;
    ret_range->active = ret_range->width != 0 || ret_range->low != to_q16(neutral);
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int rc = op_field_image(in, p->field, &p->index, err);

    if (rc < 0)
        return rc;
    p->channels = (uint32_t)in->fields[p->index].shape[2];
    for (uint32_t k = 0; k < KINDS; k++) {
        rc = read_range(&rows[1 + k], &p->amount[k], k, &p->range[k], err);
        if (rc < 0)
            return rc;
        if (p->range[k].active && p->channels != 3 && (k == SATURATION || k == HUE))
            return opiml_fail(err, OPIML_EINVAL,
                              "%s: \"%s\" has %u channel%s and no colours to change; leave it out",
                              rows[1 + k].name, p->field, p->channels, text_s(p->channels));
    }
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

/* ---- the adjustments: in place, n pixels ---- */

static uint8_t clamp(int32_t x) {
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* x × f + other × (1 - f), to nearest (halves up), as PIL's blend. */
static uint8_t blend(int32_t x, int32_t other, int32_t f) {
    return clamp((x * f + other * (ONE - f) + ONE / 2) >> 16);
}

/* ITU-R 601 luma in PIL's fixed point. */
static int32_t grey(const uint8_t *rgb) {
    return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

static void look_up(uint8_t *at, size_t bytes, int32_t other, int32_t f) {
    uint8_t table[256];

    for (int32_t x = 0; x < 256; x++)
        table[x] = blend(x, other, f);
    for (size_t i = 0; i < bytes; i++)
        at[i] = table[at[i]];
}

/* Contrast pulls towards the mean grey of the image. */
static void adjust_contrast(uint8_t *at, size_t pixels, uint32_t channels, int32_t f) {
    uint64_t sum = 0;

    if (channels == 3)
        for (size_t i = 0; i < pixels; i++)
            sum += (uint64_t)grey(at + i * 3);
    else
        for (size_t i = 0; i < pixels * channels; i++)
            sum += at[i];
    if (channels != 3)
        pixels *= channels;
    look_up(at, channels == 3 ? pixels * 3 : pixels, (int32_t)((sum + pixels / 2) / pixels), f);
}

static void adjust_saturation(uint8_t *at, size_t pixels, int32_t f) {
    for (size_t i = 0; i < pixels; i++, at += 3) {
        int32_t g = grey(at);

        for (int c = 0; c < 3; c++)
            at[c] = blend(at[c], g, f);
    }
}

/* Turn the hue of one pixel, keeping its largest and smallest channel. On the hexagon of hues,
 * counted in units of 1 / (delta × 2^16) of a side, both the hue and the turn are whole numbers, so
 * nothing is lost before the last rounding. `turn`: Q16 of a whole turn, 0 to ONE. */
static void turn_hue(uint8_t *rgb, int32_t turn) {
    int32_t r = rgb[0], g = rgb[1], b = rgb[2];
    int32_t most = r > g ? (r > b ? r : b) : (g > b ? g : b);
    int32_t least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    int32_t delta = most - least, length = delta * ONE, hue, at, up, down, side;
    uint8_t v, m, u, d;

    if (delta == 0)
        return;
    if (r == most)
        hue = g - b;
    else if (g == most)
        hue = 2 * delta + b - r;
    else
        hue = 4 * delta + r - g;
    at = hue * ONE + turn * 6 * delta; /* below 11 × 255 × 2^16, which fits */
    at = at < 0 ? at + 6 * length : at >= 6 * length ? at - 6 * length : at;
    side = at / length;
    up = (at - side * length + ONE / 2) >> 16;
    down = delta - up;
    v = (uint8_t)most;
    m = (uint8_t)least;
    u = (uint8_t)(least + up);
    d = (uint8_t)(least + down);
    rgb[0] = side == 0 || side == 5 ? v : side == 1 ? d : side == 4 ? u : m;
    rgb[1] = side == 1 || side == 2 ? v : side == 3 ? d : side == 0 ? u : m;
    rgb[2] = side == 3 || side == 4 ? v : side == 5 ? d : side == 2 ? u : m;
}

static void adjust_hue(uint8_t *at, size_t pixels, int32_t turn) {
    if (turn < 0)
        turn += ONE;
    for (size_t i = 0; i < pixels; i++, at += 3)
        turn_hue(at, turn);
}

/* ---- one row ---- */

/* Seven draws in every case: three for the order, one for each amount. */
static void draw(struct opiml_rng *rng, const struct params *p, uint32_t order[KINDS],
                 int32_t factor[KINDS]) {
    for (uint32_t k = 0; k < KINDS; k++)
        order[k] = k;
    for (uint32_t k = KINDS - 1; k > 0; k--) {
        uint32_t other = op_draw_below(rng, k + 1), kept = order[k];

        order[k] = order[other];
        order[other] = kept;
    }
    for (uint32_t k = 0; k < KINDS; k++)
        factor[k] = p->range[k].low + (int32_t)op_draw_below(rng, (uint32_t)p->range[k].width + 1);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    size_t pixels = (size_t)in->shape[0] * (size_t)in->shape[1];
    uint32_t order[KINDS];
    int32_t factor[KINDS];

    (void)err;
    draw(&call->rng, p, order, factor);
    memcpy(out->data, in->data, in->bytes);
    memcpy(out->shape, in->shape, sizeof(out->shape));
    out->bytes = in->bytes;
    for (uint32_t i = 0; i < KINDS && pixels > 0; i++) {
        uint32_t k = order[i];

        if (!p->range[k].active)
            continue;
        if (k == BRIGHTNESS)
            look_up(out->data, out->bytes, 0, factor[k]);
        else if (k == CONTRAST)
            adjust_contrast(out->data, pixels, p->channels, factor[k]);
        else if (k == SATURATION)
            adjust_saturation(out->data, pixels, factor[k]);
        else
            adjust_hue(out->data, pixels, factor[k]);
    }
    return 0;
}

const struct opiml_op op_color_jitter = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "color_jitter",
    .help = "Change brightness, contrast, saturation and hue by random amounts",
    .about = "The four adjustments come in random order. Brightness scales towards black, contrast "
             "towards the image's mean grey, saturation towards each pixel's grey, hue turns the "
             "colour circle. Integer fixed point throughout; brightness, contrast and saturation "
             "follow torchvision's on PIL images to within one step, the hue is not rounded to "
             "PIL's 8-bit HSV.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
