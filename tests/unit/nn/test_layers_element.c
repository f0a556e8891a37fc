/* Layers of single elements: ReLU, PReLU, bias, concatenation. */
#include "nn_layers.h"

/* ReLU must not turn what is no number into a zero: the trainer would go on with it. */
static void no_number_passes_relu(void **state) {
    struct nn_layer layer = {.kind = NN_ADD, .leak = NN_RELU};
    float a[4] = {1, -3, NAN, 0}, b[4] = {1, 1, 1, 0}, sum[4];
    struct nn_tensor left = {1, 4, 1, 1, 1, 1, a, NULL, 4, false};
    struct nn_tensor right = {1, 4, 1, 1, 1, 1, b, NULL, 4, false};
    struct nn_tensor to = {1, 4, 1, 1, 1, 1, sum, NULL, 4, false};

    layer_add_forward(&layer, &left, &right, &to);
    assert_true(sum[0] == 2 && sum[1] == 0 && isnan(sum[2]) && sum[3] == 0);
    layer.leak = 0.5f;
    layer_add_forward(&layer, &left, &right, &to);
    assert_true(sum[0] == 2 && sum[1] == -1 && isnan(sum[2]) && sum[3] == 0);
}

static void prelu_is_the_same_in_blocks(void **state) {
    static float input[COUNT], dy[COUNT], leak[C], grads[2][C];
    struct sides plain = make(1), blocked = make(16), *both[] = {&plain, &blocked};
    double by_hand = 0;

    nn_fill(input, COUNT);
    nn_fill(dy, COUNT);
    nn_fill(leak, C);
    for (int i = 0; i < 2; i++) {
        struct nn_layer layer = {.kind = NN_PRELU};
        struct nn_param param = {.value = leak, .grad = grads[i]};
        struct sides *s = both[i];

        nn_pack(input, s->x.data, N, C, PIXELS, s->x.block, false);
        nn_pack(dy, s->y.grad, N, C, PIXELS, s->x.block, false);
        assert_int_equal(layer_sums_alloc(&layer, &s->x, &s->y, NULL), 0);
        layer_prelu_forward(&s->x, &s->y, &param);
        layer_prelu_backward(&layer, &s->x, &s->y, &param, s->dx);
        layer_release(&layer);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t c = i / PIXELS % C;

        assert_true(plain.y.data[i] == (input[i] < 0 ? input[i] * leak[c] : input[i]));
        assert_true(plain.dx[i] == (input[i] > 0 ? dy[i] : dy[i] * leak[c]));
        by_hand += c == 5 && input[i] < 0 ? (double)input[i] * (double)dy[i] : 0;
    }
    assert_true(fabs(by_hand - (double)grads[0][5]) < 1e-4);
    assert_same(blocked.y.data, C, 16, plain.y.data);
    assert_same(blocked.dx, C, 16, plain.dx);
    assert_near(grads[1], grads[0], C);
    release(&plain);
    release(&blocked);
}

static void a_bias_is_added_and_summed(void **state) {
    static float bias[C], grads[C];
    struct nn_layer layer = {.kind = NN_CONV, .bias = true};
    struct nn_param param = {.value = bias, .grad = grads};
    struct nn_tensor t = nn_made(C, 16);

    nn_fill(bias, C);
    for (uint64_t i = 0; i < t.count; i++)
        t.grad[i] = (float)(i % 16); /* of channel c: c modulo 16 */
    assert_int_equal(layer_sums_alloc(&layer, &t, &t, NULL), 0);
    layer_bias_forward(&t, &param);
    layer_bias_backward(&layer, &t, &param);
    for (uint32_t c = 0; c < C; c++) {
        assert_true(t.data[nn_plane(&t, 1, c / 16) + 16 + c % 16] == bias[c]);
        assert_true(grads[c] == (float)(c % 16 * N * PIXELS));
    }
    layer_release(&layer);
    base_free(t.data);
    base_free(t.grad);
}

static void concatenation_keeps_every_channel(void **state) {
    struct nn_tensor a = nn_made(C, 16), b = nn_made(2 * C, 16), y = nn_made(3 * C, 16);
    struct nn_tensor plain_a = nn_made(C, 1), plain_b = nn_made(2 * C, 1);
    struct nn_tensor plain = nn_made(3 * C, 1);
    float *back = base_alloc_aligned(4 * y.count, 64);

    nn_fill(plain_a.data, plain_a.count);
    nn_fill(plain_b.data, plain_b.count);
    nn_pack(plain_a.data, a.data, N, C, PIXELS, 16, false);
    nn_pack(plain_b.data, b.data, N, 2 * C, PIXELS, 16, false);
    layer_concat_forward(&a, &b, &y);
    layer_concat_forward(&plain_a, &plain_b, &plain);
    assert_same(y.data, 3 * C, 16, plain.data);
    assert_memory_equal(plain.data + C * PIXELS, plain_b.data, 4 * 2 * C * PIXELS);
    memcpy(y.grad, y.data, 4 * y.count);
    layer_concat_backward(&y, 0, &a, back);
    assert_memory_equal(back, a.data, 4 * a.count);
    layer_concat_backward(&y, C, &b, back);
    assert_memory_equal(back, b.data, 4 * b.count);
    for (struct nn_tensor *made[] = {&a, &b, &y, &plain_a, &plain_b, &plain}, **t = made;
         t < made + COUNT_OF(made); t++) {
        base_free((*t)->data);
        base_free((*t)->grad);
    }
    base_free(back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_number_passes_relu),
        cmocka_unit_test(prelu_is_the_same_in_blocks),
        cmocka_unit_test(a_bias_is_added_and_summed),
        cmocka_unit_test(concatenation_keeps_every_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
