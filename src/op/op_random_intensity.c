/* random_intensity: scale and shift the numbers of a field at random. */
#include "base/base.h"
#include "op/field.h"
#include "op/half.h"
#include "op/numbers.h"

struct params {
    char field[OPIML_TEXT_MAX];
    double p;
    struct opiml_f64_list scale, shift;
    /* derived */
    uint32_t index;
    double scale_range[2], shift_range[2];
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"p", "0.5", "Probability of a change", offsetof(struct params, p), OPIML_PARAM_F64, NULL, 0,
     1},
    {"scale", "[1, 1]", "Least and most that all numbers are multiplied by",
     offsetof(struct params, scale), OPIML_PARAM_F64_LIST, NULL, -1e6, 1e6},
    {"shift", "[0, 0]", "Least and most that is added to them then", offsetof(struct params, shift),
     OPIML_PARAM_F64_LIST, NULL, -1e6, 1e6},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int rc = numbers_range("scale", &p->scale, p->scale_range, err);

    if (rc < 0 || (rc = numbers_range("shift", &p->shift, p->shift_range, err)) < 0)
        return rc;
    if (!(p->p >= 0 && p->p <= 1))
        return opiml_fail(err, OPIML_EINVAL, "p: a probability is 0 to 1");
    return numbers_check(p->field, in, shape, &p->index, err);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    uint32_t dtype = call->in_schema->fields[p->index].dtype;
    const uint8_t *from = call->in[p->index].data;
    float *to = (float *)(void *)call->out[p->index].data;
    size_t each = opiml_dtype_bytes(dtype), count = numbers_begin(call, p->index);
    bool change = opiml_rng_chance(&call->rng, p->p);
    float scale = numbers_draw(&call->rng, p->scale_range);
    float shift = numbers_draw(&call->rng, p->shift_range);

    (void)err;
    if (!change) {
        scale = 1;
        shift = 0;
    }
    for (size_t at = 0; at < count; at += NUMBERS_CHUNK) {
        size_t n = base_min_u64(NUMBERS_CHUNK, count - at);
        float x[NUMBERS_CHUNK];

        numbers_load(dtype, from + at * each, n, x);
        for (size_t i = 0; i < n; i++) {
            float product = x[i] * scale;

            to[at + i] = half_clean_nan(product + shift);
        }
    }
    return 0;
}

const struct opiml_op op_random_intensity = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM,
    .name = "random_intensity",
    .help = "Scale and shift the numbers of a field at random",
    .about =
        "x × scale + shift, one scale and one shift for the row; the result is f32. Three draws in "
        "every case: whether, scale, shift. MLPerf's U-Net3D multiplies by 1 and a factor of 0.7 "
        "to 1.3: `{p: 0.1, scale: [1.7, 2.3]}`.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
