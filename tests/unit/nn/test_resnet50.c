/* ResNet-50: its size and names, and that both kernel sets agree. */
#include "nn_harness.h"

/* 25,557,032 parameters and 4.09 G multiply-adds of an image of 224 pixels are torchvision's. */
static void the_size_is_torchvisions(void **state) {
    struct nn_model_conf conf = {.name = NN_RESNET50, .width = 64, .classes = 1000};
    uint64_t weights = 0, statistics = 0;
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 224, 224, NULL) > 0);
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        *(nn_net_param(net, i)->fixed ? &statistics : &weights) += nn_net_param(net, i)->count;
    assert_int_equal(weights, 25557032);
    assert_int_equal(statistics, 53120);
    assert_true(nn_net_macs(net) > 4.08e9 && nn_net_macs(net) < 4.10e9);
    assert_string_equal(nn_net_param(net, 0)->name, "conv1.weight");
    assert_string_equal(nn_net_param(net, 16)->name, "layer1.0.downsample.0.weight");
    nn_net_destroy(net);
}

static struct nn_net *trained(const struct nn_kernels *kernels) {
    struct nn_model_conf conf = {.name = NN_RESNET50, .width = 16, .classes = 4};
    const int32_t labels[] = {3, 1, 0, 2};
    struct nn_net *net;

    assert_int_equal(nn_net_create(kernels, 4, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 65, 64, NULL) > 0);
    assert_int_equal(nn_net_finish(net, 5, NULL), 0);
    nn_random_state = 3;
    nn_fill(nn_net_input(net)->data, nn_net_input(net)->count);
    nn_loss(net, labels, true);
    return net;
}

/* Every gradient is that of the plain kernels, which are checked against differences elsewhere: 50
 * layers of batch norm over four small images are too crooked for differences in f32. */
static void gradients_are_the_plain_ones(void **state) {
    const struct nn_kernels *onednn = nn_onednn();
    struct nn_net *a, *b;

    if (!onednn)
        skip();
    a = trained(&nn_kernels_plain);
    b = trained(onednn);
    for (uint32_t i = 0; i < nn_net_params(a); i++) {
        const struct nn_param *p = nn_net_param(a, i), *q = nn_net_param(b, i);
        double size = 0, apart = 0;

        for (uint64_t j = 0; p->grad && j < p->count; j++) {
            size += (double)p->grad[j] * (double)p->grad[j];
            apart += pow((double)p->grad[j] - (double)q->grad[j], 2);
        }
        if (!p->fixed && !(sqrt(apart) < 2e-2 * sqrt(size)))
            fail_msg("%s: %g of %g", p->name, sqrt(apart), sqrt(size));
    }
    nn_net_destroy(a);
    nn_net_destroy(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_is_torchvisions),
        cmocka_unit_test(gradients_are_the_plain_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
