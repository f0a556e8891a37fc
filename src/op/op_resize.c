/* resize: Resize the whole image. */
#include "op/crop.h"

static const struct opiml_param resize_params[] = {CROP_ROWS_SIZE, CROP_ROWS_FIELD, {0},};

static int resize_check(void *pointer, const struct opiml_schema *in, struct opiml_op_shape *shape,
    struct opiml_error *err) {
    struct crop_params *params = pointer;

    params->kind = CROP_RESIZE;
    return crop_image_check(params, in, shape, err);
}

const struct opiml_op op_resize = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "resize",
    .help = "Resize the whole image",
    .params = resize_params,
    .params_bytes = sizeof(struct crop_params),
    .check = resize_check,
    .run = crop_image_run,
    .reference = crop_image_reference,
};
