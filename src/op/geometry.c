/* Boxes. */
#include "op/geometry.h"

#include "base/base.h"
#include "base/fixed.h"

#define ONE_Q32 (INT64_C(1) << 32)

static int read_pair(const char *name, const struct opiml_f64_list *list, double least, double most,
                     int64_t to[2], struct opiml_error *err) {
    if (list->count != 2 || !(list->at[0] >= least) || !(list->at[1] <= most) ||
        list->at[0] > list->at[1])
        return opiml_fail(err, OPIML_EINVAL, "%s: two numbers from %g to %g, the lesser first", name,
                          least, most);
    to[0] = fixed_from_double(list->at[0]);
    to[1] = fixed_from_double(list->at[1]);
    return 0;
}

int geometry_random_init(struct geometry_random *random, const struct opiml_f64_list *scale,
                         const struct opiml_f64_list *ratio, struct opiml_error *err) {
    int rc;

    if ((rc = read_pair("scale", scale, 1e-6, 1, random->scale_q32, err)) < 0 ||
        (rc = read_pair("ratio", ratio, 0.01, 100, random->ratio_q32, err)) < 0)
        return rc;
    for (int i = 0; i < 2; i++)
        random->log_ratio_q32[i] = fixed_log2_q32((uint64_t)random->ratio_q32[i]);
    return 0;
}

static int64_t between(const int64_t range[2], uint32_t draw) {
    return range[0] + (int64_t)(((unsigned __int128)(uint64_t)(range[1] - range[0]) * draw) >> 32);
}

/* round(sqrt(area × share × ratio)), all products in Q24: the area is below 2^32, the ratio below 2^7. */
static uint64_t side(uint64_t area, int64_t share_q32, int64_t ratio_q32) {
    unsigned __int128 share_of_area = (unsigned __int128)area * (uint64_t)share_q32; /* Q32 */
    uint64_t square_q24 =
        (uint64_t)(((share_of_area >> 8) * (unsigned __int128)(uint64_t)ratio_q32) >> 32);

    return (fixed_sqrt_u64(square_q24) + (1 << 11)) >> 12; /* the root of Q24 is Q12 */
}

static struct geometry_box whole_pixels(uint64_t x, uint64_t y, uint64_t width, uint64_t height) {
    return (struct geometry_box){8 * x, 8 * y, 8 * width, 8 * height};
}

static struct geometry_box fallback(const struct geometry_random *random, uint32_t width,
                                    uint32_t height) {
    uint64_t w = width, h = height;
    int64_t ratio_q32 = (int64_t)(((uint64_t)width << 32) / height);

    if (ratio_q32 < random->ratio_q32[0])
        h = (((uint64_t)width << 32) + (uint64_t)random->ratio_q32[0] / 2) /
            (uint64_t)random->ratio_q32[0];
    else if (ratio_q32 > random->ratio_q32[1])
        w = (uint64_t)(((unsigned __int128)h * (uint64_t)random->ratio_q32[1] + ONE_Q32 / 2) >> 32);
    w = base_max_u64(1, base_min_u64(w, width));
    h = base_max_u64(1, base_min_u64(h, height));
    return whole_pixels((width - w) / 2, (height - h) / 2, w, h);
}

struct geometry_box geometry_random_box(const struct geometry_random *random, uint32_t width,
                                        uint32_t height, struct opiml_rng *rng) {
    uint64_t area = (uint64_t)width * height;

    for (int attempt = 0; attempt < 10; attempt++) {
        int64_t share = between(random->scale_q32, opiml_rng_u32(rng));
        int64_t log_ratio = between(random->log_ratio_q32, opiml_rng_u32(rng));
        uint64_t w = side(area, share, fixed_exp2_q32(log_ratio));
        uint64_t h = side(area, share, fixed_exp2_q32(-log_ratio));

        if (w > 0 && w <= width && h > 0 && h <= height) {
            uint64_t x = ((uint64_t)opiml_rng_u32(rng) * (width - w + 1)) >> 32;
            uint64_t y = ((uint64_t)opiml_rng_u32(rng) * (height - h + 1)) >> 32;

            return whole_pixels(x, y, w, h);
        }
    }
    return fallback(random, width, height);
}

struct geometry_box geometry_center_box(uint32_t width, uint32_t height, uint32_t out_w,
                                        uint32_t out_h, uint32_t shorter) {
    uint64_t side8 = 8 * (uint64_t)(width < height ? width : height);
    uint64_t w = base_max_u64(8, (out_w * side8 + shorter / 2) / shorter);
    uint64_t h = base_max_u64(8, (out_h * side8 + shorter / 2) / shorter);

    w = base_min_u64(w, 8 * (uint64_t)width);
    h = base_min_u64(h, 8 * (uint64_t)height);
    return (struct geometry_box){(8 * (uint64_t)width - w) / 2, (8 * (uint64_t)height - h) / 2, w,
                                 h};
}

uint32_t geometry_reduction(const struct geometry_box *box, uint32_t out_w, uint32_t out_h) {
    uint32_t by = 1;

    while (by < 8 && box->width >= 16 * (uint64_t)by * out_w &&
           box->height >= 16 * (uint64_t)by * out_h)
        by *= 2;
    return by;
}
