/* random_resized_crop: a random part of the image, resized. */
#include "op/crop.h"

static const struct opiml_param rows[] = {
    CROP_ROW_FIELD,

    CROP_ROWS_RANDOM,
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    return crop_check(params, GEOMETRY_RANDOM, in, shape, err);
}

const struct opiml_op op_random_resized_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "random_resized_crop",
    .help = "Cut a random part of random shape and resize it",
    .about = "torchvision's RandomResizedCrop in fixed point: up to ten tries for a part that "
             "fits, else the largest middle one. Four draws for each try. Antialiased bilinear "
             "resize, as Pillow's.",
    .params = rows,
    .params_bytes = sizeof(struct crop_params),
    .check = check,
    .run = crop_run,
    .reference = crop_reference,
};
