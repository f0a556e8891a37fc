/* Moving averages and accumulated gradients against direct computation. */
#include "nn/shadow.h"

#include "nn_harness.h"

/* Batch norm has parameters without gradients. */
static struct nn_net *make(void) {
    struct nn_net *net;
    int a;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    a = nn_conv(net, nn_input(net, 2, 3, 3, NULL), "c", 4, 1, 1, 0, NULL);
    a = nn_batch_norm(net, a, "b", true, NULL);
    assert_true(a > 0);
    assert_int_equal(nn_net_finish(net, 1, NULL), 0);
    return net;
}

static void averages_follow_the_values(void **state) {
    struct nn_net *net = make();
    struct nn_param *weight = nn_net_param(net, 0);
    float first = weight->value[0], mean = first;
    struct nn_shadow *shadow;

    assert_int_equal(nn_shadow_create(net, true, &shadow, NULL), 0);
    nn_shadow_average(shadow, net, 0);
    for (uint32_t i = 0; i < nn_net_params(net); i++)
        assert_memory_equal(shadow->values[i], nn_net_param(net, i)->value,
                            nn_net_param(net, i)->count * sizeof(float));
    for (int step = 0; step < 5; step++) {
        weight->value[0] += 1;
        mean += 0.25f * (weight->value[0] - mean);
        nn_shadow_average(shadow, net, 0.75);
        assert_true(fabsf(shadow->values[0][0] - mean) < 1e-6f);
    }
    nn_shadow_swap(shadow, net);
    assert_true(fabsf(weight->value[0] - mean) < 1e-6f);
    nn_shadow_swap(shadow, net);
    assert_true(weight->value[0] == first + 5);
    nn_shadow_destroy(shadow);
    nn_net_destroy(net);
}

static void gradients_add_up_to_their_mean(void **state) {
    struct nn_net *net = make();
    struct nn_shadow *shadow;

    assert_int_equal(nn_shadow_create(net, false, &shadow, NULL), 0);
    for (int round = 0; round < 2; round++) { /* the second starts at zero again */
        const float gradients[] = {1, 2, 6}, weights[] = {2, 2, 4};

        for (int k = 0; k < 3; k++) {
            for (uint32_t i = 0; i < nn_net_params(net); i++)
                for (uint64_t e = 0; nn_net_param(net, i)->grad && e < nn_net_param(net, i)->count;
                     e++)
                    nn_net_param(net, i)->grad[e] = gradients[k] * (float)(e + 1);
            nn_shadow_add_gradients(shadow, net, weights[k]);
        }
        nn_shadow_take_gradients(shadow, net);
        for (uint32_t i = 0; i < nn_net_params(net); i++)
            for (uint64_t e = 0; nn_net_param(net, i)->grad && e < nn_net_param(net, i)->count; e++)
                assert_true(fabsf(nn_net_param(net, i)->grad[e] - 3.75f * (float)(e + 1)) < 1e-4f);
    }
    nn_shadow_destroy(shadow);
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_follow_the_values),
        cmocka_unit_test(gradients_add_up_to_their_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
