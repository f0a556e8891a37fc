/* Boxes. */
#include "op/geometry.h"

#include "base/base.h"
#include "base/fixed.h"
#include "base/text.h"
#include "op/field.h"

#define TRIES 10
#define RATIO_MOST 1000.0
#define ONE_Q32 (INT64_C(1) << 32)

/* ---- parameters ---- */

static int check_size(struct geometry_params *p, struct opiml_error *err) {
    if (p->size.count != 1 && p->size.count != 2)
        return opiml_fail(err, OPIML_EINVAL,
                          "size: %u numbers; give [height, width], or one number", p->size.count);
    for (uint32_t i = 0; i < p->size.count; i++)
        if (p->size.at[i] < 1 || p->size.at[i] > GEOMETRY_OUT_MAX)
            return opiml_fail(err, OPIML_EINVAL, "size: %u is not 1 to %u pixels", p->size.at[i],
                              GEOMETRY_OUT_MAX);
    p->height = p->size.at[0];
    p->width = p->size.at[p->size.count - 1];
    return 0;
}

/* NaN fails every comparison. */
static int check_range(const struct opiml_f64_list *list, const char *name, double least,
                       double most, struct opiml_error *err) {
    if (list->count != 2)
        return opiml_fail(err, OPIML_EINVAL, "%s: %u number%s; give [least, most]", name,
                          list->count, text_s(list->count));
    if (!(list->at[0] >= least && list->at[0] <= list->at[1] && list->at[1] <= most))
        return opiml_fail(err, OPIML_EINVAL, "%s: [%g, %g] is no range within %g to %g", name,
                          list->at[0], list->at[1], least, most);
    return 0;
}

static int check_random(struct geometry_params *p, struct opiml_error *err) {
    int rc = check_range(&p->scale, "scale", 0x1p-30, 1, err);

    if (rc < 0 || (rc = check_range(&p->ratio, "ratio", 1 / RATIO_MOST, RATIO_MOST, err)) < 0)
        return rc;
    for (int i = 0; i < 2; i++) {
        p->scale_q32[i] = fixed_from_double(p->scale.at[i]);
        p->ratio_q32[i] = fixed_from_double(p->ratio.at[i]);
        p->log_ratio_q32[i] = fixed_log2_q32((uint64_t)p->ratio_q32[i]);
    }
    return 0;
}

static int check_resize(struct geometry_params *p, struct opiml_error *err) {
    uint32_t most = p->max_size;

    if (p->size.count == 2) {
        if (most)
            return opiml_fail(err, OPIML_EINVAL,
                              "max_size: goes with one number as `size`, not with [%u, %u]",
                              p->height, p->width);
        return 0;
    }
    if (most == 0)
        most = (uint32_t)base_min_u64(4 * (uint64_t)p->height, GEOMETRY_OUT_MAX);
    if (most < p->height || most > GEOMETRY_OUT_MAX)
        return opiml_fail(err, OPIML_EINVAL, "max_size: %u is not %u (size) to %u", most, p->height,
                          GEOMETRY_OUT_MAX);
    p->ragged = true;
    p->width = most; /* and either side may be the longer one */
    return 0;
}

int geometry_check(struct geometry_params *p, uint32_t kind, struct opiml_error *err) {
    int rc = check_size(p, err);

    p->kind = kind;
    p->ragged = false;
    if (rc < 0)
        return rc;
    switch (kind) {
    case GEOMETRY_RANDOM: return check_random(p, err);
    case GEOMETRY_RESIZE: return check_resize(p, err);
    }
    if (p->resize > GEOMETRY_OUT_MAX)
        return opiml_fail(err, OPIML_EINVAL, "resize: %u is more than %u pixels", p->resize,
                          GEOMETRY_OUT_MAX);
    return 0;
}

/* ---- boxes ---- */

/* A box of whole pixels, resized on its own: the filter sees nothing around it. */
static struct geometry_axis cut(uint32_t in, uint32_t from, uint32_t length, uint32_t out) {
    return (struct geometry_axis){.from = (uint64_t)from * GEOMETRY_UNIT,
                                  .length = (uint64_t)length * GEOMETRY_UNIT,
                                  .in = in,
                                  .low = from,
                                  .high = from + length,
                                  .out = out,
                                  .total = out};
}

/* a / b rounded to the nearest whole number, a half to the even one: Python's round. */
static uint32_t half_even(uint32_t a) {
    return a / 2 + (a & a / 2 & 1);
}

/* The middle `total` pixels of the image as it is when resized from `in` pixels to `resized`; where
 * that is smaller, the image stands in the middle. */
static struct geometry_axis middle(uint32_t in, uint32_t resized, uint32_t total) {
    struct geometry_axis axis = cut(in, 0, in, resized);
    uint64_t left, whole = (uint64_t)in * GEOMETRY_UNIT;

    axis.total = total;
    if (resized <= total) {
        axis.at = (total - resized) / 2;
        return axis;
    }
    left = half_even(resized - total);
    axis.from = (left * whole + resized / 2) / resized;
    axis.length = (total * whole + resized / 2) / resized;
    axis.length = base_max_u64(1, base_min_u64(axis.length, whole - axis.from));
    axis.out = total;
    if (resized == in) { /* exactly a crop: nothing else is worth decoding */
        axis.low = (uint32_t)left;
        axis.high = axis.low + total;
    }
    return axis;
}

/* The other side, when the shorter one becomes `size`. */
static uint32_t longer(uint32_t size, uint32_t in_short, uint32_t in_long) {
    return (uint32_t)base_max_u64((uint64_t)size * in_long / in_short, 1);
}

static void place_center(const struct geometry_params *p, uint32_t height, uint32_t width,
                         struct geometry *ret) {
    uint32_t resized_h = height, resized_w = width;

    if (p->resize && height <= width) {
        resized_h = p->resize;
        resized_w = longer(p->resize, height, width);
    } else if (p->resize) {
        resized_w = p->resize;
        resized_h = longer(p->resize, width, height);
    }
    ret->y = middle(height, resized_h, p->height);
    ret->x = middle(width, resized_w, p->width);
}

static void place_resize(const struct geometry_params *p, uint32_t height, uint32_t width,
                         struct geometry *ret) {
    uint32_t out_h = p->height, out_w = p->width;

    if (p->ragged) {
        uint32_t size = p->height, most = p->width;
        uint32_t in_short = height < width ? height : width;
        uint32_t in_long = height < width ? width : height;
        uint32_t out_long = longer(size, in_short, in_long);

        if (out_long > most) { /* as torchvision: the longer side is `most`, the shorter follows */
            size = (uint32_t)base_max_u64((uint64_t)most * size / out_long, 1);
            out_long = most;
        }
        out_h = height <= width ? size : out_long;
        out_w = height <= width ? out_long : size;
    }
    ret->y = cut(height, 0, height, out_h);
    ret->x = cut(width, 0, width, out_w);
}

/* Uniform between two numbers in Q32 at most 2^32 apart. */
static int64_t between(const int64_t range[2], uint32_t draw) {
    return range[0] + (int64_t)((unsigned __int128)(range[1] - range[0]) * draw >> 32);
}

/* The square root of a number in Q16, rounded. */
static uint64_t root_q16(unsigned __int128 x_q16) {
    return (fixed_sqrt_u64((uint64_t)x_q16) + 128) >> 8; /* the root is in Q8 */
}

/* Pixels × ratio, rounded. */
static uint32_t times(uint32_t pixels, int64_t ratio_q32) {
    return (
        uint32_t)(((unsigned __int128)pixels * (uint64_t)ratio_q32 + ((uint64_t)ONE_Q32 >> 1)) >>
                  32);
}
static uint32_t divided(uint32_t pixels, int64_t ratio_q32) {
    return (uint32_t)((((unsigned __int128)pixels << 32) + (uint64_t)ratio_q32 / 2) /
                      (uint64_t)ratio_q32);
}

/* No try fitted: the largest middle part whose ratio is allowed. */
static void place_fallback(const struct geometry_params *p, uint32_t height, uint32_t width,
                           struct geometry *ret) {
    unsigned __int128 wide = (unsigned __int128)width << 32;
    uint32_t h = height, w = width;

    if (wide < (unsigned __int128)height * (uint64_t)p->ratio_q32[0])
        h = divided(width, p->ratio_q32[0]);
    else if (wide > (unsigned __int128)height * (uint64_t)p->ratio_q32[1])
        w = times(height, p->ratio_q32[1]);
    h = (uint32_t)base_max_u64(1, base_min_u64(h, height));
    w = (uint32_t)base_max_u64(1, base_min_u64(w, width));
    ret->y = cut(height, (height - h) / 2, h, p->height);
    ret->x = cut(width, (width - w) / 2, w, p->width);
}

static void place_random(const struct geometry_params *p, uint32_t height, uint32_t width,
                         struct opiml_rng *rng, struct geometry *ret) {
    uint64_t area = (uint64_t)height * width;

    for (int i = 0; i < TRIES; i++) {
        int64_t scale = between(p->scale_q32, opiml_rng_u32(rng));
        int64_t log_ratio = between(p->log_ratio_q32, opiml_rng_u32(rng));
        uint32_t row = opiml_rng_u32(rng), column = opiml_rng_u32(rng);
        unsigned __int128 part_q16 = (unsigned __int128)area * (uint64_t)scale >> 16;
        uint64_t w = root_q16(part_q16 * (uint64_t)fixed_exp2_q32(log_ratio) >> 32);
        uint64_t h = root_q16(part_q16 * (uint64_t)fixed_exp2_q32(-log_ratio) >> 32);

        if (w < 1 || w > width || h < 1 || h > height)
            continue;
        row = (uint32_t)((uint64_t)row * (height - h + 1) >> 32);
        column = (uint32_t)((uint64_t)column * (width - w + 1) >> 32);
        ret->y = cut(height, row, (uint32_t)h, p->height);
        ret->x = cut(width, column, (uint32_t)w, p->width);
        return;
    }
    place_fallback(p, height, width, ret);
}

void geometry_place(const struct geometry_params *p, uint32_t height, uint32_t width,
                    struct opiml_rng *rng, struct geometry *ret) {
    switch (p->kind) {
    case GEOMETRY_RANDOM: place_random(p, height, width, rng, ret); break;
    case GEOMETRY_CENTER: place_center(p, height, width, ret); break;
    case GEOMETRY_RESIZE: place_resize(p, height, width, ret); break;
    }
}

uint32_t geometry_reduction(const struct geometry *geometry) {
    uint64_t y = (uint64_t)geometry->y.out * GEOMETRY_UNIT;
    uint64_t x = (uint64_t)geometry->x.out * GEOMETRY_UNIT;
    uint32_t by = 8;

    while (by > 1 && (geometry->y.length < by * y || geometry->x.length < by * x))
        by /= 2;
    return by;
}
