/* resize: another size. */
#include "op/crop.h"

static const struct opiml_param rows[] = {
    CROP_ROW_FIELD,

    CROP_ROWS_RESIZE,
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    return crop_check(params, GEOMETRY_RESIZE, in, shape, err);
}

const struct opiml_op op_resize = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "resize",
    .help = "Resize an image",
    .about = "Antialiased bilinear, as Pillow's, in fixed point.",
    .params = rows,
    .params_bytes = sizeof(struct crop_params),
    .check = check,
    .run = crop_run,
    .reference = crop_reference,
};
