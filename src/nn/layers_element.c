/* Layers that look at one element at a time, or only move them: addition, PReLU, bias, and channels
 * put one behind the other. */
#include "nn/loops.h"

/* ---- addition ---- */

NN_INLINE void add_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float sum = nn_get(half, l->x, i + k) + nn_get(half, l->skip, i + k);

            nn_set(half, l->to, i + k, nn_leak(sum, sum, l->leak));
        }
}
NN_LOOP(add)

void layer_add_forward(const struct nn_layer *layer, const struct nn_tensor *left,
                       const struct nn_tensor *right, struct nn_tensor *y) {
    NN_EACH_PIECE(y) {
        uint64_t at = nn_piece_at(y, n, g, piece);
        struct nn_loop l = {.x = nn_at(left, left->data, at),
                            .skip = nn_at(right, right->data, at),
                            .to = nn_at(y, y->data, at),
                            .leak = layer->leak,
                            .pixels = layer_piece_pixels(y, piece),
                            .stride = y->block};

        add(y, &l);
    }
}

/* dy by the sign of y, to both. */
NN_INLINE void cut_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    void *own = (void *)(uintptr_t)l->dy;

    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float y = nn_get(half, l->y, i + k);
            float dy = nn_leak(y, nn_get(half, l->dy, i + k), l->leak);

            nn_set(half, own, i + k, dy);
            nn_set(half, l->to, i + k, dy);
        }
}
NN_LOOP(cut)

void layer_add_backward(const struct nn_layer *layer, struct nn_tensor *y, float *dx) {
    NN_EACH_PIECE(y) {
        uint64_t at = nn_piece_at(y, n, g, piece);
        struct nn_loop l = {.y = nn_at(y, y->data, at),
                            .dy = nn_at(y, y->grad, at),
                            .to = nn_at(y, dx, at),
                            .leak = layer->leak,
                            .pixels = layer_piece_pixels(y, piece),
                            .stride = y->block};

        cut(y, &l);
    }
}

/* ---- channels, one behind the other ---- */

/* Between the channels from `first` on of a row of `wide` and those of `narrow`: in blocks they lie
 * together, in bf16 side by side in each pixel. */
static void copy_channels(const struct nn_tensor *wide, void *wide_values, uint32_t first,
                          const struct nn_tensor *narrow, void *narrow_values, uint32_t n,
                          bool gather) {
    uint64_t pixels = nn_pixels(wide), bytes = nn_element_bytes(wide);
    uint64_t runs = wide->half ? pixels : NN_PARTS;

#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < runs; i++) {
        uint64_t count = wide->half ? narrow->c : pixels * narrow->c;
        uint64_t begin = wide->half ? 0 : count * i / runs;
        uint64_t end = wide->half ? count : count * (i + 1) / runs;
        uint64_t at = wide->half ? (n * pixels + i) * wide->c + first
                                 : (n * (uint64_t)wide->c + first) * pixels;
        uint64_t from = wide->half ? (n * pixels + i) * narrow->c : n * count;
        void *a = nn_at(wide, wide_values, at + begin);
        void *b = nn_at(narrow, narrow_values, from + begin);

        memcpy(gather ? a : b, gather ? b : a, (end - begin) * bytes);
    }
}

void layer_concat_forward(const struct nn_tensor *a, const struct nn_tensor *b,
                          struct nn_tensor *y) {
    for (uint32_t n = 0; n < y->n; n++) {
        copy_channels(y, y->data, 0, a, a->data, n, true);
        copy_channels(y, y->data, a->c, b, b->data, n, true);
    }
}

void layer_concat_backward(const struct nn_tensor *y, uint32_t first, const struct nn_tensor *x,
                           float *dx) {
    for (uint32_t n = 0; n < x->n; n++)
        copy_channels(y, y->grad, first, x, dx, n, false);
}

/* ---- bias ---- */

NN_INLINE void add_bias_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float bias[NN_LANES_MAX];

    memcpy(bias, l->shift, lanes * sizeof(*bias));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes)
            nn_set(half, l->to, i + k, nn_get(half, l->to, i + k) + bias[k]);
}
NN_LOOP(add_bias)

void layer_bias_forward(struct nn_tensor *y, const struct nn_param *param) {
    NN_EACH_PIECE(y) {
        struct nn_loop l = {.to = nn_at(y, y->data, nn_piece_at(y, n, g, piece)),
                            .shift = param->value + g * nn_lanes(y),
                            .pixels = layer_piece_pixels(y, piece),
                            .stride = y->block};

        add_bias(y, &l);
    }
}

NN_INLINE void sum_up_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float sum[NN_LANES_MAX] = {0};

    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes)
            sum[k] += nn_get(half, l->dy, i + k);
    NN_EACH_LANE(k, lanes) {
        l->sums[k] = (double)sum[k];
        l->sums[lanes + k] = 0;
    }
}
NN_LOOP(sum_up)

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
    NN_EACH_PIECE(y) {
        struct nn_loop l = {.dy = nn_at(y, y->grad, nn_piece_at(y, n, g, piece)),
                            .pixels = layer_piece_pixels(y, piece),
                            .stride = y->block,
                            .sums = layer_piece(layer, y, n, g, piece)};

        sum_up(y, &l);
    }
    give_totals(layer, y, param);
}

/* ---- PReLU ---- */

NN_INLINE void prelu_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float leak[NN_LANES_MAX];

    memcpy(leak, l->scale, lanes * sizeof(*leak));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float x = nn_get(half, l->x, i + k);

            nn_set(half, l->to, i + k, nn_leak(x, x, leak[k]));
        }
}
NN_LOOP(prelu)

static struct nn_loop prelu_at(const struct nn_tensor *x, const struct nn_param *param, uint32_t n,
                               uint32_t g, uint64_t piece) {
    return (struct nn_loop){.x = nn_at(x, x->data, nn_piece_at(x, n, g, piece)),
                            .scale = param->value + g * nn_lanes(x),
                            .pixels = layer_piece_pixels(x, piece),
                            .stride = x->block};
}

void layer_prelu_forward(const struct nn_tensor *x, struct nn_tensor *y,
                         const struct nn_param *param) {
    NN_EACH_PIECE(x) {
        struct nn_loop l = prelu_at(x, param, n, g, piece);

        l.to = nn_at(y, y->data, nn_piece_at(y, n, g, piece));
        prelu(x, &l);
    }
}

NN_INLINE void prelu_gradient_body(uint32_t lanes, bool half, const struct nn_loop *l) {
    float sum[NN_LANES_MAX] = {0}, leak[NN_LANES_MAX];

    memcpy(leak, l->scale, lanes * sizeof(*leak));
    for (uint64_t i = 0, step = nn_step(lanes, half, l); i < l->pixels * step; i += step)
        NN_EACH_LANE(k, lanes) {
            float x = nn_get(half, l->x, i + k), dy = nn_get(half, l->dy, i + k);

            nn_set(half, l->to, i + k, nn_leak(x, dy, leak[k]));
            sum[k] += dy * (x > 0 ? 0 : x);
        }
    NN_EACH_LANE(k, lanes) {
        l->sums[k] = (double)sum[k];
        l->sums[lanes + k] = 0;
    }
}
NN_LOOP(prelu_gradient)

void layer_prelu_backward(struct nn_layer *layer, const struct nn_tensor *x,
                          const struct nn_tensor *y, struct nn_param *param, float *dx) {
    NN_EACH_PIECE(x) {
        uint64_t at = nn_piece_at(x, n, g, piece);
        struct nn_loop l = prelu_at(x, param, n, g, piece);

        l.dy = nn_at(y, y->grad, at);
        l.to = nn_at(x, dx, at);
        l.sums = layer_piece(layer, x, n, g, piece);
        prelu_gradient(x, &l);
    }
    give_totals(layer, x, param);
}
