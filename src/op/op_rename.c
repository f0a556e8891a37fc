/* rename: give a field another name. */
#include "base/base.h"
#include "base/text.h"
#include "op/field.h"

struct params {
    char from[OPIML_TEXT_MAX], to[OPIML_TEXT_MAX];
};

static const struct opiml_param rows[] = {
    {"from", NULL, "Field to rename", offsetof(struct params, from), OPIML_PARAM_TEXT, NULL, 0, 0},
    {"to", NULL, "Its new name", offsetof(struct params, to), OPIML_PARAM_TEXT, NULL, 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    const struct params *p = params;
    uint32_t f;
    int rc = op_field_find(in, "from", p->from, &f, err), taken;

    if (rc < 0)
        return rc;
    if (!p->to[0] || strlen(p->to) >= OPIML_NAME_BYTES)
        return opiml_fail(err, OPIML_EINVAL, "to: a field's name has 1 to %d characters",
                          OPIML_NAME_BYTES - 1);
    taken = opiml_schema_find(in, p->to);
    if (taken >= 0 && taken != (int)f)
        return opiml_fail(err, OPIML_EINVAL,
                          "to: there is a field \"%s\" already; rename that one first, or leave it "
                          "out with `select`",
                          p->to);
    memset(shape->out.fields[f].name, 0, sizeof(shape->out.fields[f].name));
    text_copy(shape->out.fields[f].name, sizeof(shape->out.fields[f].name), p->to);
    return 0;
}

/* The engine passes the fields on. */
static int run(struct opiml_op_call *call, struct opiml_error *err) {
    (void)call, (void)err;
    return 0;
}

const struct opiml_op op_rename = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER | OPIML_OP_VIEW,
    .name = "rename",
    .help = "Give a field another name",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
