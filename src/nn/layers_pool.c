/* Pooling: the largest of windows, and the mean or the largest of whole images. */
#include "nn/loops.h"

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

NN_INLINE void window_max(uint32_t lanes, bool half, const struct window *window,
                          const struct nn_tensor *x, const void *from, void *to) {
    float most[NN_LANES_MAX] = {0};
    bool first = true;

    for (uint32_t z = window->from[0]; z < window->end[0]; z++)
        for (uint32_t i = window->from[1]; i < window->end[1]; i++)
            for (uint32_t j = window->from[2]; j < window->end[2]; j++, first = false) {
                uint64_t at = (((uint64_t)z * x->h + i) * x->w + j) * x->block;

                for (uint32_t k = 0; k < lanes; k++) {
                    float value = nn_get(half, from, at + k);

                    most[k] = first || value > most[k] ? value : most[k];
                }
            }
    for (uint32_t k = 0; k < lanes; k++)
        nn_set(half, to, k, most[k]);
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
NN_INLINE void window_gradient(uint32_t lanes, bool half, const struct window *window,
                               const struct nn_tensor *x, const void *from, const void *most,
                               const void *dy, void *to) {
    float left[NN_LANES_MAX], largest[NN_LANES_MAX];

    for (uint32_t k = 0; k < lanes; k++) {
        left[k] = nn_get(half, dy, k);
        largest[k] = nn_get(half, most, k);
    }
    for (uint32_t z = window->from[0]; z < window->end[0]; z++)
        for (uint32_t i = window->from[1]; i < window->end[1]; i++)
            for (uint32_t j = window->from[2]; j < window->end[2]; j++) {
                uint64_t at = (((uint64_t)z * x->h + i) * x->w + j) * x->block;

#pragma GCC ivdep
                for (uint32_t k = 0; k < lanes; k++) {
                    float value = nn_get(half, from, at + k);
                    float taken = value_if(value == largest[k], left[k]);

                    /* windows may overlap */
                    nn_set(half, to, at + k, nn_get(half, to, at + k) + taken);
                    left[k] -= taken; /* all of it, or nothing */
                }
            }
}

void layer_max_pool_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y) {
    uint32_t groups = nn_groups(x);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t g = 0; g < groups; g++) {
            const void *from = nn_at(x, x->data, nn_group(x, n, g));
            uint64_t at = nn_group(y, n, g);

            for (uint32_t z = 0; z < y->d; z++)
                for (uint32_t i = 0; i < y->h; i++)
                    for (uint32_t j = 0; j < y->w; j++, at += x->block) {
                        struct window window = window_at(layer, x, (uint32_t[]){z, i, j});

                        WITH_LANES(x, window_max, &window, x, from, nn_at(y, y->data, at));
                    }
        }
}

void layer_max_pool_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                             const struct nn_tensor *y, float *dx) {
    uint32_t groups = nn_groups(x);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t g = 0; g < groups; g++) {
            const void *from = nn_at(x, x->data, nn_group(x, n, g));
            void *to = nn_at(x, dx, nn_group(x, n, g));
            uint64_t at = nn_group(y, n, g);

            for (uint64_t p = 0; p < nn_pixels(x); p++)
                memset(nn_at(x, to, p * x->block), 0, nn_lanes(x) * nn_element_bytes(x));
            for (uint32_t z = 0; z < y->d; z++)
                for (uint32_t i = 0; i < y->h; i++)
                    for (uint32_t j = 0; j < y->w; j++, at += x->block) {
                        struct window window = window_at(layer, x, (uint32_t[]){z, i, j});

                        WITH_LANES(x, window_gradient, &window, x, from, nn_at(y, y->data, at),
                                   nn_at(y, y->grad, at), to);
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
            const void *from = nn_at(x, x->data, nn_plane(x, n, b));
            float *to = y->data + (uint64_t)n * x->c + (uint64_t)b * x->block;

            for (uint32_t k = 0; k < x->block; k++) {
                float sum = 0, most = nn_get(x->half, from, k);

                for (uint64_t p = 0; p < pixels; p++) {
                    float value = nn_get(x->half, from, p * x->block + k);

                    sum += value;
                    most = value > most ? value : most;
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
            const void *from = nn_at(x, x->data, nn_plane(x, n, b));
            const float *most = y->data + channel, *dy = y->grad + channel;
            void *to = nn_at(x, dx, nn_plane(x, n, b));

            for (uint32_t k = 0; k < x->block; k++) {
                bool given = false; /* the first of equals takes it all */

                for (uint64_t p = 0; p < pixels; p++) {
                    uint64_t i = p * x->block + k;
                    bool takes = !given && nn_get(x->half, from, i) == most[k];

                    if (layer->kind == NN_GLOBAL_MEAN)
                        nn_set(x->half, to, i, dy[k] / (float)pixels);
                    else
                        nn_set(x->half, to, i, takes ? dy[k] : 0);
                    given |= takes;
                }
            }
        }
}
