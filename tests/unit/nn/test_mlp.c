/* The network for tables: its shape, and that it learns what is no sum of its columns. */
#include "nn_harness.h"

#define ROWS 64

static struct nn_net *make(uint32_t batch, uint32_t h, struct opiml_error *err) {
    const struct nn_model_conf conf = {.name = NN_MLP,
                                       .width = 16,
                                       .levels = 2,
                                       .classes = 2,
                                       .codes = 1,
                                       .buckets = 4,
                                       .embedding = 3,
                                       .binary = true};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, batch, &net, NULL), 0);
    if (nn_model_build(net, &conf, 2, 1, h, 1, err) < 0 || nn_net_finish(net, 1, err) < 0) {
        nn_net_destroy(net);
        return NULL;
    }
    return net;
}

/* The label is 1 where the number's sign fits the category's parity. */
static void it_learns(void **state) {
    const struct nn_optimizer_conf conf = {.name = NN_SGD, .momentum = 0.9, .nesterov = true};
    struct nn_net *net = make(ROWS, 1, NULL);
    struct nn_tensor *out = nn_net_output(net);
    int32_t labels[ROWS];
    uint32_t correct = 0;

    assert_int_equal(out->c, 1);
    for (uint64_t step = 1; step <= 200; step++) {
        for (int n = 0; n < ROWS; n++) {
            float *x = nn_net_input(net)->data + 2 * (size_t)n;

            x[0] = nn_random();
            x[1] = (float)(n % 4);
            labels[n] = (x[0] > 0) == (n % 2 == 0);
        }
        assert_int_equal(nn_net_forward(net, true, NULL), 0);
        nn_binary_cross_entropy(out->data, ROWS, labels, out->grad, &correct);
        assert_int_equal(nn_net_backward(net, NULL), 0);
        nn_optimizer_step(&conf, net, 0.1, step);
    }
    assert_true(correct > ROWS * 9 / 10);
    nn_net_destroy(net);
}

static void images_are_refused(void **state) {
    struct opiml_error err = {0};

    assert_null(make(2, 3, &err));
    assert_non_null(strstr(err.message, "tables"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(images_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
