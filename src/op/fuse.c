/* Which pairs are one. */
#include "op/fuse.h"

#include "base/base.h"
#include "op/crop.h"
#include "op/decode.h"

extern const struct opiml_op op_decode, op_random_resized_crop, op_center_crop, op_resize;
extern const struct opiml_op op_decode_crop, op_decode_center_crop, op_decode_resize;

static const struct {
    const struct opiml_op *second, *fused;
} pairs[] = {
    {&op_random_resized_crop, &op_decode_crop},
    {&op_center_crop, &op_decode_center_crop},
    {&op_resize, &op_decode_resize},
};

int op_fuse(const struct opiml_op *a, const void *a_params, const struct opiml_op *b,
            const void *b_params, const struct opiml_op **ret_op, void **ret_params,
            struct opiml_error *err) {
    const struct decode_params *decode = a_params;
    const struct crop_params *crop = b_params;
    struct crop_params *params;

    for (size_t i = 0; a == &op_decode && i < COUNT_OF(pairs); i++) {
        if (b != pairs[i].second || strcmp(decode->field, crop->field) != 0)
            continue;
        params = base_alloc(sizeof(*params));
        if (!params)
            return base_fail_memory(err, sizeof(*params), "an operator's parameters");
        *params = *crop;
        params->max_pixels = decode->max_pixels;
        *ret_op = pairs[i].fused;
        *ret_params = params;
        return 1;
    }
    return 0;
}
