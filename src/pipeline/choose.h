/* The operators that choose records (op/choose.h), as steps of an order. */
#ifndef PIPELINE_CHOOSE_H
#define PIPELINE_CHOOSE_H

#include "dataset/choice.h"
#include "op/choose.h"

/* Whether it is one of them. */
static inline bool choose_is(const struct opiml_op *op) {
    return op == &op_sample || op == &op_take;
}
/* One of them with its checked parameters as a step. */
struct choice choose_step(const struct opiml_op *op, const void *params);

#endif
