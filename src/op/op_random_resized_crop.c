/* random_resized_crop: Cut a random box and resize it. */
#include "op/crop.h"

static const struct opiml_param random_resized_crop_params[] = {CROP_ROWS_SIZE, CROP_ROWS_RANDOM, CROP_ROWS_FIELD, {0},};

static int random_resized_crop_check(void *pointer, const struct opiml_schema *in, struct opiml_op_shape *shape,
    struct opiml_error *err) {
    struct crop_params *params = pointer;

    params->kind = CROP_RANDOM;
    return crop_image_check(params, in, shape, err);
}

const struct opiml_op op_random_resized_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "random_resized_crop",
    .help = "Cut a random box and resize it",
    .params = random_resized_crop_params,
    .params_bytes = sizeof(struct crop_params),
    .check = random_resized_crop_check,
    .run = crop_image_run,
    .reference = crop_image_reference,
};
