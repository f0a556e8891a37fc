/* Shadows of parameters: moving averages and accumulated gradients. */
#include "nn/shadow.h"

int nn_shadow_create(struct nn_net *net, bool statistics, struct nn_shadow **ret_shadow,
                     struct opiml_error *err) {
    struct nn_shadow *self = base_alloc(sizeof(*self));

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a shadow of the parameters");
    self->params = nn_net_params(net);
    for (uint32_t i = 0; i < self->params; i++) {
        const struct nn_param *param = nn_net_param(net, i);

        if (!param->grad && !statistics)
            continue;
        self->values[i] = base_alloc_array(param->count, sizeof(float));
        if (!self->values[i]) {
            nn_shadow_destroy(self);
            return base_fail_memory(err, param->count * sizeof(float),
                                    "a shadow of the parameters");
        }
    }
    *ret_shadow = self;
    return 0;
}

void nn_shadow_destroy(struct nn_shadow *self) {
    if (!self)
        return;
    for (uint32_t i = 0; i < self->params; i++)
        base_free(self->values[i]);
    base_free(self);
}

void nn_shadow_average(struct nn_shadow *self, struct nn_net *net, double decay) {
    float share = (float)(1 - decay);

    for (uint32_t i = 0; i < self->params; i++) {
        const struct nn_param *param = nn_net_param(net, i);
        float *to = self->values[i];

        if (!to)
            continue;
#pragma omp parallel for simd schedule(static)
        for (uint64_t k = 0; k < param->count; k++)
            to[k] += share * (param->value[k] - to[k]);
    }
}

void nn_shadow_swap(struct nn_shadow *self, struct nn_net *net) {
    for (uint32_t i = 0; i < self->params; i++) {
        float *values = nn_net_param(net, i)->value;

        for (uint64_t k = 0; self->values[i] && k < nn_net_param(net, i)->count; k++) {
            float other = self->values[i][k];

            self->values[i][k] = values[k];
            values[k] = other;
        }
    }
}

void nn_shadow_add_gradients(struct nn_shadow *self, struct nn_net *net, double weight) {
    for (uint32_t i = 0; i < self->params; i++) {
        const struct nn_param *param = nn_net_param(net, i);
        float *to = self->values[i], factor = (float)weight;

        if (!param->grad)
            continue;
#pragma omp parallel for simd schedule(static)
        for (uint64_t k = 0; k < param->count; k++)
            to[k] += factor * param->grad[k];
    }
    self->weight += weight;
}

void nn_shadow_take_gradients(struct nn_shadow *self, struct nn_net *net) {
    for (uint32_t i = 0; i < self->params; i++) {
        const struct nn_param *param = nn_net_param(net, i);
        float *from = self->values[i], factor = (float)(1 / self->weight);

        if (!param->grad)
            continue;
#pragma omp parallel for simd schedule(static)
        for (uint64_t k = 0; k < param->count; k++) {
            param->grad[k] = factor * from[k];
            from[k] = 0;
        }
    }
    self->weight = 0;
}
