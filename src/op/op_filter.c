/* filter: rows that do not meet a condition become marked holes. */
#include "base/base.h"
#include "op/expression.h"
#include "op/field.h"

struct params {
    char where[OPIML_TEXT_MAX];
    /* derived */
    struct expression condition;
};

static const struct opiml_param rows[] = {
    {"where", NULL, "Condition that rows must meet to stay, such as label != 3 and width >= 10",
     offsetof(struct params, where), OPIML_PARAM_TEXT, NULL, 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    struct opiml_error why = {0};
    int rc = expression_parse(p->where, in, &p->condition, &why);

    (void)shape;
    return rc < 0 ? opiml_fail(err, rc, "where: %s", why.message) : 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;

    (void)err;
    return expression_holds(&p->condition, call->in_schema, call->in) ? 0 : OPIML_OP_DROP;
}

const struct opiml_op op_filter = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER | OPIML_OP_MAY_DROP,
    .name = "filter",
    .help = "Drop the rows that do not meet a condition",
    .about = "Conditions are made of comparisons (==, !=, <, <=, >, >=, in [...], not in [...]), "
             "and, or, not and parentheses, over scalar fields, numbers and texts in quotes; texts "
             "have ==, != and in. A field whose name is no plain word stands in `backquotes`. "
             "Numbers compare by value whatever their types. A dropped row leaves a marked hole in "
             "its batch, which nothing refills, and does not count as an error; put filter early, "
             "before the costly operators.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
