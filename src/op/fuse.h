/* Fusion: pairs of operators that are defined as one. It happens when a pipeline file is parsed, so that
 * the arithmetic never depends on where the pipeline is cut later. */
#ifndef OP_FUSE_H
#define OP_FUSE_H

#include "op/crop.h"

struct decode_params {
    char field[OPIML_TEXT_MAX];
    uint64_t max_pixels;
};

#define FUSE_ROWS_DECODE(type)                                                                     \
    {"field", "image", "Field that holds the encoded image", offsetof(type, field),                 \
     OPIML_PARAM_TEXT, NULL, 0, 0},                                                                 \
    {"max_pixels", "16777216", "Larger images are bad records (pixels)",                            \
     offsetof(type, max_pixels), OPIML_PARAM_U64, NULL, 1, 4290250000.0}

struct decode_crop_params {
    struct crop_params crop; /* its field is the decoder's too */
    uint64_t max_pixels;
};

/* The field of an encoded image, or OPIML_EINVAL. */
int decode_check_input(const char *name, const struct opiml_schema *in, uint32_t *ret_field,
                       struct opiml_error *err);

/* 1 when a, then b, are one operator: *ret_op and its parameters, which are the caller's. 0 when not. */
int op_fuse(const struct opiml_op *a, const void *a_params, const struct opiml_op *b,
            const void *b_params, const struct opiml_op **ret_op, void **ret_params,
            struct opiml_error *err);

#endif
