/* ResNet-9: its size, its gradients, and that it learns. */
#include "nn_harness.h"

static struct nn_net *make(uint32_t width, uint32_t batch, uint32_t side) {
    struct nn_model_conf conf = {.name = NN_RESNET9, .width = width, .classes = 4};
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, batch, &net, NULL), 0);
    if (nn_model_build(net, &conf, 3, 1, side, side, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(nn_net_finish(net, 5, NULL), 0);
    return net;
}

/* Page gives 6,573,120 parameters for a width of 64 and 10 classes, without the dense layer's bias.
 */
static void the_size_is_the_authors(void **state) {
    struct nn_model_conf conf = {.name = NN_RESNET9, .width = 64, .classes = 10};
    struct nn_net *net;
    uint64_t weights = 0;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 32, 32, NULL) > 0);
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        if (!strstr(nn_net_param(net, i)->name, "running_"))
            weights += nn_net_param(net, i)->count;
    assert_int_equal(weights, 6573120 + 10);
    nn_net_destroy(net);
}

static void gradients_are_right(void **state) {
    struct nn_net *net = make(4, 4, 16);

    nn_check_gradients(net, 6, 4e-3);
    nn_net_destroy(net);
}

static void it_learns_four_images(void **state) {
    struct nn_optimizer_conf sgd = {.name = NN_SGD, .momentum = 0.9, .nesterov = true};
    struct nn_net *net = make(4, 4, 16);
    const int32_t labels[4] = {0, 1, 2, 3};
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

static void a_tiny_image_is_refused(void **state) {
    struct nn_model_conf conf = {.name = NN_RESNET9, .width = 4, .classes = 4};
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_int_equal(nn_model_build(net, &conf, 3, 1, 7, 7, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "too small"));
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_is_the_authors),
        cmocka_unit_test(gradients_are_right),
        cmocka_unit_test(it_learns_four_images),
        cmocka_unit_test(a_tiny_image_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
