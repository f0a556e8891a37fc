/* Layers in blocks of 16 equal layers in plain order; threads change nothing. */
#include "nn_harness.h"

#include "nn/net.h"

#define N 3
#define C 32
#define H 6
#define W 4
#define COUNT (N * C * H * W)

struct sides {
    struct nn_tensor x, y;
};

static struct sides make(uint32_t block) {
    struct sides s = {.x = {N, C, H, W, block, base_alloc_aligned(4 * COUNT, 64),
                            base_alloc_aligned(4 * COUNT, 64), COUNT, false}};

    s.y = s.x;
    s.y.data = base_alloc_aligned(4 * COUNT, 64);
    s.y.grad = base_alloc_aligned(4 * COUNT, 64);
    return s;
}

static void release(struct sides *s) {
    base_free(s->x.data);
    base_free(s->x.grad);
    base_free(s->y.data);
    base_free(s->y.grad);
}

static void assert_near(const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fabsf(a[i] - b[i]) > 2e-5f * (1 + fabsf(b[i])))
            fail_msg("%d: %g and %g", (int)i, (double)a[i], (double)b[i]);
}

static void batch_norm_is_the_same_in_blocks(void **state) {
    static float gamma[C], beta[C], mean[2][C], variance[2][C], grads[2][2][C], saved[2][5 * C];
    static double sums[2][NN_SUM_PARTS * 2 * C];
    static float back[COUNT], input[COUNT], dy[COUNT];
    struct sides plain = make(1), blocked = make(16), *both[] = {&plain, &blocked};

    nn_fill(input, COUNT);
    nn_fill(dy, COUNT);
    nn_fill(gamma, C);
    nn_fill(beta, C);
    for (int i = 0; i < 2; i++) {
        struct nn_layer layer = {.kind = NN_BATCH_NORM, .relu = true, .saved = saved[i], .sums = sums[i]};
        struct nn_param param[4] = {{.value = gamma, .grad = grads[i][0]},
                                    {.value = beta, .grad = grads[i][1]},
                                    {.value = mean[i]},
                                    {.value = variance[i]}};

        nn_pack(input, both[i]->x.data, N, C, H * W, both[i]->x.block, false);
        nn_pack(dy, both[i]->y.grad, N, C, H * W, both[i]->x.block, false);
        nn_threads_set((uint32_t)i + 1);
        layer_batch_norm_forward(&layer, &both[i]->x, &both[i]->y, param, true);
        layer_batch_norm_backward(&layer, &both[i]->x, &both[i]->y, param, both[i]->x.grad);
    }
    nn_pack(blocked.y.data, back, N, C, H * W, 16, true);
    assert_near(back, plain.y.data, COUNT);
    nn_pack(blocked.x.grad, back, N, C, H * W, 16, true);
    assert_near(back, plain.x.grad, COUNT);
    assert_near(grads[1][0], grads[0][0], C);
    assert_near(mean[1], mean[0], C);
    assert_near(variance[1], variance[0], C);
    /* What comes out has the mean and deviation asked for (before ReLU cuts it). */
    for (uint32_t c = 0; c < C; c++)
        assert_true(fabsf(mean[0][c]) < 0.1f && variance[0][c] > 0.01f);
    release(&plain);
    release(&blocked);
}

static void pools_take_the_first_of_equals(void **state) {
    struct sides s = make(1);
    struct nn_tensor out = {N, C, H / 2, W / 2, 1, NULL, NULL, COUNT / 4, false};
    struct nn_layer layer = {.kind = NN_MAX_POOL, .kernel = 2};
    double sum = 0;

    out.data = base_alloc_aligned(COUNT, 64);
    out.grad = base_alloc_aligned(COUNT, 64);
    for (uint32_t i = 0; i < COUNT; i++)
        s.x.data[i] = 1; /* all equal */
    for (uint32_t i = 0; i < COUNT / 4; i++)
        out.grad[i] = 1;
    layer_max_pool_forward(&layer, &s.x, &out);
    layer_max_pool_backward(&layer, &s.x, &out, s.x.grad);
    for (uint32_t i = 0; i < COUNT; i++)
        sum += s.x.grad[i];
    assert_true(sum == COUNT / 4); /* none lost, none twice */
    assert_true(s.x.grad[0] == 1 && s.x.grad[1] == 0);
    base_free(out.data);
    base_free(out.grad);
    release(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_is_the_same_in_blocks),
        cmocka_unit_test(pools_take_the_first_of_equals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
