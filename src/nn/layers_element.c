/* Layers that look at one element at a time, or only move them: addition, PReLU, bias, and channels
 * put one behind the other. */
#include "nn/net.h"

/* ---- addition ---- */

void layer_add_forward(const struct nn_layer *layer, const struct nn_tensor *a,
                       const struct nn_tensor *b, struct nn_tensor *y) {
    float leak = layer->leak;

#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < y->count; i++) {
        float sum = a->data[i] + b->data[i];

        y->data[i] = sum < 0 ? sum * leak : sum;
    }
}

void layer_add_backward(const struct nn_layer *layer, struct nn_tensor *y, float *dx) {
    float leak = layer->leak;

#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < y->count; i++) {
        float dy = y->data[i] > 0 ? y->grad[i] : y->grad[i] * leak;

        y->grad[i] = dy;
        dx[i] = dy;
    }
}

/* ---- channels, one behind the other ---- */

void layer_concat_forward(const struct nn_tensor *a, const struct nn_tensor *b,
                          struct nn_tensor *y) {
    uint64_t first = nn_pixels(a) * a->c, second = nn_pixels(b) * b->c;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < y->n; n++)
        for (uint32_t part = 0; part < NN_PARTS; part++) {
            float *to = y->data + n * (first + second);
            uint64_t from = first * part / NN_PARTS, end = first * (part + 1) / NN_PARTS;

            memcpy(to + from, a->data + n * first + from, (end - from) * sizeof(*to));
            from = second * part / NN_PARTS;
            end = second * (part + 1) / NN_PARTS;
            memcpy(to + first + from, b->data + n * second + from, (end - from) * sizeof(*to));
        }
}

void layer_concat_backward(const struct nn_tensor *y, uint32_t first, const struct nn_tensor *x,
                           float *dx) {
    uint64_t pixels = nn_pixels(x), count = pixels * x->c;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t part = 0; part < NN_PARTS; part++) {
            const float *from = y->grad + (n * (uint64_t)y->c + first) * pixels;
            uint64_t begin = count * part / NN_PARTS, end = count * (part + 1) / NN_PARTS;

            memcpy(dx + n * count + begin, from + begin, (end - begin) * sizeof(*dx));
        }
}

/* ---- bias ---- */

static inline void add_bias(uint32_t block, float *to, uint32_t pixels, const float *bias) {
    for (uint32_t p = 0; p < pixels; p++, to += block)
        for (uint32_t k = 0; k < block; k++)
            to[k] += bias[k];
}

void layer_bias_forward(struct nn_tensor *y, const struct nn_param *param) {
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < y->n; n++)
        for (uint32_t b = 0; b < y->c / y->block; b++)
            for (uint64_t piece = 0; piece < nn_pieces(y); piece++)
                WITH_BLOCK(y->block, add_bias,
                           y->data + nn_plane(y, n, b) + piece * NN_PIECE * y->block,
                           layer_piece_pixels(y, piece), param->value + b * y->block);
}

static inline void sum_up(uint32_t block, const float *dy, uint32_t pixels, double *ret_sums) {
    float sum[NN_BLOCK_MAX] = {0};

    for (uint32_t p = 0; p < pixels; p++, dy += block)
        for (uint32_t k = 0; k < block; k++)
            sum[k] += dy[k];
    for (uint32_t k = 0; k < block; k++) {
        ret_sums[k] = (double)sum[k];
        ret_sums[block + k] = 0;
    }
}

/* The first totals are those of the only parameter there is. */
static void give_totals(struct nn_layer *layer, const struct nn_tensor *x, struct nn_param *param) {
    layer_total(layer, x);
    for (uint32_t c = 0; c < x->c; c++) {
        double sum = 0;

        for (uint32_t n = 0; n < x->n; n++)
            sum += layer->totals[(uint64_t)n * 2 * x->c + c];
        param->grad[c] = (float)sum;
    }
}

void layer_bias_backward(struct nn_layer *layer, const struct nn_tensor *y,
                         struct nn_param *param) {
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < y->n; n++)
        for (uint32_t b = 0; b < y->c / y->block; b++)
            for (uint64_t piece = 0; piece < nn_pieces(y); piece++)
                WITH_BLOCK(y->block, sum_up,
                           y->grad + nn_plane(y, n, b) + piece * NN_PIECE * y->block,
                           layer_piece_pixels(y, piece), layer_piece(layer, y, n, b, piece));
    give_totals(layer, y, param);
}

/* ---- PReLU ---- */

static inline void prelu(uint32_t block, const float *restrict from, float *restrict to,
                         uint32_t pixels, const float *leak) {
    for (uint32_t p = 0; p < pixels; p++, from += block, to += block)
        for (uint32_t k = 0; k < block; k++)
            to[k] = from[k] < 0 ? from[k] * leak[k] : from[k];
}

void layer_prelu_forward(const struct nn_tensor *x, struct nn_tensor *y,
                         const struct nn_param *param) {
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < x->c / x->block; b++)
            for (uint64_t piece = 0; piece < nn_pieces(x); piece++) {
                uint64_t at = nn_plane(x, n, b) + piece * NN_PIECE * x->block;

                WITH_BLOCK(x->block, prelu, x->data + at, y->data + at,
                           layer_piece_pixels(x, piece), param->value + b * x->block);
            }
}

static inline void prelu_gradient(uint32_t block, const float *restrict from,
                                  const float *restrict dy, float *restrict to, uint32_t pixels,
                                  const float *leak, double *restrict ret_sums) {
    float sum[NN_BLOCK_MAX] = {0};

    for (uint32_t p = 0; p < pixels; p++, from += block, dy += block, to += block)
        for (uint32_t k = 0; k < block; k++) {
            to[k] = from[k] > 0 ? dy[k] : dy[k] * leak[k];
            sum[k] += from[k] > 0 ? 0 : dy[k] * from[k];
        }
    for (uint32_t k = 0; k < block; k++) {
        ret_sums[k] = (double)sum[k];
        ret_sums[block + k] = 0;
    }
}

void layer_prelu_backward(struct nn_layer *layer, const struct nn_tensor *x,
                          const struct nn_tensor *y, struct nn_param *param, float *dx) {
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < x->c / x->block; b++)
            for (uint64_t piece = 0; piece < nn_pieces(x); piece++) {
                uint64_t at = nn_plane(x, n, b) + piece * NN_PIECE * x->block;

                WITH_BLOCK(x->block, prelu_gradient, x->data + at, y->grad + at, dx + at,
                           layer_piece_pixels(x, piece), param->value + b * x->block,
                           layer_piece(layer, x, n, b, piece));
            }
    give_totals(layer, x, param);
}
