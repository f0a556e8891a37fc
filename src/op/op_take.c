/* take: some records that follow one another. Which ones is dataset/choice.c's to say: there is
 * nothing to run. */
#include "base/base.h"
#include "op/choose.h"

static const struct opiml_param rows[] = {
    {"count", NULL, "Records to keep, or as many as there are", offsetof(struct take_params, count),
     OPIML_PARAM_U64, NULL, 1, 1e15},
    {"from", "0", "Records to leave out before the first", offsetof(struct take_params, from),
     OPIML_PARAM_U64, NULL, 0, 1e15},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    const struct take_params *p = params;

    (void)in, (void)shape;
    return p->count == 0 ? opiml_fail(err, OPIML_EINVAL, "count: 1 at least") : 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    (void)call, (void)err;
    return 0;
}

const struct opiml_op op_take = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER | OPIML_OP_VIEW,
    .name = "take",
    .help = "Keep so many records, the first ones, and do not read the others",
    .about = "Stands before all operators but sample. Records count in the order that `shuffle: "
             "{mode: none}` gives them, and the epoch has only those that are kept: a shuffle "
             "mixes them with one another. Of a table the database lists no more keys than it "
             "takes, where no sample stands before. Of several datasets each is taken from.",
    .params = rows,
    .params_bytes = sizeof(struct take_params),
    .check = check,
    .run = run,
};
