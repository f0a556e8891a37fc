/* The reference model: its size, its gradients, and that it learns. */
#include "nn_harness.h"

static struct nn_net *make(uint32_t depth, uint32_t width, uint32_t batch) {
    struct nn_model_conf conf = {.depth = depth, .width = width, .classes = 4};
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, batch, &net, NULL), 0);
    if (nn_model_build(net, &conf, 3, 1, 8, 8, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(nn_net_finish(net, 5, NULL), 0);
    return net;
}

/* He et al. give 0.27 M parameters for 20 layers of 16, 32 and 64 channels (10 classes). */
static void the_size_is_the_papers(void **state) {
    struct nn_model_conf conf = {.depth = 20, .width = 16, .classes = 10};
    struct nn_net *net;
    uint64_t weights = 0;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 32, 32, NULL) > 0);
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        weights += nn_net_param(net, i)->ndim > 1 ? nn_net_param(net, i)->count : 0;
    assert_true(weights > 268000 && weights < 274000);
    assert_true(nn_net_macs(net) > 40e6 && nn_net_macs(net) < 42e6);
    nn_net_destroy(net);
}

static void gradients_are_right(void **state) {
    struct nn_net *net = make(8, 4, 4);

    nn_check_gradients(net, 6, 2e-3);
    nn_net_destroy(net);
}

static void it_learns_four_images(void **state) {
    struct nn_optimizer_conf sgd = {.name = NN_SGD, .momentum = 0.9, .nesterov = true};
    struct nn_net *net = make(8, 4, 4);
    const int32_t labels[16] = {0, 1, 2, 3};
    double first = 0, last = 0;

    nn_fill(nn_net_input(net)->data, nn_net_input(net)->count);
    for (uint64_t step = 1; step <= 40; step++) {
        last = nn_loss(net, labels, true);
        first = step == 1 ? last : first;
        nn_optimizer_step(&sgd, net, 0.05, step);
    }
    assert_true(last < 0.6 && last < first / 2);
    nn_net_destroy(net);
}

static void other_depths_are_refused(void **state) {
    struct nn_model_conf conf = {.depth = 9, .width = 16, .classes = 10};
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_int_equal(nn_model_build(net, &conf, 3, 1, 32, 32, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "6 n + 2"));
    nn_net_destroy(net);
}

static void the_deepest_fits(void **state) {
    struct nn_model_conf conf = {.depth = 200, .width = 1, .classes = 2};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 8, 8, NULL) > 0);
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_is_the_papers), cmocka_unit_test(gradients_are_right),
        cmocka_unit_test(it_learns_four_images),  cmocka_unit_test(other_depths_are_refused),
        cmocka_unit_test(the_deepest_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
