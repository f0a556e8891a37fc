/* Logits of each pixel: in blocks as in plain order, and as defined. */
#include "nn_layers.h"

#define CLASSES 3

static void logits_are_the_same_in_blocks(void **state) {
    static float weight[CLASSES * C], bias[CLASSES], grads[2][CLASSES * C + CLASSES];
    static const uint32_t blocks[] = {1, 16};
    struct nn_tensor x[] = {nn_made(C, 1), nn_made(C, 16)};
    struct nn_tensor y[] = {nn_made(CLASSES, 1), nn_made(CLASSES, 1)};
    float *dx[] = {base_alloc_aligned(4 * COUNT, 64), base_alloc_aligned(4 * COUNT, 64)};
    double sum;

    nn_fill(weight, COUNT_OF(weight));
    nn_fill(bias, COUNT_OF(bias));
    nn_fill(x[0].data, COUNT);
    nn_pack(x[0].data, x[1].data, N, C, PIXELS, 16, false);
    for (int i = 0; i < 2; i++) {
        struct nn_layer layer = {.kind = NN_LOGITS};
        struct nn_param param[2] = {{.value = weight, .grad = grads[i]},
                                    {.value = bias, .grad = grads[i] + CLASSES * C}};

        nn_random_state = 9;
        nn_fill(y[i].grad, y[i].count);
        nn_threads_set(blocks[i]);
        assert_int_equal(layer_sums_alloc(&layer, &x[i], &y[i], NULL), 0);
        layer_logits_forward(&x[i], &y[i], param);
        layer_logits_backward(&layer, &x[i], &y[i], param, dx[i]);
        layer_release(&layer);
    }
    sum = (double)bias[2];
    for (uint32_t c = 0; c < C; c++)
        sum += (double)weight[2 * C + c] * (double)x[0].data[(C + c) * PIXELS + 7];
    assert_true(fabs(sum - (double)y[0].data[(CLASSES + 2) * PIXELS + 7]) < 1e-5);
    assert_near(y[1].data, y[0].data, y[0].count);
    assert_near(grads[1], grads[0], COUNT_OF(grads[0]));
    assert_same(dx[1], C, 16, dx[0]);
    for (int i = 0; i < 2; i++) {
        base_free(x[i].data);
        base_free(x[i].grad);
        base_free(y[i].data);
        base_free(y[i].grad);
        base_free(dx[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_are_the_same_in_blocks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
