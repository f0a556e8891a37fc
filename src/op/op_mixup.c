/* mixup: pairs of rows of a group, mixed with one another, images and labels alike.
 * Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. */
#include "base/base.h"
#include "op/beta.h"
#include "op/field.h"
#include "op/kernels_pixel.h"

#define GROUP_MAX 4096

struct params {
    char field[OPIML_TEXT_MAX], label[OPIML_TEXT_MAX];
    double alpha;
    uint32_t group;
    /* derived */
    uint32_t index, label_index;
    bool labelled;
    struct beta_table beta;
};

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"label", "label", "Field of one_hot vectors (f32) that is mixed alike; empty: none",
     offsetof(struct params, label), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"alpha", "0.2", "The share of each row is drawn from Beta(alpha, alpha)",
     offsetof(struct params, alpha), OPIML_PARAM_F64, NULL, BETA_ALPHA_MIN, BETA_ALPHA_MAX},
    {"group", "2",
     "Rows among which pairs are drawn; batch.size is a multiple of it, and ranks do not split it",
     offsetof(struct params, group), OPIML_PARAM_U32, NULL, 2, GROUP_MAX},
    {0},
};

static int check_field(const struct opiml_field *field, struct opiml_error *err) {
    if (!opiml_field_fixed(field))
        return opiml_fail(err, OPIML_EINVAL,
                          "field: rows of \"%s\" differ in shape; crop or `resize` them before",
                          field->name);
    if (field->dtype != OPIML_U8 && field->dtype != OPIML_F32 && field->dtype != OPIML_F16 &&
        field->dtype != OPIML_BF16)
        return opiml_fail(err, OPIML_EINVAL,
                          "field: \"%s\" is %s; u8, f32, f16 and bf16 can be mixed", field->name,
                          opiml_dtype_text(field->dtype));
    return 0;
}

static int check_label(struct params *p, const struct opiml_schema *in, struct opiml_error *err) {
    const struct opiml_field *label;
    int rc = op_field_find(in, "label", p->label, &p->label_index, err);

    if (rc < 0)
        return rc;
    label = &in->fields[p->label_index];
    if (p->label_index == p->index)
        return opiml_fail(err, OPIML_EINVAL, "label: \"%s\" is the field itself", p->label);
    if (label->dtype != OPIML_F32 || label->ndim != 1 || !opiml_field_fixed(label))
        return opiml_fail(
            err, OPIML_EINVAL,
            "label: \"%s\" is no vector of f32: put `one_hot: {classes: N}` before, or "
            "set label to \"\" to leave labels alone",
            p->label);
    return 0;
}

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    int rc = op_field_find(in, "field", p->field, &p->index, err);

    if (rc < 0 || (rc = check_field(&in->fields[p->index], err)) < 0)
        return rc;
    p->labelled = p->label[0] != '\0';
    if (p->labelled && (rc = check_label(p, in, err)) < 0)
        return rc;
    if (!(p->alpha >= BETA_ALPHA_MIN && p->alpha <= BETA_ALPHA_MAX))
        return opiml_fail(err, OPIML_EINVAL, "alpha: %g is not between %g and %g", p->alpha,
                          BETA_ALPHA_MIN, BETA_ALPHA_MAX);
    beta_table_init(&p->beta, p->alpha);
    shape->group_rows = p->group;
    shape->scratch_bytes = p->group * sizeof(uint32_t);
    return 0;
}

static void mix_values(const struct kernels_pixel *kernels, uint32_t dtype, struct opiml_value *a,
                       struct opiml_value *b, uint32_t l_q16) {
    size_t n = a->bytes / opiml_dtype_bytes(dtype);
    /* Both are exact: 17 bits at most. */
    float l = (float)l_q16 / 65536.0f, m = (float)(65536 - l_q16) / 65536.0f;

    switch (dtype) {
    case OPIML_U8: kernels->mix_u8(a->data, b->data, n, l_q16); break;
    case OPIML_F16: kernels->mix_f16((uint16_t *)a->data, (uint16_t *)b->data, n, l, m); break;
    case OPIML_BF16: kernels->mix_bf16((uint16_t *)a->data, (uint16_t *)b->data, n, l, m); break;
    default: kernels->mix_f32((float *)a->data, (float *)b->data, n, l, m);
    }
}

/* A permutation of 0 … count-1 by Fisher and Yates; count draws. */
static void permute(struct opiml_rng *rng, uint32_t count, uint32_t *order) {
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; i > 0; i--) {
        uint32_t other = op_draw_below(rng, i), kept = order[i - 1];

        order[i - 1] = order[other];
        order[other] = kept;
    }
}

static int run_group(struct opiml_op_call *call, struct opiml_value *const *values,
                     const bool *live, uint32_t count, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct kernels_pixel *kernels = kernels_pixel();
    uint32_t *order = (uint32_t *)call->scratch;

    (void)err;
    assert(count <= p->group);
    permute(&call->rng, count, order);
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        uint32_t a = order[i], b = order[i + 1];
        uint32_t l_q16 = beta_quantile_q16(&p->beta, opiml_rng_u32(&call->rng));

        if (!live[a] || !live[b])
            continue; /* nothing to mix with */
        mix_values(kernels, call->in_schema->fields[p->index].dtype, &values[a][p->index],
                   &values[b][p->index], l_q16);
        if (p->labelled)
            mix_values(kernels, OPIML_F32, &values[a][p->label_index], &values[b][p->label_index],
                       l_q16);
    }
    return 0;
}

const struct opiml_op op_mixup = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_RANDOM | OPIML_OP_GROUP,
    .name = "mixup",
    .help = "Mix pairs of images and their one-hot labels with one another",
    .about =
        "A group's rows are put in random order and paired off; of the rows a and b of a pair "
        "a becomes l × a + (1 - l) × b and b becomes l × b + (1 - l) × a, with a share l of the "
        "pair's own. A row that is left over, or whose partner is a hole, stays as it is. The "
        "partner comes from the same group only, so data that is not shuffled needs large ones. "
        "l has 16 bits after the point. Floats: both products and their sum round to f32, then "
        "to the field's type; u8 is integer arithmetic, rounded to nearest.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run_group = run_group,
};
