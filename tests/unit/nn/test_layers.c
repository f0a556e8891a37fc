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
        struct nn_layer layer = {
            .kind = NN_BATCH_NORM, .relu = true, .saved = saved[i], .sums = sums[i]};
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

/* More images than parts: the statistics are those of a plain sum, and no number of threads changes
 * a bit. */
static void statistics_of_many_images(void **state) {
    enum { ROWS = 40, SIDE = 3, CHANNELS = 16 };
    static float x[ROWS * SIDE * SIDE * CHANNELS], y[COUNT_OF(x)], dy[COUNT_OF(x)],
        grad[COUNT_OF(x)], dx[3][COUNT_OF(x)], saved[3][5 * CHANNELS], out[3][COUNT_OF(x)];
    static float gamma[CHANNELS], beta[CHANNELS], mean[CHANNELS], variance[CHANNELS];
    static float grads[3][2][CHANNELS];
    static double sums[NN_SUM_PARTS * 2 * CHANNELS];

    nn_fill(x, COUNT_OF(x));
    nn_fill(dy, COUNT_OF(dy));
    nn_fill(gamma, CHANNELS);
    nn_fill(beta, CHANNELS);
    for (int i = 0; i < 3; i++) {
        struct nn_layer layer = {
            .kind = NN_BATCH_NORM, .relu = true, .saved = saved[i], .sums = sums};
        struct nn_tensor in = {ROWS, CHANNELS, SIDE, SIDE, 16, x, NULL, COUNT_OF(x), false};
        struct nn_tensor to = {ROWS, CHANNELS, SIDE, SIDE, 16, y, grad, COUNT_OF(y), false};
        struct nn_param param[4] = {{.value = gamma, .grad = grads[i][0]},
                                    {.value = beta, .grad = grads[i][1]},
                                    {.value = mean},
                                    {.value = variance}};

        nn_threads_set(1u << i);
        memcpy(grad, dy, sizeof(grad));
        layer_batch_norm_forward(&layer, &in, &to, param, true);
        memcpy(out[i], y, sizeof(y));
        layer_batch_norm_backward(&layer, &in, &to, param, dx[i]);
    }
    for (int c = 0; c < CHANNELS; c++) {
        double sum = 0, squares = 0, count = COUNT_OF(x) / CHANNELS;

        for (size_t i = (size_t)c; i < COUNT_OF(x); i += CHANNELS) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
        sum /= count;
        assert_true(fabs((double)saved[0][c] - sum) < 1e-5);
        assert_true(fabs(1 / sqrt(squares / count - sum * sum + 1e-5) -
                         (double)saved[0][CHANNELS + c]) < 1e-3);
    }
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(saved[i], saved[0], sizeof(saved[0]));
        assert_memory_equal(out[i], out[0], sizeof(out[0]));
        assert_memory_equal(dx[i], dx[0], sizeof(dx[0]));
        assert_memory_equal(grads[i], grads[0], sizeof(grads[0]));
    }
}

/* ReLU must not turn what is no number into a zero: the trainer would go on with it. */
static void no_number_passes_relu(void **state) {
    struct nn_layer layer = {.kind = NN_ADD, .relu = true};
    float a[4] = {1, -3, NAN, 0}, b[4] = {1, 1, 1, 0}, sum[4];
    struct nn_tensor left = {1, 4, 1, 1, 1, a, NULL, 4, false};
    struct nn_tensor right = {1, 4, 1, 1, 1, b, NULL, 4, false};
    struct nn_tensor to = {1, 4, 1, 1, 1, sum, NULL, 4, false};

    layer_add_forward(&layer, &left, &right, &to);
    assert_true(sum[0] == 2 && sum[1] == 0 && isnan(sum[2]) && sum[3] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_is_the_same_in_blocks),
        cmocka_unit_test(statistics_of_many_images),
        cmocka_unit_test(no_number_passes_relu),
        cmocka_unit_test(pools_take_the_first_of_equals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
