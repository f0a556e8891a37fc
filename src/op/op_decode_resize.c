/* decode_resize: decode and resize as one. */
#include "op/codec.h"
#include "op/crop.h"

static const struct opiml_param rows[] = {
    CROP_ROW_FIELD,
    CROP_ROW_PIXELS,
    CROP_ROWS_RESIZE,
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    return crop_decode_check(params, GEOMETRY_RESIZE, in, shape, err);
}

const struct opiml_op op_decode_resize = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "decode_resize",
    .help = "Decode a picture at another size",
    .about = "What `decode` becomes right before `resize`: JPEG is decoded at a half, a quarter or "
             "an eighth of the size where that is still no smaller than the result.",
    .params = rows,
    .params_bytes = sizeof(struct crop_params),
    .check = check,
    .open = crop_decode_open,
    .close = crop_decode_close,
    .run = crop_decode_run,
    .reference = crop_decode_reference,
    .codec_id = codec_id,
};
