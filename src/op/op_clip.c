/* clip: numbers outside of a range become its ends. */
#include "base/base.h"
#include "op/field.h"
#include "op/half.h"
#include "op/numbers.h"

struct params {
    char field[OPIML_TEXT_MAX];
    double least, most;
    /* derived */
    uint32_t index;
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"least", NULL, "What is below becomes this", offsetof(struct params, least), OPIML_PARAM_F64,
     NULL, -1e30, 1e30},
    {"most", NULL, "What is above becomes this", offsetof(struct params, most), OPIML_PARAM_F64,
     NULL, -1e30, 1e30},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;

    if (!(p->least <= p->most))
        return opiml_fail(err, OPIML_EINVAL, "least: %g is above most, %g", p->least, p->most);
    return numbers_check(p->field, in, shape, &p->index, err);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    uint32_t dtype = call->in_schema->fields[p->index].dtype;
    const uint8_t *from = call->in[p->index].data;
    float *to = (float *)(void *)call->out[p->index].data;
    size_t each = opiml_dtype_bytes(dtype), count = numbers_begin(call, p->index);
    float least = (float)p->least, most = (float)p->most;

    (void)err;
    for (size_t at = 0; at < count; at += NUMBERS_CHUNK) {
        size_t n = base_min_u64(NUMBERS_CHUNK, count - at);
        float x[NUMBERS_CHUNK];

        numbers_load(dtype, from + at * each, n, x);
        for (size_t i = 0; i < n; i++) {
            float y = x[i] < least ? least : x[i];

            to[at + i] = half_clean_nan(y > most ? most : y);
        }
    }
    return 0;
}

const struct opiml_op op_clip = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "clip",
    .help = "Clamp the numbers of a field to a range",
    .about = "The result is f32. A NaN stays one.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
