#include "pipeline/choose.h"

struct choice choose_step(const struct opiml_op *op, const void *params) {
    const struct sample_params *sample = params;
    const struct take_params *take = params;

    assert(choose_is(op));
    if (op == &op_take)
        return (struct choice){.kind = CHOICE_TAKE, .from = take->from, .count = take->count};
    /* A power of two times the fraction is exact, so that rounding is the same everywhere. */
    return (struct choice){
        .kind = CHOICE_SAMPLE,
        .share = base_max_u64((uint64_t)(sample->fraction * (double)CHOICE_WHOLE + 0.5), 1),
        .seed = sample->seed,
        .others = sample->others,
        .per_pass = sample->per_epoch};
}
