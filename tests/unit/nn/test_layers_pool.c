/* Pools: the first of equals takes the gradient, windows may overlap, blocks change nothing. */
#include "nn_layers.h"

static uint32_t out_side(uint32_t side, const struct nn_layer *layer) {
    return (side + 2 * layer->pad - layer->kernel) / layer->stride + 1;
}

static struct nn_tensor pooled(const struct nn_tensor *x, const struct nn_layer *layer) {
    struct nn_tensor y = *x;

    y.d = layer->dims == 3 ? out_side(x->d, layer) : x->d;
    y.h = out_side(x->h, layer);
    y.w = out_side(x->w, layer);
    y.count = (uint64_t)y.n * y.c * nn_pixels(&y);
    y.data = base_alloc_aligned(4 * y.count, 64);
    y.grad = base_alloc_aligned(4 * y.count, 64);
    return y;
}

static void pools_take_the_first_of_equals(void **state) {
    const struct nn_layer layer = {.kind = NN_MAX_POOL, .kernel = 2, .stride = 2, .dims = 2};
    struct sides s = make(1);
    struct nn_tensor out = pooled(&s.x, &layer);
    double sum = 0;

    for (uint32_t i = 0; i < COUNT; i++)
        s.x.data[i] = 1; /* all equal */
    for (uint32_t i = 0; i < out.count; i++)
        out.grad[i] = 1;
    layer_max_pool_forward(&layer, &s.x, &out);
    layer_max_pool_backward(&layer, &s.x, &out, s.dx);
    for (uint32_t i = 0; i < COUNT; i++)
        sum += (double)s.dx[i];
    assert_true(sum == (double)COUNT / 4); /* none lost, none twice */
    assert_true(s.dx[0] == 1 && s.dx[1] == 0);
    base_free(out.data);
    base_free(out.grad);
    release(&s);
}

/* The largest by hand, where windows overlap and reach over the edge; what went to the output comes
 * back from it, once for each window that took it. */
static void windows_overlap(uint32_t dims) {
    const struct nn_layer layer = {
        .kind = NN_MAX_POOL, .kernel = 3, .stride = 2, .pad = 1, .dims = dims};
    struct sides plain = make(1), blocked = make(16);
    struct nn_tensor a = pooled(&plain.x, &layer), b = pooled(&blocked.x, &layer);
    uint32_t depth = dims == 3 ? 3 : 1, step = dims == 3 ? 2 : 1, pixels = (uint32_t)nn_pixels(&a);
    double given = 0, taken = 0;
    float *back = base_alloc_aligned(4 * a.count, 64);

    nn_fill(plain.x.data, COUNT);
    nn_fill(a.grad, a.count);
    nn_pack(plain.x.data, blocked.x.data, N, C, PIXELS, 16, false);
    nn_pack(a.grad, b.grad, N, C, pixels, 16, false);
    layer_max_pool_forward(&layer, &plain.x, &a);
    layer_max_pool_forward(&layer, &blocked.x, &b);
    layer_max_pool_backward(&layer, &plain.x, &a, plain.dx);
    layer_max_pool_backward(&layer, &blocked.x, &b, blocked.dx);
    for (uint64_t i = 0; i < a.count; i++) {
        int x = (int)(i % a.w), y = (int)(i / a.w % a.h), z = (int)(i / a.w / a.h % a.d);
        const float *image = plain.x.data + i / pixels * PIXELS;
        float most = -INFINITY;

        for (int k = 0; k < (int)depth * 9; k++) {
            int dz = z * (int)step + k / 9 - (int)(depth / 2), dy = 2 * y + k / 3 % 3 - 1;
            int dx = 2 * x + k % 3 - 1;

            if (dz >= 0 && dz < D && dy >= 0 && dy < H && dx >= 0 && dx < W)
                most = fmaxf(most, image[(dz * H + dy) * W + dx]);
        }
        assert_true(a.data[i] == most);
        given += (double)a.grad[i];
    }
    for (uint32_t i = 0; i < COUNT; i++)
        taken += (double)plain.dx[i];
    assert_true(fabs(given - taken) < 1e-3);
    nn_pack(b.data, back, N, C, pixels, 16, true);
    assert_memory_equal(back, a.data, 4 * a.count);
    assert_same(blocked.dx, C, 16, plain.dx);
    base_free(back);
    base_free(a.data);
    base_free(a.grad);
    base_free(b.data);
    base_free(b.grad);
    release(&plain);
    release(&blocked);
}

static void windows_may_overlap(void **state) {
    windows_overlap(2);
    windows_overlap(3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_take_the_first_of_equals),
        cmocka_unit_test(windows_may_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
