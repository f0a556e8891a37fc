/* Batch, group and instance normalisation, what is added behind it, and what becomes of values
 * below zero: the same passes over other sets of statistics. y = scale × x + shift (+ skip), of
 * each row and channel. Without a skip, backward sees from x alone what was cut, so y is not read
 * again. */
#include <math.h>

#include "nn/loops.h"

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
NN_INLINE void sum_squares_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float sum[NN_LANES_MAX] = {0}, square[NN_LANES_MAX] = {0}, around[NN_LANES_MAX];

    NN_EACH_LANE(k, lanes)
        around[k] = nn_get(half, l->x, k);
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float apart = nn_get(half, l->x, i + k) - around[k];

            sum[k] += apart;
            square[k] += apart * apart;
        }
    NN_EACH_LANE(k, lanes) {
        double at = (double)around[k], apart = (double)sum[k];

        l->sums[k] = apart + l->pixels * at;
        l->sums[lanes + k] = (double)square[k] + 2 * at * apart + l->pixels * at * at;
    }
}
NN_LOOP(sum_squares)

static void sum_all(struct nn_layer *layer, const struct nn_tensor *x) {
    NN_EACH_PIECE(x) {
        struct nn_loop l = {.x = nn_at(x, x->data, nn_piece_at(x, n, g, piece)),
                            .pixels = layer_piece_pixels(x, piece),
                            .stride = x->block,
                            .sums = layer_piece(layer, x, n, g, piece)};

        sum_squares(x, &l);
    }
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

NN_INLINE void normalize_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float scale[NN_LANES_MAX], shift[NN_LANES_MAX];

    memcpy(scale, l->scale, lanes * sizeof(*scale));
    memcpy(shift, l->shift, lanes * sizeof(*shift));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float value = nn_get(half, l->x, i + k) * scale[k] + shift[k];

            nn_set(half, l->to, i + k, nn_leak(value, value, l->leak));
        }
}
NN_LOOP(normalize)

NN_INLINE void normalize_add_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float scale[NN_LANES_MAX], shift[NN_LANES_MAX];

    memcpy(scale, l->scale, lanes * sizeof(*scale));
    memcpy(shift, l->shift, lanes * sizeof(*shift));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float value = nn_get(half, l->x, i + k) * scale[k] + shift[k];

            value += nn_get(half, l->skip, i + k);
            nn_set(half, l->to, i + k, nn_leak(value, value, l->leak));
        }
}
NN_LOOP(normalize_add)

/* What a pass over a piece needs. */
static struct nn_loop loop_at(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t n,
                              uint32_t g, uint64_t piece) {
    uint32_t c = g * nn_lanes(x);

    return (struct nn_loop){.x = nn_at(x, x->data, nn_piece_at(x, n, g, piece)),
                            .mean = kept(layer, x, NN_MEAN, n) + c,
                            .scale = kept(layer, x, NN_SCALE, n) + c,
                            .shift = kept(layer, x, NN_SHIFT, n) + c,
                            .slope = kept(layer, x, NN_SLOPE, n) + c,
                            .offset = kept(layer, x, NN_OFFSET, n) + c,
                            .leak = layer->leak,
                            .pixels = layer_piece_pixels(x, piece),
                            .stride = x->block};
}

void layer_norm_forward(struct nn_layer *layer, const struct nn_tensor *x,
                        const struct nn_tensor *skip, struct nn_tensor *y, struct nn_param *param,
                        bool train) {
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
    NN_EACH_PIECE(x) {
        uint64_t at = nn_piece_at(x, n, g, piece);
        struct nn_loop l = loop_at(layer, x, n, g, piece);

        l.to = nn_at(y, y->data, at);
        if (layer->adds) {
            l.skip = nn_at(skip, skip->data, at);
            normalize_add(x, &l);
        } else {
            normalize(x, &l);
        }
    }
}

/* ---- backward ---- */

/* Sums of dy and of dy × (x - mean), of what went into ReLU. */
NN_INLINE void sum_products_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float sum[NN_LANES_MAX] = {0}, product[NN_LANES_MAX] = {0};
    float scale[NN_LANES_MAX], shift[NN_LANES_MAX], mean[NN_LANES_MAX];

    memcpy(scale, l->scale, lanes * sizeof(*scale));
    memcpy(shift, l->shift, lanes * sizeof(*shift));
    memcpy(mean, l->mean, lanes * sizeof(*mean));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float x = nn_get(half, l->x, i + k), dy = nn_get(half, l->dy, i + k);

            dy = nn_leak(x * scale[k] + shift[k], dy, l->leak);
            sum[k] += dy;
            product[k] += dy * (x - mean[k]);
        }
    NN_EACH_LANE(k, lanes) {
        l->sums[k] = (double)sum[k];
        l->sums[lanes + k] = (double)product[k];
    }
}
NN_LOOP(sum_products)

/* The same where something was added: what was cut shows in y. Keeps dy of what went into ReLU. */
NN_INLINE void cut_products_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float sum[NN_LANES_MAX] = {0}, product[NN_LANES_MAX] = {0}, mean[NN_LANES_MAX];

    memcpy(mean, l->mean, lanes * sizeof(*mean));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float x = nn_get(half, l->x, i + k), dy = nn_get(half, l->dy, i + k);

            dy = nn_leak(nn_get(half, l->y, i + k), dy, l->leak);
            sum[k] += dy;
            product[k] += dy * (x - mean[k]);
            nn_set(half, l->to, i + k, dy);
        }
    NN_EACH_LANE(k, lanes) {
        l->sums[k] = (double)sum[k];
        l->sums[lanes + k] = (double)product[k];
    }
}
NN_LOOP(cut_products)

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

/* dx = dy × scale + x × slope + offset */
NN_INLINE void input_gradient_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float scale[NN_LANES_MAX], shift[NN_LANES_MAX], slope[NN_LANES_MAX], offset[NN_LANES_MAX];

    memcpy(scale, l->scale, lanes * sizeof(*scale));
    memcpy(shift, l->shift, lanes * sizeof(*shift));
    memcpy(slope, l->slope, lanes * sizeof(*slope));
    memcpy(offset, l->offset, lanes * sizeof(*offset));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float x = nn_get(half, l->x, i + k), dy = nn_get(half, l->dy, i + k);

            dy = nn_leak(x * scale[k] + shift[k], dy, l->leak);
            nn_set(half, l->to, i + k, dy * scale[k] + x * slope[k] + offset[k]);
        }
}
NN_LOOP(input_gradient)

void layer_norm_backward(struct nn_layer *layer, const struct nn_tensor *x, struct nn_tensor *y,
                         struct nn_param *param, float *dx, float *dskip) {
    NN_EACH_PIECE(x) {
        uint64_t at = nn_piece_at(x, n, g, piece);
        struct nn_loop l = loop_at(layer, x, n, g, piece);

        l.dy = nn_at(y, y->grad, at);
        l.sums = layer_piece(layer, x, n, g, piece);
        if (layer->adds) {
            l.y = nn_at(y, y->data, at);
            l.to = nn_at(y, dskip, at);
            cut_products(x, &l);
        } else {
            sum_products(x, &l);
        }
    }
    layer_total(layer, x);
    take_factors(layer, x, param);
    NN_EACH_PIECE(x) {
        uint64_t at = nn_piece_at(x, n, g, piece);
        struct nn_loop l = loop_at(layer, x, n, g, piece);

        l.dy = nn_at(y, layer->adds ? dskip : y->grad, at);
        l.leak = layer->adds ? NN_LINEAR : layer->leak;
        l.to = nn_at(x, dx, at);
        input_gradient(x, &l);
    }
}
