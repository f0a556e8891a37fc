/* Embeddings: rows of a table that is learned, in the place of categories. */
#include "nn/net.h"

/* The row of the table for code `value` of field `field`; whatever the value, a row of it. */
static uint64_t row_of(const struct nn_layer *layer, uint32_t field, float value) {
    uint32_t code = value >= 0 && value < (float)layer->buckets ? (uint32_t)value : 0;

    return (uint64_t)field * layer->buckets + code;
}

void layer_embedding_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                             struct nn_tensor *y, const struct nn_param *param) {
    uint32_t numbers = x->c - layer->fields, each = (uint32_t)param->shape[1];

#pragma omp parallel for schedule(static)
    for (uint32_t n = 0; n < x->n; n++) {
        const float *from = x->data + (uint64_t)n * x->c;
        float *to = y->data + (uint64_t)n * y->c;

        memcpy(to, from, numbers * sizeof(*to));
        for (uint32_t f = 0; f < layer->fields; f++)
            memcpy(to + numbers + (uint64_t)f * each,
                   param->value + row_of(layer, f, from[numbers + f]) * each, each * sizeof(*to));
    }
}

/* Each field has rows of its own, and takes the batch in its order. */
void layer_embedding_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                              const struct nn_tensor *y, struct nn_param *param) {
    uint32_t numbers = x->c - layer->fields, each = (uint32_t)param->shape[1];

    memset(param->grad, 0, param->count * sizeof(*param->grad));
#pragma omp parallel for schedule(static)
    for (uint32_t f = 0; f < layer->fields; f++)
        for (uint32_t n = 0; n < x->n; n++) {
            const float *from = y->grad + (uint64_t)n * y->c + numbers + (uint64_t)f * each;
            uint64_t row = row_of(layer, f, x->data[(uint64_t)n * x->c + numbers + f]);
            float *to = param->grad + row * each;

            for (uint32_t i = 0; i < each; i++)
                to[i] += from[i];
        }
}
