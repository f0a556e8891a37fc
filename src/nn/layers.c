/* What layers share: sums over pixels, in pieces. */
#include "nn/loops.h"

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
    uint32_t lanes = nn_lanes(x), groups = nn_groups(x);

    /* Little is done sooner than threads are woken. */
#pragma omp parallel for collapse(2) schedule(static) if (nn_pieces(x) > 1)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t g = 0; g < groups; g++)
            for (uint32_t k = 0; k < 2 * lanes; k++) {
                const double *sum = layer_piece(layer, x, n, g, 0) + k;
                uint32_t which = k / lanes, c = g * lanes + k % lanes;
                double total = 0;

                for (uint64_t piece = 0; piece < nn_pieces(x); piece++)
                    total += sum[piece * 2 * lanes];
                layer->totals[((uint64_t)n * 2 + which) * x->c + c] = total;
            }
}

NN_INLINE void add_to_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes)
            nn_set(half, l->to, i + k, nn_get(half, l->to, i + k) + nn_get(half, l->x, i + k));
}
NN_LOOP(add_to)

void layer_accumulate(const struct nn_tensor *t, float *to, const float *from) {
    NN_EACH_PIECE(t) {
        uint64_t at = nn_piece_at(t, n, g, piece);
        struct nn_loop l = {.x = nn_at(t, from, at),
                            .to = nn_at(t, to, at),
                            .pixels = layer_piece_pixels(t, piece),
                            .stride = t->block};

        add_to(t, &l);
    }
}
