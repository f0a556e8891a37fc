/* sample: a share of the records. Which ones is dataset/choice.c's to say: there is nothing to run.
 */
#include "base/base.h"
#include "op/choose.h"

static const struct opiml_param rows[] = {
    {"fraction", NULL, "Share of the records to keep, above 0",
     offsetof(struct sample_params, fraction), OPIML_PARAM_F64, NULL, 0, 1},
    {"seed", "0", "Key of the draws, whatever the pipeline's own seed is",
     offsetof(struct sample_params, seed), OPIML_PARAM_U64, NULL, 0, 0},
    {"per_epoch", "false", "Draw anew whenever all of the sample has been through",
     offsetof(struct sample_params, per_epoch), OPIML_PARAM_BOOL, NULL, 0, 0},
    {"others", "false", "Keep the records that would be left out, and leave out the others",
     offsetof(struct sample_params, others), OPIML_PARAM_BOOL, NULL, 0, 0},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    const struct sample_params *p = params;

    (void)in, (void)shape;
    if (!(p->fraction > 0 && p->fraction <= 1))
        return opiml_fail(err, OPIML_EINVAL, "fraction: a share above 0, up to 1");
    return 0;
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    (void)call, (void)err;
    return 0;
}

const struct opiml_op op_sample = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .flags = OPIML_OP_INTEGER | OPIML_OP_VIEW,
    .name = "sample",
    .help = "Keep a share of the records, and do not read the others",
    .about =
        "Stands before all operators but take. The records, in their order, are divided into as "
        "many runs as the sample is to have records, and of each run one is drawn: the sample has "
        "exactly that share of the records (rounded, one at least), spread evenly. It depends on "
        "the seed and the number of records only, and is the same for every format, source, "
        "machine and number of threads. An epoch has no holes for what is left out, of which "
        "nothing is read. Two pipelines with the same fraction and seed, one with others: true, "
        "divide a data set into two parts, to train and to evaluate. Of several datasets each is "
        "sampled.",
    .params = rows,
    .params_bytes = sizeof(struct sample_params),
    .check = check,
    .run = run,
};
