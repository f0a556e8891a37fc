/* volume_center_crop: the middle of a volume, padded where it is smaller. */
#include "base/base.h"
#include "op/volume.h"

struct params {
    struct volume_set set;
    struct volume_padding padding;
    struct opiml_u32_list size;
    /* derived */
    int64_t side[3];
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"size", NULL, "Voxels of the result: [depth, height, width], or one number for all",
     offsetof(struct params, size), OPIML_PARAM_U32_LIST, NULL, 1, VOLUME_SIDE_MAX},
    VOLUME_PADDING_PARAMS(struct params),
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3];
    int rc = volume_check(&p->set, in, side, err);

    if (rc < 0 || (rc = volume_padding_check(&p->padding, &p->set, in, err)) < 0)
        return rc;
    if (p->size.count == 0)
        return opiml_fail(err, OPIML_EINVAL, "size: the list is empty");
    if ((rc = volume_sides_check("size", &p->size, p->side, err)) < 0)
        return rc;
    volume_planes(&p->set, in, p->side[0], shape);
    return volume_shape(&p->set, in, p->side, 0, shape, err);
}

/* C rounds towards 0: less is added before. */
static int64_t middle(int64_t from, int64_t side) {
    return (from - side) / 2;
}

static int64_t window(struct opiml_op_call *call, uint32_t field) {
    const struct params *p = call->params;

    return middle(call->in[field].shape[0], p->side[0]);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    int64_t from[3], at[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++)
        at[d] = middle(from[d], p->side[d]);
    return volume_window(call, &p->set, &p->padding, from, at, p->side, err);
}

const struct opiml_op op_volume_center_crop = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "volume_center_crop",
    .help = "Cut or pad a volume to a size around its middle",
    .about = "Where an odd number of voxels goes or comes, the larger half is behind.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
    .window = window,
};
