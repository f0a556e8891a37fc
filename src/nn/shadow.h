/* Shadows of a network's parameters: for each an array of its size, for what is kept beside the
 * values and is not the optimiser's. */
#ifndef NN_SHADOW_H
#define NN_SHADOW_H

#include "nn/nn.h"

struct nn_shadow {
    uint32_t params;
    float *values[NN_PARAMS_MAX]; /* as the network's parameters; NULL: it has none */
    double weight;                /* of the gradients in it */
};

/* Zeroed arrays; with `statistics` also for parameters that have no gradient. */
int nn_shadow_create(struct nn_net *net, bool statistics, struct nn_shadow **ret_shadow,
                     struct opiml_error *err);
void nn_shadow_destroy(struct nn_shadow *shadow); /* NULL is fine */

/* An exponential moving average of the values (Polyak and Juditsky, 1992): += (1 - decay) × (value
 * - average). On a new shadow `decay` 0 copies. */
void nn_shadow_average(struct nn_shadow *shadow, struct nn_net *net, double decay);
/* Change places with the values: the network computes with the average, until it is called again.
 */
void nn_shadow_swap(struct nn_shadow *shadow, struct nn_net *net);

/* Gradient accumulation: add `weight` times the gradients ... */
void nn_shadow_add_gradients(struct nn_shadow *shadow, struct nn_net *net, double weight);
/* ... and let the sum, divided by the weights', be the gradients; it starts again at zero. */
void nn_shadow_take_gradients(struct nn_shadow *shadow, struct nn_net *net);

#endif
