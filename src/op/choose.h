/* The operators that choose records by their numbers, before any is read. They stand before all
 * others and are no station of a pipeline, which makes its order of what they leave. */
#ifndef OP_CHOOSE_H
#define OP_CHOOSE_H

#include <opiml/op.h>

struct sample_params {
    double fraction;
    uint64_t seed;
    bool per_epoch, others;
};
struct take_params {
    uint64_t count, from;
};

extern const struct opiml_op op_sample, op_take;

#endif
