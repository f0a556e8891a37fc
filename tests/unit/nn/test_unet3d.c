/* MLPerf's 3-D U-Net: its size and names, its gradients on both kernel sets, and that it learns. */
#include "nn_harness.h"

static struct nn_net *make(const struct nn_kernels *kernels, uint32_t width, uint32_t levels) {
    struct nn_model_conf conf = {.name = NN_UNET3D, .width = width, .levels = levels, .classes = 3};
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(kernels, 2, &net, NULL), 0);
    if (nn_model_build(net, &conf, 1, 8, 4, 8, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(nn_net_finish(net, 5, NULL), 0);
    return net;
}

static const struct nn_param *named(struct nn_net *net, const char *name) {
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        if (strcmp(nn_net_param(net, i)->name, name) == 0)
            return nn_net_param(net, i);
    fail_msg("no parameter %s", name);
    return NULL;
}

/* Channels 32, 64, 128, 256, 320 and a bottleneck of 320: sums by hand of what each convolution
 * and norm has. */
static void the_size_is_the_references(void **state) {
    static const uint64_t c[] = {32, 64, 128, 256, 320, 320};
    struct nn_model_conf conf = {.name = NN_UNET3D, .width = 32, .classes = 3};
    uint64_t expected = 27 * (32 + 32 * 32) + 4 * 32 + 32 * 3 + 3, count = 0;
    const struct nn_param *up;
    struct nn_net *net;

    for (int i = 1; i < 6; i++)
        expected += 27 * (c[i - 1] * c[i] + c[i] * c[i]) + 4 * c[i];
    for (int i = 4; i >= 0; i--)
        expected += 8 * c[i + 1] * c[i] + c[i] + 27 * 3 * c[i] * c[i] + 4 * c[i];
    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 1, 128, 128, 128, NULL) > 0);
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        count += nn_net_param(net, i)->count;
    assert_int_equal(count, expected);
    up = named(net, "upsample.1.upsample_conv.0.weight");
    assert_true(up->ndim == 5 && up->shape[0] == 320 && up->shape[1] == 256);
    assert_int_equal(named(net, "upsample.1.conv1.0.weight")->shape[1], 512);
    named(net, "input_block.conv2.1.bias");
    named(net, "downsample.3.conv1.0.weight");
    named(net, "bottleneck.conv1.0.weight");
    named(net, "output.conv.0.bias");
    assert_int_equal(nn_net_output(net)->c, 3);
    assert_int_equal(nn_net_output(net)->block, 1);
    assert_int_equal(nn_pixels(nn_net_output(net)), 128 * 128 * 128);
    nn_net_destroy(net);
}

static void gradients_are_right(void **state) {
    struct nn_net *net = make(&nn_kernels_plain, 3, 2);

    nn_check_gradients(net, 4, 2e-3);
    nn_net_destroy(net);
}

static void onednn_gradients_are_right(void **state) {
    const struct nn_kernels *kernels = nn_onednn();
    struct nn_net *net;

    if (!kernels)
        skip();
    net = make(kernels, 16, 2);
    nn_check_gradients(net, 4, 2e-3);
    nn_net_destroy(net);
}

static void it_learns(void **state) {
    struct nn_optimizer_conf sgd = {.name = NN_SGD, .momentum = 0.9, .nesterov = true};
    struct nn_net *net = make(&nn_kernels_plain, 3, 1);
    double first = 0, last = 0;

    nn_fill(nn_net_input(net)->data, nn_net_input(net)->count);
    for (uint64_t step = 1; step <= 60; step++) {
        last = nn_loss(net, NULL, true);
        first = step == 1 ? last : first;
        nn_optimizer_step(&sgd, net, 0.3, step);
    }
    assert_true(last < first / 2);
    nn_net_destroy(net);
}

static void odd_sides_are_refused(void **state) {
    struct nn_model_conf conf = {.name = NN_UNET3D, .width = 4, .levels = 3, .classes = 2};
    struct opiml_error err = {0};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_int_equal(nn_model_build(net, &conf, 1, 8, 12, 8, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "multiples of 8"));
    assert_int_equal(nn_model_build(net, &conf, 1, 1, 8, 8, &err), OPIML_EINVAL);
    conf.levels = 9;
    assert_int_equal(nn_model_build(net, &conf, 1, 8, 8, 8, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "1 to 8"));
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_is_the_references), cmocka_unit_test(gradients_are_right),
        cmocka_unit_test(onednn_gradients_are_right), cmocka_unit_test(it_learns),
        cmocka_unit_test(odd_sides_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
