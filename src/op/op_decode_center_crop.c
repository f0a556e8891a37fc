/* decode_center_crop: decode and center_crop as one. */
#include "op/codec.h"
#include "op/crop.h"

static const struct opiml_param rows[] = {
    CROP_ROW_FIELD,
    CROP_ROW_PIXELS,
    CROP_ROWS_CENTER,
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    return crop_decode_check(params, GEOMETRY_CENTER, in, shape, err);
}

const struct opiml_op op_decode_center_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "decode_center_crop",
    .help = "Decode the middle of a picture",
    .about =
        "What `decode` becomes right before `center_crop`: only the middle is decoded, and JPEG at "
        "a half, a quarter or an eighth of the size where it is still no smaller than the result.",
    .params = rows,
    .params_bytes = sizeof(struct crop_params),
    .check = check,
    .open = crop_decode_open,
    .close = crop_decode_close,
    .run = crop_decode_run,
    .reference = crop_decode_reference,
    .codec_id = codec_id,
};
