/* Models by number. */
#include "nn_harness.h"

static void each_builds_and_has_a_name(void **state) {
    static const char *const names[] = {"resnet", "resnet9", "unet3d", "resnet50"};

    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        struct nn_model_conf conf = {.name = i, .depth = 8, .width = 4, .classes = 3};
        uint32_t depth = i == NN_UNET3D ? 32 : 1;
        struct nn_net *net;

        assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
        assert_true(nn_model_build(net, &conf, 3, depth, 32, 32, NULL) > 0);
        assert_int_equal(nn_net_finish(net, 1, NULL), 0);
        assert_int_equal(nn_net_output(net)->c, 3);
        assert_string_equal(nn_model_name(&conf), names[i]);
        nn_net_destroy(net);
    }
}

static void models_of_images_refuse_volumes(void **state) {
    for (uint32_t i = 0; i <= NN_RESNET50; i++) {
        struct nn_model_conf conf = {.name = i, .depth = 8, .width = 4, .classes = 3};
        struct opiml_error err = {0};
        struct nn_net *net;

        if (i == NN_UNET3D)
            continue;
        assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
        assert_int_equal(nn_model_build(net, &conf, 3, 32, 32, 32, &err), OPIML_EINVAL);
        assert_non_null(strstr(err.message, "takes images"));
        nn_net_destroy(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_builds_and_has_a_name),
                                       cmocka_unit_test(models_of_images_refuse_volumes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
