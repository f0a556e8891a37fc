/* Layers beside convolution: bound by memory, so plain loops over channel blocks do. */
#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "nn/net.h"

#define EPSILON 1e-5f
#define MOMENTUM 0.1f
#define BLOCK_MAX 16

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

/* Mean and variance of a channel block: per image in f32, over images in f64. */
static void block_statistics(const struct nn_tensor *x, uint32_t b, float *mean, float *variance) {
    uint64_t pixels = (uint64_t)x->h * x->w;
    double total[BLOCK_MAX] = {0}, squares[BLOCK_MAX] = {0};
    double count = (double)x->n * (double)pixels;

    for (uint32_t n = 0; n < x->n; n++) {
        const float *from = x->data + plane(x, n, b);
        float sum[BLOCK_MAX] = {0}, square[BLOCK_MAX] = {0};

        if (x->block == 16)
            for (uint64_t p = 0; p < pixels; p++, from += 16)
                for (uint32_t k = 0; k < 16; k++) {
                    sum[k] += from[k];
                    square[k] += from[k] * from[k];
                }
        else
            for (uint64_t p = 0; p < pixels; p++, from += x->block)
                for (uint32_t k = 0; k < x->block; k++) {
                    sum[k] += from[k];
                    square[k] += from[k] * from[k];
                }
        for (uint32_t k = 0; k < x->block; k++) {
            total[k] += sum[k];
            squares[k] += square[k];
        }
    }
    for (uint32_t k = 0; k < x->block; k++) {
        double m = total[k] / count, v = squares[k] / count - m * m;

        mean[k] = (float)m;
        variance[k] = (float)(v > 0 ? v : 0);
    }
}

static void block_normalize(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y, uint32_t n, uint32_t b, const float *scale,
                            const float *shift) {
    uint64_t count = (uint64_t)x->h * x->w * x->block;
    const float *from = x->data + plane(x, n, b);
    float *to = y->data + plane(y, n, b);
    float floor = layer->relu ? 0 : -INFINITY;

    if (x->block == 16) {
        for (uint64_t i = 0; i < count; i += 16)
            for (uint32_t k = 0; k < 16; k++) {
                float value = from[i + k] * scale[k] + shift[k];

                to[i + k] = value > floor ? value : floor;
            }
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        float value = from[i] * scale[i % x->block] + shift[i % x->block];

        to[i] = value > floor ? value : floor;
    }
}

void layer_batch_norm_forward(struct nn_layer *layer, const struct nn_tensor *x,
                              struct nn_tensor *y, struct nn_param *param, bool train) {
    uint32_t blocks = x->c / x->block;
    double count = (double)x->n * x->h * x->w;
    float *means = layer->saved, *inverses = layer->saved + x->c;

#pragma omp parallel for schedule(static)
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t at = b * x->block;
        float variance[BLOCK_MAX];

        if (train)
            block_statistics(x, b, means + at, variance);
        for (uint32_t k = 0; k < x->block; k++) {
            float *running_mean = &param[2].value[at + k], *running = &param[3].value[at + k];

            if (train) {
                double unbiased = variance[k] * count / base_max_u64(1, (uint64_t)count - 1);

                *running_mean += MOMENTUM * (means[at + k] - *running_mean);
                *running += MOMENTUM * ((float)unbiased - *running);
            } else {
                means[at + k] = *running_mean;
                variance[k] = *running;
            }
            inverses[at + k] = 1 / sqrtf(variance[k] + EPSILON);
        }
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            float scale[BLOCK_MAX], shift[BLOCK_MAX];

            for (uint32_t k = 0; k < x->block; k++) {
                uint32_t c = b * x->block + k;

                scale[k] = param[0].value[c] * inverses[c];
                shift[k] = param[1].value[c] - means[c] * scale[k];
            }
            block_normalize(layer, x, y, n, b, scale, shift);
        }
}

/* Sums of dy and of dy × (x - mean) over a block; dy is cut by ReLU in place on the way. */
static void block_gradients(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y, uint32_t b, const float *mean, double *sum_dy,
                            double *sum_dyx) {
    uint64_t pixels = (uint64_t)x->h * x->w;

    for (uint32_t n = 0; n < x->n; n++) {
        uint64_t at = plane(x, n, b);
        const float *from = x->data + at, *out = y->data + at;
        float *dy = y->grad + at;
        float sum[BLOCK_MAX] = {0}, product[BLOCK_MAX] = {0};

        for (uint64_t i = 0; layer->relu && i < pixels * x->block; i++)
            dy[i] = out[i] > 0 ? dy[i] : 0;
        if (x->block == 16)
            for (uint64_t p = 0; p < pixels; p++, from += 16, dy += 16)
                for (uint32_t k = 0; k < 16; k++) {
                    sum[k] += dy[k];
                    product[k] += dy[k] * (from[k] - mean[k]);
                }
        else
            for (uint64_t p = 0; p < pixels; p++, from += x->block, dy += x->block)
                for (uint32_t k = 0; k < x->block; k++) {
                    sum[k] += dy[k];
                    product[k] += dy[k] * (from[k] - mean[k]);
                }
        for (uint32_t k = 0; k < x->block; k++) {
            sum_dy[k] += sum[k];
            sum_dyx[k] += product[k];
        }
    }
}

/* dx = gamma / deviation × (dy - mean(dy) - (x - mean) / variance × mean(dy × (x - mean))) */
static void block_input_gradient(const struct nn_tensor *x, const struct nn_tensor *y, uint32_t n,
                                 uint32_t b, const float *factor, const float *slope,
                                 const float *offset, float *dx) {
    uint64_t at = plane(x, n, b), count = (uint64_t)x->h * x->w * x->block;
    const float *from = x->data + at, *dy = y->grad + at;
    float *to = dx + at;

    if (x->block == 16) {
        for (uint64_t i = 0; i < count; i += 16)
            for (uint32_t k = 0; k < 16; k++)
                to[i + k] = dy[i + k] * factor[k] + from[i + k] * slope[k] + offset[k];
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint32_t k = (uint32_t)(i % x->block);

        to[i] = dy[i] * factor[k] + from[i] * slope[k] + offset[k];
    }
}

void layer_batch_norm_backward(struct nn_layer *layer, const struct nn_tensor *x,
                               struct nn_tensor *y, struct nn_param *param, float *dx) {
    uint32_t blocks = x->c / x->block;
    double count = (double)x->n * x->h * x->w;
    const float *means = layer->saved, *inverses = layer->saved + x->c;

#pragma omp parallel for schedule(static)
    for (uint32_t b = 0; b < blocks; b++) {
        double sum_dy[BLOCK_MAX] = {0}, sum_dyx[BLOCK_MAX] = {0};
        float factor[BLOCK_MAX], slope[BLOCK_MAX], offset[BLOCK_MAX];

        block_gradients(layer, x, y, b, means + b * x->block, sum_dy, sum_dyx);
        for (uint32_t k = 0; k < x->block; k++) {
            uint32_t c = b * x->block + k;
            double inverse = inverses[c], gamma = param[0].value[c];
            double per_x = gamma * inverse * inverse * inverse * sum_dyx[k] / count;

            param[0].grad[c] = (float)(sum_dyx[k] * inverse);
            param[1].grad[c] = (float)sum_dy[k];
            factor[k] = (float)(gamma * inverse);
            slope[k] = (float)-per_x;
            offset[k] = (float)(per_x * means[c] - gamma * inverse * sum_dy[k] / count);
        }
        for (uint32_t n = 0; n < x->n; n++)
            block_input_gradient(x, y, n, b, factor, slope, offset, dx);
    }
}

/* ---- addition ---- */

void layer_add_forward(const struct nn_layer *layer, const struct nn_tensor *a,
                       const struct nn_tensor *b, struct nn_tensor *y) {
    float floor = layer->relu ? 0 : -INFINITY;

#pragma omp parallel for simd schedule(static)
    for (uint64_t i = 0; i < y->count; i++) {
        float sum = a->data[i] + b->data[i];

        y->data[i] = sum > floor ? sum : floor;
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

/* The largest of a window; the first of equals. Returns its offset in the plane. */
static uint64_t window_max(const struct nn_layer *layer, const struct nn_tensor *x,
                           const float *from, uint32_t y, uint32_t px, uint32_t k) {
    uint64_t best = ((uint64_t)y * layer->kernel * x->w + px * layer->kernel) * x->block + k;

    for (uint32_t i = 0; i < layer->kernel; i++)
        for (uint32_t j = 0; j < layer->kernel; j++) {
            uint64_t at =
                ((uint64_t)(y * layer->kernel + i) * x->w + px * layer->kernel + j) * x->block + k;

            if (from[at] > from[best])
                best = at;
        }
    return best;
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
                for (uint32_t j = 0; j < y->w; j++)
                    for (uint32_t k = 0; k < x->block; k++)
                        *to++ = from[window_max(layer, x, from, i, j, k)];
        }
}

void layer_max_pool_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                             const struct nn_tensor *y, float *dx) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + plane(x, n, b), *dy = y->grad + plane(y, n, b);
            float *to = dx + plane(x, n, b);

            memset(to, 0, (uint64_t)x->h * x->w * x->block * sizeof(*to));
            for (uint32_t i = 0; i < y->h; i++)
                for (uint32_t j = 0; j < y->w; j++)
                    for (uint32_t k = 0; k < x->block; k++)
                        to[window_max(layer, x, from, i, j, k)] += *dy++;
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
