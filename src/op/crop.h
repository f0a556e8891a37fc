/* What the crop and resize operators share, decoding included: each operator is a table of
 * parameters over these functions. */
#ifndef OP_CROP_H
#define OP_CROP_H

#include <opiml/op.h>

#include "op/field.h"
#include "op/geometry.h"

/* 4096 × 4096 pixels: 48 MiB decoded, which every worker keeps room for where whole pictures are
 * decoded. */
#define CROP_PIXELS_MAX "16777216"

struct crop_params {
    char field[OPIML_TEXT_MAX];
    uint64_t max_pixels; /* operators that decode */
    struct geometry_params box;
    /* derived */
    uint32_t index, channels;
};

/* Rows of the operators' tables. */
/* clang-format off */
#define CROP_ROW_FIELD OP_FIELD_PARAM(struct crop_params, "image")
#define CROP_ROW_SIZE(help)                                                                        \
    {"size", NULL, help, offsetof(struct crop_params, box.size), OPIML_PARAM_U32_LIST, NULL, 1,    \
     GEOMETRY_OUT_MAX}
#define CROP_ROW_PIXELS                                                                            \
    {"max_pixels", CROP_PIXELS_MAX, "Largest picture to decode, in pixels (height × width)",       \
     offsetof(struct crop_params, max_pixels), OPIML_PARAM_U64, NULL, 1, 4290250000.0}
#define CROP_ROWS_RANDOM                                                                           \
    CROP_ROW_SIZE("Pixels of the result: [height, width], or one number for both"),                \
    {"scale", "[0.08, 1]", "Least and most share of the image's area that the crop has",           \
     offsetof(struct crop_params, box.scale), OPIML_PARAM_F64_LIST, NULL, 0, 1},                   \
    {"ratio", "[0.75, 1.3333333333333333]", "Least and most width ÷ height of the crop",           \
     offsetof(struct crop_params, box.ratio), OPIML_PARAM_F64_LIST, NULL, 0, 1000}
#define CROP_ROWS_CENTER                                                                           \
    CROP_ROW_SIZE("Pixels of the result: [height, width], or one number for both"),                \
    {"resize", "0", "Pixels that the image's shorter side is resized to first; 0: not resized",    \
     offsetof(struct crop_params, box.resize), OPIML_PARAM_U32, NULL, 0, GEOMETRY_OUT_MAX}
#define CROP_ROWS_RESIZE                                                                           \
    CROP_ROW_SIZE("Pixels of the result: [height, width]; or one number for the shorter side, "    \
                  "the longer one in proportion"),                                                 \
    {"max_size", "0",                                                                              \
     "With one number as `size`: most pixels of the longer side, where the shorter one follows; "  \
     "0: four times `size`",                                                                       \
     offsetof(struct crop_params, box.max_size), OPIML_PARAM_U32, NULL, 0, GEOMETRY_OUT_MAX}
/* clang-format on */

/* Operators on decoded images: [height, width, 1 to 4] of u8. */
int crop_check(struct crop_params *params, uint32_t kind, const struct opiml_schema *in,
               struct opiml_op_shape *shape, struct opiml_error *err);
int crop_run(struct opiml_op_call *call, struct opiml_error *err);
int crop_reference(struct opiml_op_call *call, struct opiml_error *err);

/* Operators on encoded ones: [-1] of u8. The worker's state is a codec. */
int crop_decode_check(struct crop_params *params, uint32_t kind, const struct opiml_schema *in,
                      struct opiml_op_shape *shape, struct opiml_error *err);
int crop_decode_open(const void *params, const struct opiml_op_shape *shape, void **ret_state,
                     struct opiml_error *err);
void crop_decode_close(void *state);
int crop_decode_run(struct opiml_op_call *call, struct opiml_error *err);
int crop_decode_reference(struct opiml_op_call *call, struct opiml_error *err);

/* Find the field of encoded bytes. */
int crop_encoded_field(const struct opiml_schema *in, const char *name, uint32_t *ret_index,
                       struct opiml_error *err);
/* Open the picture in `value`, check its size and charge for what decoding it takes. */
struct codec;
struct codec_picture;
int crop_open_picture(struct opiml_op_call *call, struct codec *codec,
                      const struct opiml_value *value, const char *field, uint64_t max_pixels,
                      struct codec_picture *ret, struct opiml_error *err);

#endif
