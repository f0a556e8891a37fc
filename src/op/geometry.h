/* Which part of an image becomes which part of the output: the arithmetic of the crop and resize
 * operators, all in integers. The rules are torchvision's. */
#ifndef OP_GEOMETRY_H
#define OP_GEOMETRY_H

#include <opiml/op.h>

#define GEOMETRY_UNIT 256       /* boxes are in 1/256 pixels */
#define GEOMETRY_SIDE_MAX 65535 /* pixels of an image */
#define GEOMETRY_OUT_MAX 16384  /* pixels of an output */

enum geometry_kind {
    GEOMETRY_RANDOM, /* random_resized_crop */
    GEOMETRY_CENTER, /* center_crop */
    GEOMETRY_RESIZE, /* resize */
};

/* The parameters of all kinds; each looks at its own. */
struct geometry_params {
    struct opiml_u32_list size;
    struct opiml_f64_list scale, ratio; /* random */
    uint32_t resize;                    /* center */
    uint32_t max_size;                  /* resize to one number */
    /* derived by geometry_check */
    uint32_t kind;
    bool ragged;            /* the output's size depends on the image */
    uint32_t height, width; /* of the output; ragged: at most */
    int64_t scale_q32[2], log_ratio_q32[2], ratio_q32[2];
};

/* Output pixels [at, at + out) of `total` show the box [from, from + length) of `in` image pixels;
 * the others are zero. The filter sees image pixels [low, high). */
struct geometry_axis {
    uint64_t from, length; /* in 1/256 pixels */
    uint32_t in, low, high;
    uint32_t at, out, total;
};

struct geometry {
    struct geometry_axis y, x;
};

/* Check the parameters and derive the rest. OPIML_EINVAL names the parameter. */
int geometry_check(struct geometry_params *params, uint32_t kind, struct opiml_error *err);
/* Place the box in an image of 1 to 65535 pixels a side. Random boxes take four draws for each of
 * up to ten tries (scale, ratio, row, column), the others none. */
void geometry_place(const struct geometry_params *params, uint32_t height, uint32_t width,
                    struct opiml_rng *rng, struct geometry *ret);
/* The largest of 1, 2, 4, 8 that the image can be reduced by so that the box is still no smaller
 * than its output on either axis. */
uint32_t geometry_reduction(const struct geometry *geometry);

#endif
