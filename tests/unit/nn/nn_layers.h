/* Layers one by one: the same tensors in blocks of 16 and in plain order. */
#ifndef TESTS_NN_LAYERS_H
#define TESTS_NN_LAYERS_H

#include "nn_harness.h"

#include "nn/net.h"

#define N 3
#define C 32
#define D 3
#define H 6
#define W 4
#define PIXELS (D * H * W)
#define COUNT (N * C * PIXELS)

struct sides {
    struct nn_tensor x, y;
    float *dx;
};

static inline struct nn_tensor nn_made(uint32_t c, uint32_t block) {
    struct nn_tensor t = {.n = N, .c = c, .d = D, .h = H, .w = W, .block = block};

    t.count = N * c * PIXELS;
    t.data = base_alloc_aligned(4 * t.count, 64);
    t.grad = base_alloc_aligned(4 * t.count, 64);
    return t;
}

static inline struct sides make(uint32_t block) {
    return (struct sides){nn_made(C, block), nn_made(C, block), base_alloc_aligned(4 * COUNT, 64)};
}

static inline void release(struct sides *s) {
    base_free(s->x.data);
    base_free(s->x.grad);
    base_free(s->y.data);
    base_free(s->y.grad);
    base_free(s->dx);
}

static inline void layer_release(struct nn_layer *layer) {
    base_free(layer->saved);
    base_free(layer->sums);
    base_free(layer->totals);
}

static inline void assert_near(const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fabsf(a[i] - b[i]) > 2e-5f * (1 + fabsf(b[i])))
            fail_msg("%d: %g and %g", (int)i, (double)a[i], (double)b[i]);
}

/* What is in blocks, compared with what is plain. */
static inline void assert_same(const float *blocked, uint32_t c, uint32_t block,
                               const float *plain) {
    float *back = base_alloc_aligned(4ull * N * c * PIXELS, 64);

    nn_pack(blocked, back, N, c, PIXELS, block, true);
    assert_near(back, plain, (size_t)N * c * PIXELS);
    base_free(back);
}

#endif
