/* The area under the ROC curve: the share of pairs of a positive and a negative sample in which the
 * positive one has the higher score, equal ones counting half. */
#ifndef LEARN_AUC_H
#define LEARN_AUC_H

#include "base/base.h"

/* Scores are told apart by their sign, exponent and first 11 bits behind the point (2^20 values),
 * so that memory does not grow with the samples: off by less than one pair in a thousand. */
struct learn_auc {
    uint64_t *bins; /* [value][label] */
};
int learn_auc_init(struct learn_auc *auc, struct opiml_error *err);
void learn_auc_release(struct learn_auc *auc);
void learn_auc_add(struct learn_auc *auc, const float *scores, const int32_t *labels,
                   uint32_t count);
double learn_auc_value(const struct learn_auc *auc); /* -1 without samples of both labels */

#endif
