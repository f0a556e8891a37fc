/* ONNX models: that other runtimes compute the same with them is shown in
 * tests/python/test_export.py; here that each kind of layer is written as the operator that it is.
 */
#include "nn/onnx.h"

#include "nn_harness.h"

static bool has(const struct text *text, const char *what) {
    return memmem(text->at, text->count, what, strlen(what)) != NULL;
}

static void layers_become_operators(void **state) {
    static const char *const names[] = {"Conv",
                                        "ConvTranspose",
                                        "BatchNormalization",
                                        "InstanceNormalization",
                                        "GroupNormalization",
                                        "num_groups",
                                        "PRelu",
                                        "LeakyRelu",
                                        "Relu",
                                        "Add",
                                        "Concat",
                                        "MaxPool",
                                        "GlobalAveragePool",
                                        "Flatten",
                                        "Gemm",
                                        "kernel_shape",
                                        "image",
                                        "logits",
                                        "batch",
                                        "net"};
    AUTO_TEXT struct text text = {0};
    struct nn_net *net;
    int a, b;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 2, &net, NULL), 0);
    a = nn_input(net, 2, 8, 8, NULL);
    a = nn_batch_norm(net, nn_conv(net, a, "c", 4, 3, 1, 1, NULL), "b", NN_RELU, NULL);
    a = nn_group_norm(net, a, "g", 2, 0.1f, NULL);
    b = nn_prelu(net, nn_group_norm(net, a, "i", 0, NN_LINEAR, NULL), "p", NULL);
    a = nn_concat(net, nn_add(net, a, b, NN_RELU, NULL), b, NULL);
    a = nn_conv_transposed(net, nn_max_pool(net, a, 3, 2, 1, NULL), "t", 4, 2, 2, NULL);
    a = nn_dense(net, nn_global_pool(net, a, false, NULL), "d", 3, 0.5f, NULL);
    assert_true(a > 0);
    assert_int_equal(nn_net_finish(net, 1, NULL), 0);
    assert_int_equal(nn_onnx_encode(net, "net", &text, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!has(&text, names[i]))
            fail_msg("no %s", names[i]);
    for (uint32_t i = 0; i < nn_net_params(net); i++) {
        const struct nn_param *param = nn_net_param(net, i);

        assert_non_null(memmem(text.at, text.count, param->value, param->count * sizeof(float)));
        assert_true(has(&text, param->name));
    }
    nn_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(layers_become_operators)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
