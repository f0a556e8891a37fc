/* Building: shapes, parameters and what is refused. */
#include "nn_harness.h"

static struct nn_net *start(void) {
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 2, &net, NULL), 0);
    return net;
}

/* Parameter `i` is called so and has these dimensions; ends with 0. */
static void expect(struct nn_net *net, uint32_t i, const char *name, const int64_t *shape) {
    const struct nn_param *param = nn_net_param(net, i);

    assert_string_equal(param->name, name);
    for (uint32_t d = 0; d < param->ndim; d++)
        assert_int_equal(param->shape[d], shape[d]);
    assert_int_equal(shape[param->ndim], 0);
}

static void images_have_kernels_of_two_dimensions(void **state) {
    struct nn_net *net = start();
    int a = nn_input(net, 3, 9, 7, NULL);

    a = nn_conv(net, a, "c", 4, 3, 2, 1, NULL);
    a = nn_prelu(net, a, "p", NULL);
    a = nn_conv_transposed(net, a, "t", 6, 2, 2, NULL);
    assert_true(nn_logits(net, a, "l", 2, NULL) > 0);
    expect(net, 0, "c.weight", (int64_t[]){4, 3, 3, 3, 0});
    expect(net, 1, "p.weight", (int64_t[]){4, 0});
    expect(net, 2, "t.weight", (int64_t[]){4, 6, 2, 2, 0});
    expect(net, 3, "t.bias", (int64_t[]){6, 0});
    expect(net, 4, "l.weight", (int64_t[]){2, 6, 1, 1, 0});
    assert_int_equal(nn_net_output(net)->h, 10);
    assert_int_equal(nn_net_output(net)->w, 8);
    assert_int_equal(nn_net_output(net)->d, 1);
    nn_net_destroy(net);
}

static void volumes_have_kernels_of_three(void **state) {
    struct nn_net *net = start();
    int a = nn_input_volume(net, 1, 8, 10, 6, NULL);

    a = nn_conv(net, a, "c", 4, 3, 1, 1, NULL);
    a = nn_max_pool(net, a, 2, 2, 0, NULL);
    a = nn_conv_transposed(net, a, "t", 6, 2, 2, NULL);
    assert_true(nn_logits(net, a, "l", 2, NULL) > 0);
    expect(net, 0, "c.weight", (int64_t[]){4, 1, 3, 3, 3, 0});
    expect(net, 1, "t.weight", (int64_t[]){4, 6, 2, 2, 2, 0});
    expect(net, 3, "l.weight", (int64_t[]){2, 6, 1, 1, 1, 0});
    assert_int_equal(nn_net_output(net)->d, 8);
    assert_int_equal(nn_net_output(net)->h, 10);
    assert_int_equal(nn_net_output(net)->w, 6);
    /* 480 voxels × 4 × 27, 60 × 4 × 6 × 8, 480 × 6 × 2 */
    assert_int_equal(nn_net_macs(net), 480 * 108 + 60 * 192 + 480 * 12);
    nn_net_destroy(net);
}

static void groups_must_divide_channels(void **state) {
    struct opiml_error err = {0};
    struct nn_net *net = start();
    int a = nn_input(net, 6, 4, 4, NULL);

    assert_int_equal(nn_group_norm(net, a, "g", 4, NN_RELU, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "4 groups"));
    assert_true(nn_group_norm(net, a, "g", 3, NN_RELU, &err) > 0);
    nn_net_destroy(net);
}

static void failures_are_passed_on(void **state) {
    struct nn_net *net = start();
    int a = nn_input_volume(net, 1, 2, 8, 8, NULL), bad = nn_conv(net, a, "c", 4, 5, 1, 1, NULL);

    assert_int_equal(bad, OPIML_EINVAL); /* too thin */
    assert_int_equal(nn_conv_transposed(net, bad, "t", 1, 2, 2, NULL), bad);
    assert_int_equal(nn_batch_norm(net, bad, "b", NN_RELU, NULL), bad);
    assert_int_equal(nn_group_norm(net, bad, "g", 0, NN_RELU, NULL), bad);
    assert_int_equal(nn_prelu(net, bad, "p", NULL), bad);
    assert_int_equal(nn_add(net, a, bad, NN_RELU, NULL), bad);
    assert_int_equal(nn_concat(net, a, bad, NULL), bad);
    assert_int_equal(nn_max_pool(net, bad, 2, 2, 0, NULL), bad);
    assert_int_equal(nn_max_pool(net, a, 4, 4, 0, NULL), OPIML_EINVAL);
    assert_int_equal(nn_global_pool(net, bad, true, NULL), bad);
    assert_int_equal(nn_dense(net, bad, "d", 1, 1, NULL), bad);
    assert_int_equal(nn_logits(net, bad, "l", 1, NULL), bad);
    nn_net_destroy(net);
}

static void too_many_layers_are_refused(void **state) {
    struct opiml_error err = {0};
    struct nn_net *net = start();
    int a = nn_input(net, 1, 2, 2, NULL), count = 0;

    for (; a >= 0; count++)
        a = nn_add(net, a, a, NN_LINEAR, &err);
    assert_int_equal(a, OPIML_ELIMIT);
    assert_int_equal(count, NN_TENSORS_MAX);
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_have_kernels_of_two_dimensions),
        cmocka_unit_test(volumes_have_kernels_of_three),
        cmocka_unit_test(groups_must_divide_channels),
        cmocka_unit_test(failures_are_passed_on),
        cmocka_unit_test(too_many_layers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
