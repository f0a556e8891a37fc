/* Fusion. */
#include "op/fuse.h"

extern const struct opiml_op op_decode, op_decode_crop, op_random_resized_crop, op_center_crop,
    op_resize;

int op_fuse(const struct opiml_op *a, const void *a_params, const struct opiml_op *b,
            const void *b_params, const struct opiml_op **ret_op, void **ret_params,
            struct opiml_error *err) {
    const struct decode_params *decode = a_params;
    const struct crop_params *crop = b_params;
    struct decode_crop_params *both;

    if (a != &op_decode ||
        (b != &op_random_resized_crop && b != &op_center_crop && b != &op_resize) ||
        strcmp(decode->field, crop->field) != 0)
        return 0;
    both = base_alloc(sizeof(*both));
    if (!both)
        return base_fail_memory(err, sizeof(*both), "an operator's parameters");
    both->crop = *crop;
    both->crop.kind = b == &op_random_resized_crop ? CROP_RANDOM
                      : b == &op_center_crop       ? CROP_CENTER
                                                   : CROP_RESIZE;
    both->max_pixels = decode->max_pixels;
    *ret_op = &op_decode_crop;
    *ret_params = both;
    return 1;
}
