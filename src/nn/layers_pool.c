/* Pooling: the largest of windows, and the mean or the largest of whole images. */
#include "nn/net.h"

/* The pixels that one of the outputs looks at: [from, end) of each axis: depth, height, width. */
struct window {
    uint32_t from[3], end[3];
};

static struct window window_at(const struct nn_layer *layer, const struct nn_tensor *x,
                               const uint32_t out[3]) {
    const uint32_t sides[3] = {x->d, x->h, x->w};
    struct window window;

    for (int axis = 0; axis < 3; axis++) {
        uint32_t at = out[axis] * layer->stride;

        if (axis == 0 && layer->dims == 2) {
            window.from[0] = out[0];
            window.end[0] = out[0] + 1;
            continue;
        }
        window.from[axis] = at > layer->pad ? at - layer->pad : 0;
        window.end[axis] = (uint32_t)base_min_u64(sides[axis], at + layer->kernel - layer->pad);
    }
    return window;
}

static inline void window_max(uint32_t block, const struct window *window,
                              const struct nn_tensor *x, const float *from, float *to) {
    bool first = true;

    for (uint32_t z = window->from[0]; z < window->end[0]; z++)
        for (uint32_t i = window->from[1]; i < window->end[1]; i++)
            for (uint32_t j = window->from[2]; j < window->end[2]; j++, first = false) {
                const float *at = from + (((uint64_t)z * x->h + i) * x->w + j) * block;

                for (uint32_t k = 0; k < block; k++)
                    to[k] = first || at[k] > to[k] ? at[k] : to[k];
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
static inline void window_gradient(uint32_t block, const struct window *window,
                                   const struct nn_tensor *x, const float *from, const float *most,
                                   const float *dy, float *to) {
    float left[NN_BLOCK_MAX];

    memcpy(left, dy, block * sizeof(*left));
    for (uint32_t z = window->from[0]; z < window->end[0]; z++)
        for (uint32_t i = window->from[1]; i < window->end[1]; i++)
            for (uint32_t j = window->from[2]; j < window->end[2]; j++) {
                uint64_t at = (((uint64_t)z * x->h + i) * x->w + j) * block;
                const float *restrict value = from + at;
                float *restrict gradient = to + at;

#pragma GCC ivdep
                for (uint32_t k = 0; k < block; k++) {
                    float taken = value_if(value[k] == most[k], left[k]);

                    gradient[k] += taken; /* windows may overlap */
                    left[k] -= taken;     /* all of it, or nothing */
                }
            }
}

void layer_max_pool_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + nn_plane(x, n, b);
            float *to = y->data + nn_plane(y, n, b);

            for (uint32_t z = 0; z < y->d; z++)
                for (uint32_t i = 0; i < y->h; i++)
                    for (uint32_t j = 0; j < y->w; j++, to += x->block) {
                        struct window window = window_at(layer, x, (uint32_t[]){z, i, j});

                        WITH_BLOCK(x->block, window_max, &window, x, from, to);
                    }
        }
}

void layer_max_pool_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                             const struct nn_tensor *y, float *dx) {
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + nn_plane(x, n, b), *dy = y->grad + nn_plane(y, n, b);
            const float *most = y->data + nn_plane(y, n, b);
            float *to = dx + nn_plane(x, n, b);

            memset(to, 0, nn_pixels(x) * x->block * sizeof(*to));
            for (uint32_t z = 0; z < y->d; z++)
                for (uint32_t i = 0; i < y->h; i++)
                    for (uint32_t j = 0; j < y->w; j++, dy += x->block, most += x->block) {
                        struct window window = window_at(layer, x, (uint32_t[]){z, i, j});

                        WITH_BLOCK(x->block, window_gradient, &window, x, from, most, dy, to);
                    }
        }
}

void layer_global_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                          struct nn_tensor *y) {
    uint64_t pixels = nn_pixels(x);
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            const float *from = x->data + nn_plane(x, n, b);
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
    uint64_t pixels = nn_pixels(x);
    uint32_t blocks = x->c / x->block;

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t b = 0; b < blocks; b++) {
            uint64_t channel = (uint64_t)n * x->c + (uint64_t)b * x->block;
            const float *from = x->data + nn_plane(x, n, b), *dy = y->grad + channel;
            const float *most = y->data + channel;
            float *to = dx + nn_plane(x, n, b);

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
