/* What layers share: sums over pixels, in pieces. */
#include "nn/net.h"

static bool sums_pieces(const struct nn_layer *layer) {
    return layer->kind == NN_NORM || layer->kind == NN_PRELU || layer->bias;
}

int layer_sums_alloc(struct nn_layer *layer, const struct nn_tensor *x, const struct nn_tensor *y,
                     struct opiml_error *err) {
    uint64_t rows = layer->groups > 0 ? x->n : 1, sums = (uint64_t)y->n * nn_pieces(y) * 2 * y->c;
    uint64_t totals = (uint64_t)y->n * 2 * y->c;

    if (layer->kind == NN_LOGITS)
        totals = (uint64_t)x->n * NN_PARTS * y->c * (x->c + 1ull);
    else if (!sums_pieces(layer))
        return 0;
    else if (!(layer->sums = base_alloc_aligned(sums * sizeof(*layer->sums), 64)))
        return base_fail_memory(err, sums * sizeof(*layer->sums), "a layer's sums");
    if (!(layer->totals = base_alloc_aligned(totals * sizeof(*layer->totals), 64)))
        return base_fail_memory(err, totals * sizeof(*layer->totals), "a layer's sums");
    if (layer->kind != NN_NORM)
        return 0;
    layer->saved = base_alloc_aligned(NN_SAVED * rows * x->c * sizeof(*layer->saved), 64);
    return layer->saved ? 0
                        : base_fail_memory(err, NN_SAVED * rows * x->c * sizeof(*layer->saved),
                                           "statistics");
}

void layer_total(struct nn_layer *layer, const struct nn_tensor *x) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++)
            for (uint32_t i = 0; i < 2; i++)
                for (uint32_t k = 0; k < x->block; k++) {
                    const double *sum = layer_piece(layer, x, n, b, 0) + i * x->block + k;
                    double total = 0;

                    for (uint64_t piece = 0; piece < nn_pieces(x); piece++)
                        total += sum[piece * 2 * x->block];
                    layer->totals[((uint64_t)n * 2 + i) * x->c + b * x->block + k] = total;
                }
}

void layer_accumulate(float *to, const float *from, uint64_t count) {
#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < count; i++)
        to[i] += from[i];
}
