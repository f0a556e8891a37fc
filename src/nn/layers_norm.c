/* Batch, group and instance normalisation, with what becomes of values below zero: the same passes
 * over other sets of statistics. y = scale × x + shift, of each row and channel; backward sees from
 * x alone what was cut, so y is not read again. */
#include <math.h>

#include "nn/net.h"

#define MOMENTUM 0.1f

/* Rows [n0, n1) and channels [c0, c1) that share a mean and a deviation. */
struct set {
    uint32_t n0, n1, c0, c1;
};

static uint32_t sets(const struct nn_layer *layer, const struct nn_tensor *x) {
    return layer->groups ? x->n * layer->groups : x->c;
}

static struct set set_at(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t i) {
    uint32_t width, row, group;

    if (layer->groups == 0)
        return (struct set){0, x->n, i, i + 1};
    width = x->c / layer->groups;
    row = i / layer->groups;
    group = i % layer->groups;
    return (struct set){row, row + 1, group * width, (group + 1) * width};
}

static double elements(const struct nn_tensor *x, const struct set *set) {
    return (double)(set->n1 - set->n0) * (set->c1 - set->c0) * (double)nn_pixels(x);
}

/* One of the things kept (NN_MEAN …), of row n: [c]. */
static float *kept(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t what,
                   uint32_t n) {
    /* Made for a whole batch; the rows of short ones lie closer together, which harms nobody. */
    uint64_t rows = layer->groups ? x->n : 1;

    return layer->saved + (what * rows + (layer->groups ? n : 0)) * x->c;
}

/* ---- forward ---- */

/* Sums of x and x², taken around the first pixel so that a mean far from zero leaves the variance
 * its digits. */
static inline void sum_squares(uint32_t block, const float *restrict from, uint32_t pixels,
                               double *restrict ret_sums) {
    float sum[NN_BLOCK_MAX] = {0}, square[NN_BLOCK_MAX] = {0}, around[NN_BLOCK_MAX];

    memcpy(around, from, block * sizeof(*around));
    for (uint32_t p = 0; p < pixels; p++, from += block)
        for (uint32_t k = 0; k < block; k++) {
            float apart = from[k] - around[k];

            sum[k] += apart;
            square[k] += apart * apart;
        }
    for (uint32_t k = 0; k < block; k++) {
        double at = (double)around[k], apart = (double)sum[k];

        ret_sums[k] = apart + pixels * at;
        ret_sums[block + k] = (double)square[k] + 2 * at * apart + pixels * at * at;
    }
}

static void sum_all(struct nn_layer *layer, const struct nn_tensor *x) {
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < x->c / x->block; b++)
            for (uint64_t piece = 0; piece < nn_pieces(x); piece++)
                WITH_BLOCK(x->block, sum_squares,
                           x->data + nn_plane(x, n, b) + piece * NN_PIECE * x->block,
                           layer_piece_pixels(x, piece), layer_piece(layer, x, n, b, piece));
    layer_total(layer, x);
}

/* Means and deviations of the batch, and into the running ones of batch norm. */
static void take_statistics(struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_param *param) {
    sum_all(layer, x);
    for (uint32_t i = 0; i < sets(layer, x); i++) {
        struct set set = set_at(layer, x, i);
        double sums[2] = {0}, count = elements(x, &set), mean, variance;

        for (uint32_t n = set.n0; n < set.n1; n++)
            for (uint32_t c = set.c0; c < set.c1; c++)
                for (uint32_t k = 0; k < 2; k++)
                    sums[k] += layer->totals[((uint64_t)n * 2 + k) * x->c + c];
        mean = sums[0] / count;
        variance = fmax(sums[1] / count - mean * mean, 0);
        for (uint32_t c = set.c0; c < set.c1; c++) {
            kept(layer, x, NN_MEAN, set.n0)[c] = (float)mean;
            kept(layer, x, NN_INVERSE, set.n0)[c] = 1 / sqrtf((float)variance + NN_NORM_EPSILON);
        }
        if (layer->groups > 0)
            continue;
        param[2].value[i] += MOMENTUM * ((float)mean - param[2].value[i]);
        variance *= count / (count > 1 ? count - 1 : 1); /* unbiased */
        param[3].value[i] += MOMENTUM * ((float)variance - param[3].value[i]);
    }
}

static void use_running(struct nn_layer *layer, const struct nn_tensor *x,
                        const struct nn_param *param) {
    for (uint32_t c = 0; c < x->c; c++) {
        kept(layer, x, NN_MEAN, 0)[c] = param[2].value[c];
        kept(layer, x, NN_INVERSE, 0)[c] = 1 / sqrtf(param[3].value[c] + NN_NORM_EPSILON);
    }
}

static inline void normalize(uint32_t block, const float *restrict from, float *restrict to,
                             uint32_t pixels, const float *scale, const float *shift, float leak) {
    for (uint32_t p = 0; p < pixels; p++, from += block, to += block)
        for (uint32_t k = 0; k < block; k++) {
            float value = from[k] * scale[k] + shift[k];

            to[k] = value < 0 ? value * leak : value; /* lets what is no number through */
        }
}

void layer_norm_forward(struct nn_layer *layer, const struct nn_tensor *x, struct nn_tensor *y,
                        struct nn_param *param, bool train) {
    if (train || layer->groups > 0)
        take_statistics(layer, x, param);
    else
        use_running(layer, x, param);
    for (uint32_t n = 0; n < (layer->groups ? x->n : 1); n++) {
        const float *mean = kept(layer, x, NN_MEAN, n), *inverse = kept(layer, x, NN_INVERSE, n);
        float *scale = kept(layer, x, NN_SCALE, n), *shift = kept(layer, x, NN_SHIFT, n);

        for (uint32_t c = 0; c < x->c; c++) {
            scale[c] = param[0].value[c] * inverse[c];
            shift[c] = param[1].value[c] - mean[c] * scale[c];
        }
    }
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < x->c / x->block; b++)
            for (uint64_t piece = 0; piece < nn_pieces(x); piece++) {
                uint64_t at = nn_plane(x, n, b) + piece * NN_PIECE * x->block;
                uint32_t c = b * x->block;

                WITH_BLOCK(x->block, normalize, x->data + at, y->data + at,
                           layer_piece_pixels(x, piece), kept(layer, x, NN_SCALE, n) + c,
                           kept(layer, x, NN_SHIFT, n) + c, layer->leak);
            }
}

/* ---- backward ---- */

/* What a block of channels needs. */
struct factors {
    const float *mean, *scale, *shift, *slope, *offset;
    float leak;
};

static struct factors factors_at(const struct nn_layer *layer, const struct nn_tensor *x,
                                 uint32_t n, uint32_t b) {
    uint32_t c = b * x->block;

    return (struct factors){kept(layer, x, NN_MEAN, n) + c,   kept(layer, x, NN_SCALE, n) + c,
                            kept(layer, x, NN_SHIFT, n) + c,  kept(layer, x, NN_SLOPE, n) + c,
                            kept(layer, x, NN_OFFSET, n) + c, layer->leak};
}

/* dy of what went into ReLU. */
static inline float cut(const struct factors *f, uint32_t k, float x, float dy) {
    return x * f->scale[k] + f->shift[k] > 0 ? dy : dy * f->leak;
}

/* Sums of dy and of dy × (x - mean). */
static inline void sum_products(uint32_t block, const float *restrict from,
                                const float *restrict dy, uint32_t pixels, const struct factors *f,
                                double *restrict ret_sums) {
    float sum[NN_BLOCK_MAX] = {0}, product[NN_BLOCK_MAX] = {0};

    for (uint32_t p = 0; p < pixels; p++, from += block, dy += block)
        for (uint32_t k = 0; k < block; k++) {
            float gradient = cut(f, k, from[k], dy[k]);

            sum[k] += gradient;
            product[k] += gradient * (from[k] - f->mean[k]);
        }
    for (uint32_t k = 0; k < block; k++) {
        ret_sums[k] = (double)sum[k];
        ret_sums[block + k] = (double)product[k];
    }
}

/* With g the gradient of y before ReLU, gamma the weight and means over the set: dx = (gamma g -
 * mean(gamma g) - (x - mean) / variance × mean(gamma g (x - mean))) / deviation. */
static void take_factors(struct nn_layer *layer, const struct nn_tensor *x,
                         struct nn_param *param) {
    const double *totals = layer->totals;

    for (uint32_t c = 0; c < x->c; c++) {
        double dgamma = 0, dbeta = 0;

        for (uint32_t n = 0; n < x->n; n++) {
            dgamma +=
                totals[((uint64_t)n * 2 + 1) * x->c + c] * (double)kept(layer, x, NN_INVERSE, n)[c];
            dbeta += totals[(uint64_t)n * 2 * x->c + c];
        }
        param[0].grad[c] = (float)dgamma;
        param[1].grad[c] = (float)dbeta;
    }
    for (uint32_t i = 0; i < sets(layer, x); i++) {
        struct set set = set_at(layer, x, i);
        double inverse = kept(layer, x, NN_INVERSE, set.n0)[set.c0];
        double mean = kept(layer, x, NN_MEAN, set.n0)[set.c0];
        double sums[2] = {0}, count = elements(x, &set), per_x;

        for (uint32_t n = set.n0; n < set.n1; n++)
            for (uint32_t c = set.c0; c < set.c1; c++)
                for (uint32_t k = 0; k < 2; k++)
                    sums[k] += totals[((uint64_t)n * 2 + k) * x->c + c] * (double)param[0].value[c];
        per_x = inverse * inverse * inverse * sums[1] / count;
        for (uint32_t c = set.c0; c < set.c1; c++) {
            kept(layer, x, NN_SLOPE, set.n0)[c] = (float)-per_x;
            kept(layer, x, NN_OFFSET, set.n0)[c] =
                (float)(per_x * mean - inverse * sums[0] / count);
        }
    }
}

static inline void input_gradient(uint32_t block, const float *restrict from,
                                  const float *restrict dy, float *restrict to, uint32_t pixels,
                                  const struct factors *f) {
    for (uint32_t p = 0; p < pixels; p++, from += block, dy += block, to += block)
        for (uint32_t k = 0; k < block; k++)
            to[k] = cut(f, k, from[k], dy[k]) * f->scale[k] + from[k] * f->slope[k] + f->offset[k];
}

void layer_norm_backward(struct nn_layer *layer, const struct nn_tensor *x, struct nn_tensor *y,
                         struct nn_param *param, float *dx) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++)
            for (uint64_t piece = 0; piece < nn_pieces(x); piece++) {
                uint64_t at = nn_plane(x, n, b) + piece * NN_PIECE * x->block;
                struct factors f = factors_at(layer, x, n, b);

                WITH_BLOCK(x->block, sum_products, x->data + at, y->grad + at,
                           layer_piece_pixels(x, piece), &f, layer_piece(layer, x, n, b, piece));
            }
    layer_total(layer, x);
    take_factors(layer, x, param);
#pragma omp parallel for collapse(3) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++)
            for (uint64_t piece = 0; piece < nn_pieces(x); piece++) {
                uint64_t at = nn_plane(x, n, b) + piece * NN_PIECE * x->block;
                struct factors f = factors_at(layer, x, n, b);

                WITH_BLOCK(x->block, input_gradient, x->data + at, y->grad + at, dx + at,
                           layer_piece_pixels(x, piece), &f);
            }
}
