/* volume_pad: make a volume at least so large, or its sides multiples of a number. */
#include "base/base.h"
#include "op/volume.h"

struct params {
    struct volume_set set;
    struct volume_padding padding;
    struct opiml_u32_list least, multiple;
    /* derived */
    int64_t least_of[3], multiple_of[3];
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"least", "1", "Voxels that each side has at least: [depth, height, width], or one number",
     offsetof(struct params, least), OPIML_PARAM_U32_LIST, NULL, 1, VOLUME_SIDE_MAX},
    {"multiple", "1", "... and that it is a multiple of", offsetof(struct params, multiple),
     OPIML_PARAM_U32_LIST, NULL, 1, 4096},
    VOLUME_PADDING_PARAMS(struct params),
    {0},
};

static int64_t padded(const struct params *p, uint32_t d, int64_t side) {
    int64_t least = side < p->least_of[d] ? p->least_of[d] : side, m = p->multiple_of[d];

    return (least + m - 1) / m * m;
}

/* Where sides vary there is room for so many times the largest volume, and for the least one that
 * comes out: a volume that is long and thin may grow by more than anybody wants to keep room for.
 */
#define GROWTH_MAX 4

static uint64_t most_voxels(const struct params *p, uint64_t in) {
    uint64_t least = 1;

    for (uint32_t d = 0; d < 3; d++)
        least *= (uint64_t)padded(p, d, 1);
    return base_max_u64(GROWTH_MAX * in, least);
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3], size[3];
    int rc = volume_check(&p->set, in, side, err);

    for (uint32_t d = 0; d < 3; d++)
        p->least_of[d] = p->multiple_of[d] = 1;
    if (rc < 0 || (rc = volume_padding_check(&p->padding, &p->set, in, err)) < 0 ||
        (rc = volume_sides_check("least", &p->least, p->least_of, err)) < 0 ||
        (rc = volume_sides_check("multiple", &p->multiple, p->multiple_of, err)) < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++)
        size[d] = side[d] < 0 ? -1 : padded(p, d, side[d]);
    return volume_shape(&p->set, in, size, most_voxels(p, volume_most_voxels(&p->set, in)), shape,
                        err);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    int64_t from[3], at[3], size[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++) {
        size[d] = padded(p, d, from[d]);
        at[d] = -((size[d] - from[d]) / 2);
    }
    return volume_window(call, &p->set, &p->padding, from, at, size, err);
}

const struct opiml_op op_volume_pad = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "volume_pad",
    .help = "Pad a volume to at least a size, or to a multiple",
    .about =
        "Half of what is added, rounded down, comes before and the rest behind. `{least: 128, "
        "mode: "
        "edge}` is the last step of MLPerf's KiTS19 preprocessing. Volumes that differ in size may "
        "grow to four times the largest one; more makes the row a bad one.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
