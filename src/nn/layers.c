/* Layers beside convolution: bound by memory, so plain loops over channel blocks do. */
#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "nn/net.h"

#define EPSILON 1e-5f
#define MOMENTUM 0.1f
#define BLOCK_MAX 16

/* Call a loop over blocks with the block as a constant, which makes vectors of it. */
#define WITH_BLOCK(block, loop, ...)                                                               \
    ((block) == 16  ? loop(16, __VA_ARGS__)                                                        \
     : (block) == 8 ? loop(8, __VA_ARGS__)                                                         \
                    : loop(block, __VA_ARGS__))

void nn_threads_set(uint32_t threads) {
#ifdef _OPENMP
    omp_set_num_threads((int)threads);
#else
    (void)threads;
#endif
}

/* The elements of image n and channel block b: [h × w][block]. */
static uint64_t plane(const struct nn_tensor *t, uint32_t n, uint32_t b) {
    return ((uint64_t)n * (t->c / t->block) + b) * t->h * t->w * t->block;
}

/* ---- batch normalisation ---- */

/* A batch's images are summed in so many parts, whatever the number of threads: the bits depend on
 * the parts alone. Channels alone would not occupy all threads. */
static uint32_t part_begin(const struct nn_tensor *x, uint32_t part) {
    return (uint32_t)((uint64_t)x->n * part / NN_SUM_PARTS);
}

/* Two sums over the images of a part: [2][c] of the layer's sums. */
static double *part_sums(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t part,
                         uint32_t block) {
    return layer->sums + (uint64_t)part * 2 * x->c + block * x->block;
}

/* Add up the parts, in order. */
static void whole_sums(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t c,
                       double ret_sums[2]) {
    ret_sums[0] = ret_sums[1] = 0;
    for (uint32_t part = 0; part < NN_SUM_PARTS; part++)
        for (uint32_t i = 0; i < 2; i++)
            ret_sums[i] += layer->sums[((uint64_t)part * 2 + i) * x->c + c];
}

static inline void sum_squares(uint32_t block, const float *from, uint64_t pixels, float *sum,
                               float *square) {
    for (uint64_t p = 0; p < pixels; p++, from += block)
        for (uint32_t k = 0; k < block; k++) {
            sum[k] += from[k];
            square[k] += from[k] * from[k];
        }
}

/* Sums of x and of x² over a part of a channel block: per image in f32, over images in f64. */
static void part_statistics(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t part,
                            uint32_t b) {
    uint64_t pixels = (uint64_t)x->h * x->w;
    double *total = part_sums(layer, x, part, b), *squares = total + x->c;

    memset(total, 0, x->block * sizeof(*total));
    memset(squares, 0, x->block * sizeof(*squares));
    for (uint32_t n = part_begin(x, part); n < part_begin(x, part + 1); n++) {
        const float *from = x->data + plane(x, n, b);
        float sum[BLOCK_MAX] = {0}, square[BLOCK_MAX] = {0};

        WITH_BLOCK(x->block, sum_squares, from, pixels, sum, square);
        for (uint32_t k = 0; k < x->block; k++) {
            total[k] += sum[k];
            squares[k] += square[k];
        }
    }
}

/* The batch's mean and deviation into `saved`, and into the running ones. */
static void take_statistics(struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_param *param) {
    float *means = layer->saved, *inverses = layer->saved + x->c;
    double count = (double)x->n * x->h * x->w;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t part = 0; part < NN_SUM_PARTS; part++)
        for (uint32_t b = 0; b < x->c / x->block; b++)
            part_statistics(layer, x, part, b);
    for (uint32_t c = 0; c < x->c; c++) {
        double sums[2], mean, variance;

        whole_sums(layer, x, c, sums);
        mean = sums[0] / count;
        variance = sums[1] / count - mean * mean;
        variance = variance > 0 ? variance : 0;
        means[c] = (float)mean;
        inverses[c] = 1 / sqrtf((float)variance + EPSILON);
        param[2].value[c] += MOMENTUM * ((float)mean - param[2].value[c]);
        variance *= count / (count > 1 ? count - 1 : 1); /* unbiased */
        param[3].value[c] += MOMENTUM * ((float)variance - param[3].value[c]);
    }
}

static inline void normalize(uint32_t block, const float *from, float *to, uint64_t pixels,
                             const float *scale, const float *shift, float floor) {
    for (uint64_t p = 0; p < pixels; p++, from += block, to += block)
        for (uint32_t k = 0; k < block; k++) {
            float value = from[k] * scale[k] + shift[k];

            to[k] = value < floor ? floor : value; /* lets what is no number through */
        }
}

void layer_batch_norm_forward(struct nn_layer *layer, const struct nn_tensor *x,
                              struct nn_tensor *y, struct nn_param *param, bool train) {
    float *means = layer->saved, *inverses = layer->saved + x->c;

    if (train)
        take_statistics(layer, x, param);
    for (uint32_t c = 0; c < x->c && !train; c++) {
        means[c] = param[2].value[c];
        inverses[c] = 1 / sqrtf(param[3].value[c] + EPSILON);
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < x->c / x->block; b++) {
            float scale[BLOCK_MAX], shift[BLOCK_MAX];

            for (uint32_t k = 0; k < x->block; k++) {
                uint32_t c = b * x->block + k;

                scale[k] = param[0].value[c] * inverses[c];
                shift[k] = param[1].value[c] - means[c] * scale[k];
            }
            WITH_BLOCK(x->block, normalize, x->data + plane(x, n, b), y->data + plane(y, n, b),
                       (uint64_t)x->h * x->w, scale, shift, layer->relu ? 0 : -INFINITY);
        }
}

static inline void sum_products(uint32_t block, const float *from, const float *dy, uint64_t pixels,
                                const float *mean, float *sum, float *product) {
    for (uint64_t p = 0; p < pixels; p++, from += block, dy += block)
        for (uint32_t k = 0; k < block; k++) {
            sum[k] += dy[k];
            product[k] += dy[k] * (from[k] - mean[k]);
        }
}

/* Sums of dy and of dy × (x - mean) over a part of a block; dy is cut by ReLU in place on the way.
 */
static void part_gradients(const struct nn_layer *layer, const struct nn_tensor *x,
                           struct nn_tensor *y, uint32_t part, uint32_t b) {
    const float *mean = layer->saved + b * x->block;
    double *sum_dy = part_sums(layer, x, part, b), *sum_dyx = sum_dy + x->c;
    uint64_t pixels = (uint64_t)x->h * x->w;

    memset(sum_dy, 0, x->block * sizeof(*sum_dy));
    memset(sum_dyx, 0, x->block * sizeof(*sum_dyx));
    for (uint32_t n = part_begin(x, part); n < part_begin(x, part + 1); n++) {
        uint64_t at = plane(x, n, b);
        const float *from = x->data + at, *out = y->data + at;
        float *dy = y->grad + at;
        float sum[BLOCK_MAX] = {0}, product[BLOCK_MAX] = {0};

        for (uint64_t i = 0; layer->relu && i < pixels * x->block; i++)
            dy[i] = out[i] > 0 ? dy[i] : 0;
        WITH_BLOCK(x->block, sum_products, from, dy, pixels, mean, sum, product);
        for (uint32_t k = 0; k < x->block; k++) {
            sum_dy[k] += sum[k];
            sum_dyx[k] += product[k];
        }
    }
}

/* dx = gamma / deviation × (dy - mean(dy) - (x - mean) / variance × mean(dy × (x - mean))) */
static inline void input_gradient(uint32_t block, const float *from, const float *dy, float *to,
                                  uint64_t pixels, const float *factor, const float *slope,
                                  const float *offset) {
    for (uint64_t p = 0; p < pixels; p++, from += block, dy += block, to += block)
        for (uint32_t k = 0; k < block; k++)
            to[k] = dy[k] * factor[k] + from[k] * slope[k] + offset[k];
}

void layer_batch_norm_backward(struct nn_layer *layer, const struct nn_tensor *x,
                               struct nn_tensor *y, struct nn_param *param, float *dx) {
    double count = (double)x->n * x->h * x->w;
    float *means = layer->saved, *inverses = means + x->c;
    float *factor = inverses + x->c, *slope = factor + x->c, *offset = slope + x->c;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t part = 0; part < NN_SUM_PARTS; part++)
        for (uint32_t b = 0; b < x->c / x->block; b++)
            part_gradients(layer, x, y, part, b);
    for (uint32_t c = 0; c < x->c; c++) {
        double inverse = inverses[c], gamma = param[0].value[c], sums[2], per_x;

        whole_sums(layer, x, c, sums);
        per_x = gamma * inverse * inverse * inverse * sums[1] / count;
        param[0].grad[c] = (float)(sums[1] * inverse);
        param[1].grad[c] = (float)sums[0];
        factor[c] = (float)(gamma * inverse);
        slope[c] = (float)-per_x;
        offset[c] = (float)(per_x * means[c] - gamma * inverse * sums[0] / count);
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < x->c / x->block; b++) {
            uint32_t c = b * x->block;

            WITH_BLOCK(x->block, input_gradient, x->data + plane(x, n, b), y->grad + plane(y, n, b),
                       dx + plane(x, n, b), (uint64_t)x->h * x->w, factor + c, slope + c,
                       offset + c);
        }
}

/* ---- addition ---- */

void layer_add_forward(const struct nn_layer *layer, const struct nn_tensor *a,
                       const struct nn_tensor *b, struct nn_tensor *y) {
    float floor = layer->relu ? 0 : -INFINITY;

#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < y->count; i++) {
        float sum = a->data[i] + b->data[i];

        y->data[i] = sum < floor ? floor : sum;
    }
}

void layer_add_backward(const struct nn_layer *layer, struct nn_tensor *y, float *dx) {
#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < y->count; i++) {
        float dy = !layer->relu || y->data[i] > 0 ? y->grad[i] : 0;

        y->grad[i] = dy;
        dx[i] = dy;
    }
}

void layer_accumulate(float *to, const float *from, uint64_t count) {
#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < count; i++)
        to[i] += from[i];
}

/* ---- pooling ---- */

/* Where pixel (i, j) of the window at (y, px) lies in a plane, in blocks. */
static uint64_t window_at(const struct nn_layer *layer, const struct nn_tensor *x, uint32_t y,
                          uint32_t px, uint32_t i, uint32_t j) {
    return (uint64_t)(y * layer->kernel + i) * x->w + px * layer->kernel + j;
}

static inline void window_max(uint32_t block, const struct nn_layer *layer,
                              const struct nn_tensor *x, const float *from, uint32_t y, uint32_t px,
                              float *to) {
    for (uint32_t i = 0; i < layer->kernel; i++)
        for (uint32_t j = 0; j < layer->kernel; j++) {
            const float *at = from + window_at(layer, x, y, px, i, j) * block;

            for (uint32_t k = 0; k < block; k++)
                to[k] = (i | j) == 0 || at[k] > to[k] ? at[k] : to[k];
        }
}

/* Without a branch, so that a loop of them becomes vectors. */
static inline float value_if(bool yes, float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    bits &= -(uint32_t)yes;
    memcpy(&value, &bits, sizeof(bits));
    return value;
}

/* The first of a window's largest takes the gradient. */
static inline void window_gradient(uint32_t block, const struct nn_layer *layer,
                                   const struct nn_tensor *x, const float *from, const float *most,
                                   const float *dy, uint32_t y, uint32_t px, float *to) {
    float left[BLOCK_MAX];

    memcpy(left, dy, block * sizeof(*left));
    for (uint32_t i = 0; i < layer->kernel; i++)
        for (uint32_t j = 0; j < layer->kernel; j++) {
            uint64_t at = window_at(layer, x, y, px, i, j) * block;
            const float *restrict value = from + at;
            float *restrict gradient = to + at;

#pragma GCC ivdep
            for (uint32_t k = 0; k < block; k++) {
                float taken = value_if(value[k] == most[k], left[k]);

                gradient[k] = taken;
                left[k] -= taken; /* all of it, or nothing */
            }
        }
}

void layer_max_pool_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + plane(x, n, b);
            float *to = y->data + plane(y, n, b);

            for (uint32_t i = 0; i < y->h; i++)
                for (uint32_t j = 0; j < y->w; j++, to += x->block)
                    WITH_BLOCK(x->block, window_max, layer, x, from, i, j, to);
        }
}

void layer_max_pool_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                             const struct nn_tensor *y, float *dx) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + plane(x, n, b), *dy = y->grad + plane(y, n, b);
            const float *most = y->data + plane(y, n, b);
            float *to = dx + plane(x, n, b);

            /* What no window covers gets nothing. */
            if (x->h % layer->kernel || x->w % layer->kernel)
                memset(to, 0, (uint64_t)x->h * x->w * x->block * sizeof(*to));
            for (uint32_t i = 0; i < y->h; i++)
                for (uint32_t j = 0; j < y->w; j++, dy += x->block, most += x->block)
                    WITH_BLOCK(x->block, window_gradient, layer, x, from, most, dy, i, j, to);
        }
}

void layer_global_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                          struct nn_tensor *y) {
    uint64_t pixels = (uint64_t)x->h * x->w;
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + plane(x, n, b);
            float *to = y->data + (uint64_t)n * x->c + (uint64_t)b * x->block;

            for (uint32_t k = 0; k < x->block; k++) {
                float sum = 0, most = from[k];

                for (uint64_t p = 0; p < pixels; p++) {
                    sum += from[p * x->block + k];
                    most = from[p * x->block + k] > most ? from[p * x->block + k] : most;
                }
                to[k] = layer->kind == NN_GLOBAL_MAX ? most : sum / (float)pixels;
            }
        }
}

void layer_global_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                           const struct nn_tensor *y, float *dx) {
    uint64_t pixels = (uint64_t)x->h * x->w;
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            uint64_t channel = (uint64_t)n * x->c + (uint64_t)b * x->block;
            const float *from = x->data + plane(x, n, b), *dy = y->grad + channel;
            const float *most = y->data + channel;
            float *to = dx + plane(x, n, b);

            for (uint32_t k = 0; k < x->block; k++) {
                bool given = false; /* the first of equals takes it all */

                for (uint64_t p = 0; p < pixels; p++) {
                    uint64_t i = p * x->block + k;
                    bool takes = !given && from[i] == most[k];

                    if (layer->kind == NN_GLOBAL_MEAN)
                        to[i] = dy[k] / (float)pixels;
                    else
                        to[i] = takes ? dy[k] : 0;
                    given |= takes;
                }
            }
        }
}

/* ---- dense ---- */

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
