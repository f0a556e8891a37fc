/* gaussian_noise: add normal noise to the numbers of a field. */
#include "base/base.h"
#include "base/rng.h"
#include "op/field.h"
#include "op/half.h"
#include "op/normal.h"
#include "op/numbers.h"

struct params {
    char field[OPIML_TEXT_MAX];
    double p, mean;
    struct opiml_f64_list std;
    /* derived */
    uint32_t index;
    double std_range[2];
    struct normal_table normal;
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"p", "0.5", "Probability of noise", offsetof(struct params, p), OPIML_PARAM_F64, NULL, 0, 1},
    {"mean", "0", "Mean of the noise", offsetof(struct params, mean), OPIML_PARAM_F64, NULL, -1e6,
     1e6},
    {"std", "0.1", "Its standard deviation, or the least and the most that is drawn for the row",
     offsetof(struct params, std), OPIML_PARAM_F64_LIST, NULL, 0, 1e6},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int rc = numbers_range("std", &p->std, p->std_range, err);

    if (rc < 0)
        return rc;
    if (!(p->p >= 0 && p->p <= 1))
        return opiml_fail(err, OPIML_EINVAL, "p: a probability is 0 to 1");
    if ((rc = numbers_check(p->field, in, shape, &p->index, err)) == 0)
        normal_table_init(&p->normal);
    return rc;
}

static void add_noise(struct opiml_op_call *call, float std, size_t n, float *x) {
    const struct params *p = call->params;
    uint32_t draws[NUMBERS_CHUNK];
    float z[NUMBERS_CHUNK], mean = (float)p->mean;

    rng_fill(&call->rng, draws, n);
    normal_deviates(&p->normal, draws, n, z);
    for (size_t i = 0; i < n; i++) {
        float noise = z[i] * std;

        x[i] += noise + mean;
    }
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    uint32_t dtype = call->in_schema->fields[p->index].dtype;
    const uint8_t *from = call->in[p->index].data;
    float *to = (float *)(void *)call->out[p->index].data;
    size_t each = opiml_dtype_bytes(dtype), count = numbers_begin(call, p->index);
    bool noisy = opiml_rng_chance(&call->rng, p->p);
    float std = numbers_draw(&call->rng, p->std_range);

    (void)err;
    for (size_t at = 0; at < count; at += NUMBERS_CHUNK) {
        size_t n = base_min_u64(NUMBERS_CHUNK, count - at);
        float x[NUMBERS_CHUNK];

        numbers_load(dtype, from + at * each, n, x);
        if (noisy)
            add_noise(call, std, n, x);
        for (size_t i = 0; i < n; i++)
            to[at + i] = half_clean_nan(x[i]);
    }
    return 0;
}

const struct opiml_op op_gaussian_noise = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM,
    .name = "gaussian_noise",
    .help = "Add normal noise to the numbers of a field",
    .about = "The result is f32. Two draws, whether and the standard deviation, then one for each "
             "number. `{p: 0.1, std: [0, 0.1]}` is MLPerf's U-Net3D.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
