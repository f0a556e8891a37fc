/* one_hot: a class number → a vector with a one at its place, smoothed if asked for. */
#include "batch/schema.h"
#include "op/field.h"
#include "op/half.h"

struct params {
    char field[OPIML_TEXT_MAX];
    uint32_t classes;
    uint32_t to;
    double smoothing;
    /* derived */
    uint32_t index, dtype;
    uint32_t on, off; /* the two values' bits in the output's dtype */
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "label"),
    {"classes", NULL, "Number of classes: the length of the vector",
     offsetof(struct params, classes), OPIML_PARAM_U32, NULL, 1, 1000000},
    {"to", "f32", "Type of the vector's elements", offsetof(struct params, to), OPIML_PARAM_CHOICE,
     "f32|f16|bf16", 0, 0},
    {"smoothing", "0", "Label smoothing: this much is spread evenly over all classes",
     offsetof(struct params, smoothing), OPIML_PARAM_F64, NULL, 0, 1},
    {0},
};

static uint32_t value_bits(uint32_t dtype, double x) {
    switch (dtype) {
    case OPIML_F16: return half_from_f64(x);
    case OPIML_BF16: return bf16_from_f64(x);
    default: return half_f32_bits((float)x);
    }
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    static const uint32_t dtypes[] = {OPIML_F32, OPIML_F16, OPIML_BF16};
    struct params *p = params;
    const struct opiml_field *field;
    struct opiml_field *out;
    double spread;
    int rc = op_field_find(in, "field", p->field, &p->index, err);

    if (rc < 0)
        return rc;
    field = &in->fields[p->index];
    if (!schema_is_int(field->dtype) ||
        (field->ndim != 0 && !(field->ndim == 1 && field->shape[0] == 1)))
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is not one whole number a row; `cast` makes whole numbers "
                          "of others",
                          field->name);
    p->dtype = dtypes[p->to];
    spread = p->smoothing / (double)p->classes;
    p->on = value_bits(p->dtype, 1.0 - p->smoothing + spread);
    p->off = value_bits(p->dtype, spread);
    out = &shape->out.fields[p->index];
    out->dtype = p->dtype;
    out->ndim = 1;
    memset(out->shape, 0, sizeof(out->shape));
    out->shape[0] = p->classes;
    out->max_bytes = (uint64_t)p->classes * opiml_dtype_bytes(p->dtype);
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    int64_t label = schema_read_int(call->in_schema->fields[p->index].dtype, in->data);

    if (label < 0 || label >= p->classes)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "%s %" PRId64 " is not one of the %u classes 0 to %u", p->field, label,
                          p->classes, p->classes - 1);
    if (p->dtype == OPIML_F32) {
        uint32_t *to = (uint32_t *)out->data;

        for (uint32_t i = 0; i < p->classes; i++)
            to[i] = p->off;
        to[label] = p->on;
    } else {
        uint16_t *to = (uint16_t *)out->data;

        for (uint32_t i = 0; i < p->classes; i++)
            to[i] = (uint16_t)p->off;
        to[label] = (uint16_t)p->on;
    }
    return 0;
}

const struct opiml_op op_one_hot = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "one_hot",
    .help = "Turn a class number into a vector with a one at its place",
    .about =
        "With smoothing s and n classes the class itself gets 1 - s + s/n and every other s/n. "
        "A number that is no class makes the row a bad one.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
