/* Dense layers: of whole images, or of each pixel. */
#include "nn/loops.h"

void layer_dense_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                         struct nn_tensor *y, const struct nn_param *param) {
#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t o = 0; o < y->c; o++) {
            const float *from = x->data + (uint64_t)n * x->c;
            const float *weight = param[0].value + (uint64_t)o * x->c;
            float sum = param[1].value[o];

            for (uint32_t c = 0; c < x->c; c++)
                sum += weight[c] * from[c];
            y->data[(uint64_t)n * y->c + o] = layer->scale * sum;
        }
}

void layer_dense_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                          const struct nn_tensor *y, struct nn_param *param, float *dx) {
#pragma omp parallel for schedule(static)
    for (uint32_t o = 0; o < y->c; o++) {
        float *dweight = param[0].grad + (uint64_t)o * x->c, bias = 0;

        memset(dweight, 0, x->c * sizeof(*dweight));
        for (uint32_t n = 0; n < x->n; n++) {
            const float *from = x->data + (uint64_t)n * x->c;
            float dy = layer->scale * y->grad[(uint64_t)n * y->c + o];

            bias += dy;
            for (uint32_t c = 0; c < x->c; c++)
                dweight[c] += dy * from[c];
        }
        param[1].grad[o] = bias;
    }
#pragma omp parallel for schedule(static)
    for (uint32_t n = 0; n < x->n; n++) {
        float *to = dx + (uint64_t)n * x->c;

        memset(to, 0, x->c * sizeof(*to));
        for (uint32_t o = 0; o < y->c; o++) {
            const float *weight = param[0].value + (uint64_t)o * x->c;
            float dy = layer->scale * y->grad[(uint64_t)n * y->c + o];

            for (uint32_t c = 0; c < x->c; c++)
                to[c] += dy * weight[c];
        }
    }
}

/* ---- of each pixel ---- */

/* Pieces [begin, end) of a row, for part `part` of it. */
static uint64_t part_begin(const struct nn_tensor *x, uint32_t part) {
    return nn_pieces(x) * part / NN_PARTS;
}

NN_INLINE void add_weighted(uint32_t lanes, bool half, const void *from, uint32_t stride,
                            uint32_t pixels, const float *weight, float *restrict to) {
    for (uint32_t p = 0; p < pixels; p++) {
        float sum = 0;

        for (uint32_t k = 0; k < lanes; k++)
            sum += weight[k] * nn_get(half, from, (uint64_t)p * stride + k);
        to[p] += sum;
    }
}

void layer_logits_forward(const struct nn_tensor *x, struct nn_tensor *y,
                          const struct nn_param *param) {
#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint64_t piece = 0; piece < nn_pieces(x); piece++)
            for (uint32_t o = 0; o < y->c; o++) {
                float *to = y->data + nn_plane(y, n, o) + piece * NN_PIECE;
                uint32_t pixels = layer_piece_pixels(x, piece);

                for (uint32_t p = 0; p < pixels; p++)
                    to[p] = param[1].value[o];
                for (uint32_t g = 0; g < nn_groups(x); g++)
                    WITH_LANES(x, add_weighted, nn_at(x, x->data, nn_piece_at(x, n, g, piece)),
                               x->block, pixels,
                               param[0].value + (uint64_t)o * x->c + g * nn_lanes(x), to);
            }
}

NN_INLINE void sum_weighted(uint32_t lanes, bool half, const void *from, uint32_t stride,
                            uint32_t pixels, const float *dy, double *restrict totals) {
    float sum[NN_LANES_MAX] = {0};

    for (uint32_t p = 0; p < pixels; p++)
        NN_EACH_LANE(k, lanes)
            sum[k] += dy[p] * nn_get(half, from, (uint64_t)p * stride + k);
    NN_EACH_LANE(k, lanes)
        totals[k] += (double)sum[k];
}

/* Gradients of weights and bias over a part of a row: [classes][c + 1] of totals. */
static void part_gradients(const struct nn_tensor *x, const struct nn_tensor *y, uint32_t n,
                           uint32_t part, double *totals) {
    memset(totals, 0, y->c * (x->c + 1ull) * sizeof(*totals));
    for (uint64_t piece = part_begin(x, part); piece < part_begin(x, part + 1); piece++)
        for (uint32_t o = 0; o < y->c; o++) {
            const float *dy = y->grad + nn_plane(y, n, o) + piece * NN_PIECE;
            uint32_t pixels = layer_piece_pixels(x, piece);
            double *to = totals + o * (x->c + 1ull);

            for (uint32_t g = 0; g < nn_groups(x); g++)
                WITH_LANES(x, sum_weighted, nn_at(x, x->data, nn_piece_at(x, n, g, piece)),
                           x->block, pixels, dy, to + g * nn_lanes(x));
            for (uint32_t p = 0; p < pixels; p++)
                to[x->c] += dy[p];
        }
}

/* dx of a piece: the classes' dy lie a plane apart, their weights a row of c. */
NN_INLINE void spread(uint32_t lanes, bool half, void *to, uint32_t stride, uint32_t pixels,
                      const struct nn_tensor *y, const float *dy, const float *weight, uint32_t c) {
    for (uint32_t p = 0; p < pixels; p++) {
        float sum[NN_LANES_MAX] = {0};

        for (uint32_t o = 0; o < y->c; o++)
            NN_EACH_LANE(k, lanes)
                sum[k] += dy[o * nn_pixels(y) + p] * weight[(uint64_t)o * c + k];
        NN_EACH_LANE(k, lanes)
            nn_set(half, to, (uint64_t)p * stride + k, sum[k]);
    }
}

static void data_gradient(const struct nn_tensor *x, const struct nn_tensor *y,
                          const struct nn_param *param, float *dx) {
    NN_EACH_PIECE(x)
        WITH_LANES(x, spread, nn_at(x, dx, nn_piece_at(x, n, g, piece)), x->block,
                   layer_piece_pixels(x, piece), y, y->grad + nn_plane(y, n, 0) + piece * NN_PIECE,
                   param[0].value + g * nn_lanes(x), x->c);
}

void layer_logits_backward(struct nn_layer *layer, const struct nn_tensor *x,
                           const struct nn_tensor *y, struct nn_param *param, float *dx) {
    uint64_t stride = y->c * (x->c + 1ull), parts = (uint64_t)x->n * NN_PARTS;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t part = 0; part < NN_PARTS; part++)
            part_gradients(x, y, n, part, layer->totals + ((uint64_t)n * NN_PARTS + part) * stride);
    for (uint32_t o = 0; o < y->c; o++)
        for (uint32_t c = 0; c <= x->c; c++) {
            double sum = 0;

            for (uint64_t part = 0; part < parts; part++)
                sum += layer->totals[part * stride + o * (x->c + 1ull) + c];
            if (c < x->c)
                param[0].grad[(uint64_t)o * x->c + c] = (float)sum;
            else
                param[1].grad[o] = (float)sum;
        }
    data_gradient(x, y, param, dx);
}
