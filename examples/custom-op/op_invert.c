/* An operator of your own: the negative of an image, or a blend of the image and its negative.
 *
 * Build it with nothing but opiml's installed headers, and point OPIML_OP_PATH at it:
 *
 *     cc -std=gnu17 -O2 -ffp-contract=off -fPIC -shared -o op_invert.so op_invert.c
 *     OPIML_OP_PATH=$PWD opiml ops invert
 *
 * -ffp-contract=off keeps compilers from fusing a × b + c into one rounding on some machines and
 * not on others; this operator has no floats in its loop, but most have. */
#include <opiml/op.h>

/* The parameters, as the pipeline file gives them. The engine allocates the struct, fills it by way
 * of the table below, and frees it: it holds no pointers. */
struct invert_params {
    char field[OPIML_TEXT_MAX];
    double amount;
    /* derived by check */
    uint32_t index;
    uint32_t amount_q8; /* amount in units of 1/256 */
};

static const struct opiml_param invert_rows[] = {
    {"field", "image", "Field to work on", offsetof(struct invert_params, field), OPIML_PARAM_TEXT,
     NULL, 0, 0},
    {"amount", "1", "1 is the negative, 0 the image, 0.5 all grey",
     offsetof(struct invert_params, amount), OPIML_PARAM_F64, NULL, 0, 1},
    {0},
};

/* Runs when a pipeline file is parsed, so that planning never has to run an operator. It says what
 * leaves, and which output `run` writes. */
static int invert_check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                        struct opiml_error *err) {
    struct invert_params *p = params;
    int index = opiml_schema_find(in, p->field);

    if (index < 0)
        return opiml_fail(err, OPIML_EINVAL, "field: no field \"%s\" here", p->field);
    if (in->fields[index].dtype != OPIML_U8)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is %s, not u8; put invert before normalize", p->field,
                          opiml_dtype_text(in->fields[index].dtype));
    if (in->fields[index].ndim < 2)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" holds encoded bytes, not pixels; put invert behind decode",
                          p->field);
    p->index = (uint32_t)index;
    p->amount_q8 = (uint32_t)(p->amount * 256 + 0.5);
    shape->from[index] = OPIML_OP_NEW; /* all other fields are passed on */
    return 0;
}

/* One row, on any thread, on any machine: integers only, so the bits are the same everywhere. */
static int invert_run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct invert_params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];

    (void)err;
    for (uint64_t i = 0; i < in->bytes; i++) {
        uint32_t x = in->data[i];

        out->data[i] = (uint8_t)((x * (256 - p->amount_q8) + (255 - x) * p->amount_q8 + 128) >> 8);
    }
    out->bytes = in->bytes;
    for (int d = 0; d < OPIML_MAX_DIMS; d++)
        out->shape[d] = in->shape[d];
    return 0;
}

static const struct opiml_op op_invert = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER,
    .name = "invert",
    .help = "Turn an image into its negative",
    .params = invert_rows,
    .params_bytes = sizeof(struct invert_params),
    .check = invert_check,
    .run = invert_run,
};

/* The one symbol that opiml looks for. */
OPIML_API const struct opiml_op *const opiml_user_ops[] = {&op_invert, NULL};
