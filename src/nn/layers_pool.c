/* Pooling: the largest of windows, and the mean or the largest of whole images. */
#include "nn/loops.h"

/* The pixels that one of the outputs looks at: [from, end) of each axis: depth, height, width. */
struct window {
    uint32_t from[3], end[3];
};

/* The window of output `at`, along one axis. */
NN_INLINE void window_along(const struct nn_loop *l, int axis, uint32_t at, struct window *window) {
    const struct nn_layer *layer = l->layer;
    uint32_t side = axis == 0 ? l->in->d : axis == 1 ? l->in->h : l->in->w;
    uint32_t first = at * layer->stride;

    if (axis == 0 && layer->dims == 2) {
        window->from[axis] = at;
        window->end[axis] = at + 1;
        return;
    }
    window->from[axis] = first > layer->pad ? first - layer->pad : 0;
    window->end[axis] = (uint32_t)base_min_u64(side, first + layer->kernel - layer->pad);
}

/* Where a pixel lies in its plane. */
NN_INLINE uint64_t pixel_at(const struct nn_loop *l, uint64_t step, uint32_t z, uint32_t i,
                            uint32_t j) {
    return (((uint64_t)z * l->in->h + i) * l->in->w + j) * step;
}

NN_INLINE void window_max(uint32_t lanes, bool half, const struct nn_loop *l,
                          const struct window *window, uint64_t to) {
    uint64_t step = nn_step(lanes, half, l);
    uint64_t at = pixel_at(l, step, window->from[0], window->from[1], window->from[2]);
    float most[NN_LANES_MAX];

    NN_EACH_LANE(k, lanes)
        most[k] = nn_get(half, l->x, at + k);
    for (uint32_t z = window->from[0]; z < window->end[0]; z++)
        for (uint32_t i = window->from[1]; i < window->end[1]; i++)
            for (uint32_t j = window->from[2]; j < window->end[2]; j++) {
                at = pixel_at(l, step, z, i, j);
                NN_EACH_LANE(k, lanes) {
                    float value = nn_get(half, l->x, at + k);

                    most[k] = value > most[k] ? value : most[k];
                }
            }
    NN_EACH_LANE(k, lanes)
        nn_set(half, l->to, to + k, most[k]);
}

NN_INLINE void max_pool_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    struct window window;
    uint64_t to = 0, step = nn_step(lanes, half, l);

    for (uint32_t z = 0; z < l->out->d; z++) {
        window_along(l, 0, z, &window);
        for (uint32_t i = 0; i < l->out->h; i++) {
            window_along(l, 1, i, &window);
            for (uint32_t j = 0; j < l->out->w; j++, to += step) {
                window_along(l, 2, j, &window);
                window_max(lanes, half, l, &window, to);
            }
        }
    }
}
NN_LOOP(max_pool)

/* Without a branch, so that a loop of them becomes vectors. */
static inline float value_if(bool yes, float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    bits &= -(uint32_t)yes;
    memcpy(&value, &bits, sizeof(bits));
    return value;
}

/* The first of a window's largest takes the gradient. */
NN_INLINE void window_gradient(uint32_t lanes, bool half, const struct nn_loop *l,
                               const struct window *window, uint64_t from) {
    uint64_t step = nn_step(lanes, half, l);
    float left[NN_LANES_MAX], largest[NN_LANES_MAX];

    NN_EACH_LANE(k, lanes) {
        left[k] = nn_get(half, l->dy, from + k);
        largest[k] = nn_get(half, l->y, from + k);
    }
    for (uint32_t z = window->from[0]; z < window->end[0]; z++)
        for (uint32_t i = window->from[1]; i < window->end[1]; i++)
            for (uint32_t j = window->from[2]; j < window->end[2]; j++) {
                uint64_t at = pixel_at(l, step, z, i, j);

                NN_EACH_LANE(k, lanes) {
                    float value = nn_get(half, l->x, at + k);
                    float taken = value_if(value == largest[k], left[k]);

                    /* windows may overlap */
                    nn_set(half, l->to, at + k, nn_get(half, l->to, at + k) + taken);
                    left[k] -= taken; /* all of it, or nothing */
                }
            }
}

NN_INLINE void max_pool_gradient_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    struct window window;
    uint64_t from = 0, step = nn_step(lanes, half, l);

    for (uint64_t p = 0; p < l->pixels; p++)
        NN_EACH_LANE(k, lanes)
            nn_set(half, l->to, p * step + k, 0);
    for (uint32_t z = 0; z < l->out->d; z++) {
        window_along(l, 0, z, &window);
        for (uint32_t i = 0; i < l->out->h; i++) {
            window_along(l, 1, i, &window);
            for (uint32_t j = 0; j < l->out->w; j++, from += step) {
                window_along(l, 2, j, &window);
                window_gradient(lanes, half, l, &window, from);
            }
        }
    }
}
NN_LOOP(max_pool_gradient)

void layer_max_pool_forward(const struct nn_layer *layer, const struct nn_tensor *x,
                            struct nn_tensor *y) {
    uint32_t groups = nn_groups(x);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t g = 0; g < groups; g++) {
            struct nn_loop l = {.layer = layer,
                                .in = x,
                                .out = y,
                                .x = nn_at(x, x->data, nn_group(x, n, g)),
                                .to = nn_at(y, y->data, nn_group(y, n, g)),
                                .stride = x->block};

            max_pool(x, &l);
        }
}

void layer_max_pool_backward(const struct nn_layer *layer, const struct nn_tensor *x,
                             const struct nn_tensor *y, float *dx) {
    uint32_t groups = nn_groups(x);

#pragma omp parallel for collapse(2) schedule(static)
    for (uint32_t n = 0; n < x->n; n++)
        for (uint32_t g = 0; g < groups; g++) {
            struct nn_loop l = {.layer = layer,
                                .in = x,
                                .out = y,
                                .x = nn_at(x, x->data, nn_group(x, n, g)),
                                .y = nn_at(y, y->data, nn_group(y, n, g)),
                                .dy = nn_at(y, y->grad, nn_group(y, n, g)),
                                .to = nn_at(x, dx, nn_group(x, n, g)),
                                .pixels = (uint32_t)nn_pixels(x),
                                .stride = x->block};

            max_pool_gradient(x, &l);
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
