/* Running a network over a pipeline without training it. */
#ifndef LEARN_EVALUATE_H
#define LEARN_EVALUATE_H

#include <opiml/train.h>

#include "learn/score.h"
#include "pipeline/bad.h"

#define LEARN_OVERLAP 0.5 /* of windows, where nobody says otherwise */

/* One pass over the pipeline; its bad records join `bad`, however it ends. Samples with a label for
 * each voxel may be of another size than the network's input: they are evaluated by windows that
 * overlap so much (window.h). `stop` (may be NULL) is looked at between batches: OPIML_ECANCELED.
 */
int learn_evaluate(struct nn_net *net, struct opiml_pipeline *pipeline,
                   const struct learn_fields *fields, double overlap, const volatile bool *stop,
                   struct bad *bad, struct opiml_eval_result *ret_result, struct opiml_error *err);

#endif
