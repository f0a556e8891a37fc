/* volume_random_flip: mirror a volume along each axis with a given probability. */
#include "base/base.h"
#include "op/volume.h"

struct params {
    struct volume_set set;
    struct opiml_text_list axes;
    double p;
    /* derived */
    bool may[3];
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"p", "0.5", "Probability of a flip, for each axis on its own", offsetof(struct params, p),
     OPIML_PARAM_F64, NULL, 0, 1},
    {"axes", "[z, y, x]", "Axes along which it may be mirrored", offsetof(struct params, axes),
     OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3];
    int rc = volume_check(&p->set, in, side, err);

    if (rc < 0 || (rc = volume_axes_check("axes", &p->axes, p->may, err)) < 0)
        return rc;
    if (!(p->p >= 0 && p->p <= 1))
        return opiml_fail(err, OPIML_EINVAL, "p: a probability is 0 to 1");
    return volume_shape(&p->set, in, side, volume_most_voxels(&p->set, in), shape, err);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct volume_turn turn = {.axis = {0, 1, 2}};
    int64_t from[3];
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0)
        return rc;
    for (uint32_t d = 0; d < 3; d++) /* a draw for each axis in any case */
        turn.back[d] = opiml_rng_chance(&call->rng, p->p) && p->may[d];
    return volume_turn(call, &p->set, from, &turn, err);
}

const struct opiml_op op_volume_random_flip = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM,
    .name = "volume_random_flip",
    .help = "Mirror a volume along its axes with a given probability",
    .about = "Three draws in every case: z, y, x. `p: 0.3333` is MLPerf's U-Net3D.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
