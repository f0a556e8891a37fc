/* select: keep some fields, in the order given. */
#include "base/base.h"
#include "op/field.h"

struct params {
    struct opiml_text_list fields;
};

static const struct opiml_param rows[] = {
    {"fields", NULL, "Fields to keep, in this order; all others are left out",
     offsetof(struct params, fields), OPIML_PARAM_TEXT_LIST, NULL, 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    const struct params *p = params;

    if (p->fields.count == 0)
        return opiml_fail(err, OPIML_EINVAL, "fields: the list is empty; name at least one field");
    memset(&shape->out, 0, sizeof(shape->out));
    memset(shape->from, 0, sizeof(shape->from));
    for (uint32_t i = 0; i < p->fields.count; i++) {
        uint32_t f;
        int rc = op_field_find(in, "fields", p->fields.at[i], &f, err);

        if (rc < 0)
            return rc;
        if (opiml_schema_find(&shape->out, in->fields[f].name) >= 0)
            return opiml_fail(err, OPIML_EINVAL, "fields: \"%s\" is named twice",
                              in->fields[f].name);
        shape->out.fields[shape->out.count] = in->fields[f];
        shape->from[shape->out.count++] = (int32_t)f;
    }
    return 0;
}

/* The engine passes the fields on. */
static int run(struct opiml_op_call *call, struct opiml_error *err) {
    (void)call, (void)err;
    return 0;
}

const struct opiml_op op_select = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER | OPIML_OP_VIEW,
    .name = "select",
    .help = "Keep the named fields, in the order given, and leave out the others",
    .about =
        "Nothing is copied. A field that is not needed for long should be left out early: what "
        "varies from row to row, such as text, cannot be batched.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
