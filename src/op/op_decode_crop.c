/* decode_crop: decode and random_resized_crop as one. */
#include "op/codec.h"
#include "op/crop.h"

static const struct opiml_param rows[] = {
    CROP_ROW_FIELD,
    CROP_ROW_PIXELS,
    CROP_ROWS_RANDOM,
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    return crop_decode_check(params, GEOMETRY_RANDOM, in, shape, err);
}

const struct opiml_op op_decode_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_INTEGER,
    .name = "decode_crop",
    .help = "Decode a random part of a picture and resize it",
    .about = "What `decode` becomes right before `random_resized_crop`: only that part is decoded, "
             "and JPEG at a half, a quarter or an eighth of the size where the crop is still no "
             "smaller than the result.",
    .params = rows,
    .params_bytes = sizeof(struct crop_params),
    .check = check,
    .open = crop_decode_open,
    .close = crop_decode_close,
    .run = crop_decode_run,
    .reference = crop_decode_reference,
    .codec_id = codec_id,
};
