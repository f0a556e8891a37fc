/* volume_random_rotate90: turn a volume by right angles with a given probability. */
#include "base/base.h"
#include "op/field.h"
#include "op/volume.h"

struct params {
    struct volume_set set;
    struct opiml_text_list axes;
    double p;
    /* derived */
    bool may[3];
    uint32_t count, at[3]; /* the axes that may be turned around */
};

static const struct opiml_param rows[] = {
    VOLUME_FIELDS_PARAM(struct params),
    VOLUME_AFFINE_PARAM(struct params),
    {"p", "0.5", "Probability of a turn", offsetof(struct params, p), OPIML_PARAM_F64, NULL, 0, 1},
    {"axes", "[z]", "Axes around which it may be turned, one at a time",
     offsetof(struct params, axes), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {0},
};

/* The two axes that a turn around `d` exchanges. */
static void plane_of(uint32_t d, uint32_t plane[2]) {
    plane[0] = d == 0 ? 1 : 0;
    plane[1] = d == 2 ? 1 : 2;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int64_t side[3];
    int rc = volume_check(&p->set, in, side, err);

    if (rc < 0 || (rc = volume_axes_check("axes", &p->axes, p->may, err)) < 0)
        return rc;
    if (!(p->p >= 0 && p->p <= 1))
        return opiml_fail(err, OPIML_EINVAL, "p: a probability is 0 to 1");
    p->count = 0;
    for (uint32_t d = 0; d < 3; d++) {
        uint32_t plane[2];

        if (!p->may[d])
            continue;
        plane_of(d, plane);
        if (side[plane[0]] < 0 || side[plane[0]] != side[plane[1]])
            return opiml_fail(err, OPIML_EINVAL,
                              "axes: around %c, %c and %c change places, so that they must have "
                              "one length, the same in every row; crop to it before",
                              "zyx"[d], "zyx"[plane[0]], "zyx"[plane[1]]);
        p->at[p->count++] = d;
    }
    return volume_shape(&p->set, in, side, 0, shape, err);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    struct volume_turn turn = {.axis = {0, 1, 2}};
    int64_t from[3];
    uint32_t plane[2], quarters;
    int rc = volume_size(call, &p->set, from, err);

    if (rc < 0)
        return rc;
    quarters = opiml_rng_chance(&call->rng, p->p) ? 1 : 0;
    plane_of(p->at[op_draw_below(&call->rng, p->count)], plane);
    quarters *= 1 + op_draw_below(&call->rng, 3);
    if (quarters & 1) {
        turn.axis[plane[0]] = plane[1];
        turn.axis[plane[1]] = plane[0];
    }
    /* A quarter takes the first axis to the second: out[i][j] = in[j][n - 1 - i]. */
    turn.back[plane[0]] = quarters == 1 || quarters == 2;
    turn.back[plane[1]] = quarters == 2 || quarters == 3;
    return volume_turn(call, &p->set, from, &turn, err);
}

const struct opiml_op op_volume_random_rotate90 = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM,
    .name = "volume_random_rotate90",
    .help = "Turn a volume by right angles with a given probability",
    .about =
        "One, two or three quarters, all equally likely, as NumPy's rot90 over the two other axes "
        "in their order. Three draws in every case: whether, around which axis, how far.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
