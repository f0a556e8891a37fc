/* Crop and resize as the operators share it: which box, from which rows, to which pixels. */
#ifndef OP_CROP_H
#define OP_CROP_H

#include <opiml/op.h>

#include "op/codec.h"
#include "op/geometry.h"

enum crop_kind {
    CROP_RANDOM, /* random_resized_crop */
    CROP_CENTER, /* center_crop */
    CROP_RESIZE, /* resize: the whole image */
};

/* The three operators' parameters, and those of decode fused with one of them. */
struct crop_params {
    uint32_t kind; /* enum crop_kind */
    char field[OPIML_TEXT_MAX];
    struct opiml_u32_list size;
    uint32_t shorter; /* center_crop: first resize the shorter side to this; 0: no resizing */
    struct opiml_f64_list scale, ratio;
    struct geometry_random random; /* of scale and ratio */
};

#define CROP_ROWS_FIELD                                                                            \
    {"field", "image", "Field to work on", offsetof(struct crop_params, field), OPIML_PARAM_TEXT,   \
     NULL, 0, 0}
#define CROP_ROWS_SIZE                                                                             \
    {"size", NULL, "Height and width that come out (pixels); one number: both",                     \
     offsetof(struct crop_params, size), OPIML_PARAM_U32_LIST, NULL, 1, 16384}
#define CROP_ROWS_SHORTER                                                                          \
    {"resize", "0", "Resize the shorter side to this first (pixels); 0: cut without resizing",      \
     offsetof(struct crop_params, shorter), OPIML_PARAM_U32, NULL, 0, 65500}
#define CROP_ROWS_RANDOM                                                                           \
    {"scale", "[0.08, 1]", "Least and most share of the image's area",                              \
     offsetof(struct crop_params, scale), OPIML_PARAM_F64_LIST, NULL, 0, 1},                        \
    {"ratio", "[0.75, 1.3333333333333333]", "Least and most ratio of width to height",              \
     offsetof(struct crop_params, ratio), OPIML_PARAM_F64_LIST, NULL, 0, 100}

/* Check the parameters and derive what is derived. */
int crop_check(struct crop_params *params, struct opiml_error *err);
uint32_t crop_out_width(const struct crop_params *params);
uint32_t crop_out_height(const struct crop_params *params);
/* Scratch that crop_run needs for sources up to `side` pixels on each side. */
uint64_t crop_scratch_bytes(const struct crop_params *params, uint32_t side);

/* Where rows come from. `start` goes to a region (whole: the slow way); `row` gives its rows as codec_row
 * does. */
struct crop_source {
    uint32_t width, height;
    bool scales;
    int (*start)(void *context, const struct codec_region *region, bool whole,
                 struct opiml_error *err);
    int (*row)(void *context, const uint8_t **ret_row, struct opiml_error *err);
    void *context;
};
/* Choose the box (drawing from call->rng), read its rows and write out_h × out_w × channels to `to`.
 * `reference`: without regions and vector kernels. */
int crop_run(const struct crop_params *params, const struct crop_source *source, uint32_t channels,
             struct opiml_op_call *call, uint64_t scratch_bytes, uint8_t *to, bool reference,
             struct opiml_error *err);

/* run and reference of the operators on decoded images ([H, W, C] of u8). */
int crop_image_check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                     struct opiml_error *err);
int crop_image_run(struct opiml_op_call *call, struct opiml_error *err);
int crop_image_reference(struct opiml_op_call *call, struct opiml_error *err);

#endif
