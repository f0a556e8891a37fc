/* Running a network over a pipeline without training it. */
#ifndef LEARN_EVALUATE_H
#define LEARN_EVALUATE_H

#include <opiml/train.h>

#include "learn/score.h"
#include "pipeline/bad.h"

/* One pass over the pipeline; its bad records join `bad`, however it ends. `stop` (may be NULL) is
 * looked at between batches: OPIML_ECANCELED. */
int learn_evaluate(struct nn_net *net, struct opiml_pipeline *pipeline,
                   const struct learn_fields *fields, const volatile bool *stop, struct bad *bad,
                   struct opiml_eval_result *ret_result, struct opiml_error *err);

#endif
