/* center_crop: Cut the middle out, after resizing the shorter side if told to. */
#include "op/crop.h"

static const struct opiml_param center_crop_params[] = {CROP_ROWS_SIZE, CROP_ROWS_SHORTER, CROP_ROWS_FIELD, {0},};

static int center_crop_check(void *pointer, const struct opiml_schema *in, struct opiml_op_shape *shape,
    struct opiml_error *err) {
    struct crop_params *params = pointer;

    params->kind = CROP_CENTER;
    return crop_image_check(params, in, shape, err);
}

const struct opiml_op op_center_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "center_crop",
    .help = "Cut the middle out, after resizing the shorter side if told to",
    .params = center_crop_params,
    .params_bytes = sizeof(struct crop_params),
    .check = center_crop_check,
    .run = crop_image_run,
    .reference = crop_image_reference,
};
