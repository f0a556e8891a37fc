/* Running a network over a pipeline without training it. */
#ifndef LEARN_EVALUATE_H
#define LEARN_EVALUATE_H

#include <opiml/train.h>

#include "learn/data.h"
#include "nn/nn.h"

/* Copy rows into the network's input and run it forward. The rest of the batch stays as it is. */
int learn_forward(struct nn_net *net, const struct learn_rows *rows, bool train,
                  struct opiml_error *err);
/* One pass over the pipeline. `stop` (may be NULL) is looked at between batches: OPIML_ECANCELED.
 */
int learn_evaluate(struct nn_net *net, struct opiml_pipeline *pipeline,
                   const struct learn_fields *fields, uint32_t classes, const volatile bool *stop,
                   struct opiml_eval_result *ret_result, struct opiml_error *err);

#endif
