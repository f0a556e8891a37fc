/* The classes that a model finds likeliest. */
#ifndef APP_LIKELIEST_H
#define APP_LIKELIEST_H

#include <opiml/train.h>

#include "base/json.h"

/* The class of the largest probability, which is set to -1: the next call gives the next one. */
uint32_t likeliest_take(const struct opiml_model *model, float *probabilities,
                        float *ret_probability);
/* The first `top` of them as a list of class, label and probability. */
struct js *likeliest_json(const struct opiml_model *model, float *probabilities, uint32_t top);

#endif
