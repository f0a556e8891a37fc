/* Normalisation: in blocks as in plain order, as defined, with the same bits for any threads. */
#include "nn_layers.h"

static float gamma_[C], beta_[C], mean_[2][C], variance_[2][C], grads_[2][2][C];

/* Forward and backward of the same values in plain order and in blocks; `groups` as in nn_layer. */
static void both_orders(uint32_t groups, float leak) {
    static float input[COUNT], dy[COUNT];
    struct sides plain = make(1), blocked = make(16), *both[] = {&plain, &blocked};

    nn_fill(input, COUNT);
    nn_fill(dy, COUNT);
    nn_fill(gamma_, C);
    nn_fill(beta_, C);
    for (int i = 0; i < 2; i++) {
        struct nn_layer layer = {.kind = NN_NORM, .leak = leak, .groups = groups};
        struct sides *s = both[i];
        struct nn_param param[4] = {{.value = gamma_, .grad = grads_[i][0]},
                                    {.value = beta_, .grad = grads_[i][1]},
                                    {.value = mean_[i]},
                                    {.value = variance_[i]}};

        nn_pack(input, s->x.data, N, C, PIXELS, s->x.block, false);
        nn_pack(dy, s->y.grad, N, C, PIXELS, s->x.block, false);
        nn_threads_set((uint32_t)i + 1);
        assert_int_equal(layer_sums_alloc(&layer, &s->x, &s->y, NULL), 0);
        layer_norm_forward(&layer, &s->x, NULL, &s->y, param, true);
        layer_norm_backward(&layer, &s->x, &s->y, param, s->dx, NULL);
        layer_release(&layer);
    }
    assert_same(blocked.y.data, C, 16, plain.y.data);
    assert_same(blocked.dx, C, 16, plain.dx);
    assert_near(grads_[1][0], grads_[0][0], C);
    assert_near(grads_[1][1], grads_[0][1], C);
    release(&plain);
    release(&blocked);
}

static void blocks_change_nothing(void **state) {
    both_orders(0, NN_RELU);
    assert_near(mean_[1], mean_[0], C);
    assert_near(variance_[1], variance_[0], C);
    for (uint32_t c = 0; c < C; c++)
        assert_true(fabsf(mean_[0][c]) < 0.1f && variance_[0][c] > 0.01f);
    both_orders(0, 0.01f);
    both_orders(C, NN_RELU); /* instance norm */
    both_orders(8, NN_LINEAR);
    both_orders(1, 0.2f); /* layer norm */
}

/* Of a weight of 1 and a bias of 0 each group of each row comes out with mean 0 and variance 1. */
static void groups_are_normal(void **state) {
    static const uint32_t groups[] = {1, 4, C};
    static float one[C], zero[C];

    for (uint32_t c = 0; c < C; c++)
        one[c] = 1;
    for (size_t g = 0; g < COUNT_OF(groups); g++) {
        struct nn_layer layer = {.kind = NN_NORM, .leak = NN_LINEAR, .groups = groups[g]};
        struct nn_param param[2] = {{.value = one}, {.value = zero}};
        struct sides s = make(1);
        size_t run = C / groups[g] * PIXELS;

        for (size_t i = 0; i < COUNT; i++)
            s.x.data[i] = 3 * nn_random() + (float)(i / run);
        assert_int_equal(layer_sums_alloc(&layer, &s.x, &s.y, NULL), 0);
        layer_norm_forward(&layer, &s.x, NULL, &s.y, param, true);
        for (size_t i = 0; i < COUNT; i += run) {
            double sum = 0, squares = 0;

            for (size_t j = i; j < i + run; j++) {
                sum += (double)s.y.data[j];
                squares += (double)s.y.data[j] * (double)s.y.data[j];
            }
            assert_true(fabs(sum / (double)run) < 1e-4);
            assert_true(fabs(squares / (double)run - 1) < 1e-3);
        }
        layer_release(&layer);
        release(&s);
    }
}

/* More rows than threads and more pixels than a piece: the statistics are those of a plain sum, and
 * no number of threads changes a bit. */
static void threads_change_no_bit(void **state) {
    enum { ROWS = 5, SIDE = 11, CHANNELS = 16, VALUES = ROWS * CHANNELS * SIDE * SIDE * SIDE };
    static float x[VALUES], y[VALUES], dy[VALUES], dx[3][VALUES], out[3][VALUES];
    static float saved[3][NN_SAVED * CHANNELS], grads[3][2][CHANNELS];

    nn_fill(x, VALUES);
    nn_fill(dy, VALUES);
    nn_fill(gamma_, CHANNELS);
    nn_fill(beta_, CHANNELS);
    for (int i = 0; i < 3; i++) {
        struct nn_layer layer = {.kind = NN_NORM, .leak = NN_RELU};
        struct nn_tensor in = {ROWS, CHANNELS, SIDE, SIDE, SIDE, 16, x, NULL, VALUES, false};
        struct nn_tensor to = {ROWS, CHANNELS, SIDE, SIDE, SIDE, 16, y, dy, VALUES, false};
        struct nn_param param[4] = {{.value = gamma_, .grad = grads[i][0]},
                                    {.value = beta_, .grad = grads[i][1]},
                                    {.value = mean_[0]},
                                    {.value = variance_[0]}};

        assert_int_equal(layer_sums_alloc(&layer, &in, &to, NULL), 0);
        nn_threads_set(1u << i);
        layer_norm_forward(&layer, &in, NULL, &to, param, true);
        memcpy(out[i], y, sizeof(y));
        layer_norm_backward(&layer, &in, &to, param, dx[i], NULL);
        memcpy(saved[i], layer.saved, sizeof(saved[i]));
        layer_release(&layer);
    }
    for (int c = 0; c < CHANNELS; c++) {
        double sum = 0, squares = 0, count = VALUES / CHANNELS;

        for (size_t i = (size_t)c; i < VALUES; i += CHANNELS) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
        sum /= count;
        assert_true(fabs((double)saved[0][NN_MEAN * CHANNELS + c] - sum) < 1e-5);
        assert_true(fabs(1 / sqrt(squares / count - sum * sum + 1e-5) -
                         (double)saved[0][NN_INVERSE * CHANNELS + c]) < 1e-3);
    }
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(saved[i], saved[0], sizeof(saved[0]));
        assert_memory_equal(out[i], out[0], sizeof(out[0]));
        assert_memory_equal(dx[i], dx[0], sizeof(dx[0]));
        assert_memory_equal(grads[i], grads[0], sizeof(grads[0]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_change_nothing),
        cmocka_unit_test(groups_are_normal),
        cmocka_unit_test(threads_change_no_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
