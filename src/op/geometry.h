/* Where crops lie: boxes in a source image, in fixed point, the same on every machine. */
#ifndef OP_GEOMETRY_H
#define OP_GEOMETRY_H

#include <opiml/op.h>

/* In eighths of a pixel, so that a box of whole pixels stays exact in an image scaled by 1/2, 1/4, 1/8. */
struct geometry_box {
    uint64_t x, y, width, height;
};

/* The random box of Szegedy et al., "Going deeper with convolutions" (2015), as torchvision's
 * RandomResizedCrop draws it: a share of the area, a ratio of width to height whose logarithm is uniform,
 * ten tries, then the largest central box of a permitted ratio. Whole pixels. */
struct geometry_random {
    int64_t scale_q32[2];     /* least and most share of the area */
    int64_t log_ratio_q32[2]; /* logarithms to base 2 of the least and the most ratio */
    int64_t ratio_q32[2];
};
/* 0 < scale ≤ 1, 1/100 ≤ ratio ≤ 100, in order; else OPIML_EINVAL naming the parameter. */
int geometry_random_init(struct geometry_random *random, const struct opiml_f64_list *scale,
                         const struct opiml_f64_list *ratio, struct opiml_error *err);
struct geometry_box geometry_random_box(const struct geometry_random *random, uint32_t width,
                                        uint32_t height, struct opiml_rng *rng);
/* The central box that becomes out_w × out_h once the shorter side is resized to `shorter` (at least the
 * longer of out_w and out_h). */
struct geometry_box geometry_center_box(uint32_t width, uint32_t height, uint32_t out_w,
                                        uint32_t out_h, uint32_t shorter);
/* The largest of 1, 2, 4, 8 by which the box may be reduced without falling below out_w × out_h. */
uint32_t geometry_reduction(const struct geometry_box *box, uint32_t out_w, uint32_t out_h);

#endif
