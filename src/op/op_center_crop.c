/* center_crop: the middle of the image. */
#include "op/crop.h"

static const struct opiml_param rows[] = {
    CROP_ROW_FIELD,

    CROP_ROWS_CENTER,
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    return crop_check(params, GEOMETRY_CENTER, in, shape, err);
}

const struct opiml_op op_center_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "center_crop",
    .help = "Cut the middle out, of the image as it is or resized first",
    .about = "`{size: 224, resize: 256}` is the usual evaluation of ImageNet. Where the image is "
             "smaller than the crop it is surrounded by zeros.",
    .params = rows,
    .params_bytes = sizeof(struct crop_params),
    .check = check,
    .run = crop_run,
    .reference = crop_reference,
};
