/* Models by number. */
#include "nn_harness.h"

static void each_builds_and_has_a_name(void **state) {
    static const char *const names[] = {"resnet", "resnet9"};

    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        struct nn_model_conf conf = {.name = i, .depth = 8, .width = 4, .classes = 3};
        struct nn_net *net;

        assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
        assert_true(nn_model_build(net, &conf, 3, 32, 32, NULL) > 0);
        assert_int_equal(nn_net_finish(net, 1, NULL), 0);
        assert_int_equal(nn_net_output(net)->c, 3);
        assert_string_equal(nn_model_name(&conf), names[i]);
        nn_net_destroy(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_builds_and_has_a_name)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
