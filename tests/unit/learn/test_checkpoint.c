/* Checkpoints: what goes in comes out. */
#include "learn_harness.h"

#include "learn/checkpoint.h"

static struct nn_net *make(uint64_t seed) {
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 3};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 8, 8, NULL) > 0);
    assert_int_equal(nn_net_finish(net, seed, NULL), 0);
    return net;
}

static void everything_comes_back(void **state) {
    char *folder = test_folder(), path[4096];
    struct nn_net *a = make(1), *b = make(2);
    struct checkpoint to = {.model = {.depth = 8, .width = 4, .classes = 3},
                            .channels = 3,
                            .height = 8,
                            .width = 8,
                            .step = 17,
                            .epoch = 2,
                            .threads = 5,
                            .kernels = "plain",
                            .isa = "x",
                            .token = "opiml1-t",
                            .data = "/e.yaml",
                            .classes = js_array()};
    struct checkpoint from;
    struct safetensors file;

    js_add(to.classes, js_text("cat"));
    nn_net_param(a, 0)->state[0][1] = 42;
    snprintf(path, sizeof(path), "%s/c", folder);
    assert_int_equal(checkpoint_write(path, a, &to, true, NULL), 0);
    assert_int_equal(safetensors_read(path, &file, NULL), 0);
    assert_int_equal(checkpoint_describe(&file, &from, NULL), 0);
    assert_int_equal(from.step, 17);
    assert_int_equal(from.epoch, 2);
    assert_int_equal(from.threads, 5);
    assert_int_equal(from.model.depth, 8);
    assert_string_equal(from.token, "opiml1-t");
    assert_string_equal(from.data, "/e.yaml");
    assert_string_equal(js_as_text(js_at(from.classes, 0), ""), "cat");
    assert_int_equal(checkpoint_load(&file, b, true, NULL), 0);
    for (uint32_t i = 0; i < nn_net_params(a); i++)
        assert_memory_equal(nn_net_param(a, i)->value, nn_net_param(b, i)->value,
                            nn_net_param(a, i)->count * sizeof(float));
    assert_true(nn_net_param(b, 0)->state[0][1] == 42);
    checkpoint_release(&to);
    checkpoint_release(&from);
    safetensors_release(&file);
    nn_net_destroy(a);
    nn_net_destroy(b);
    test_folder_remove(folder);
}

/* A file of weights alone can be evaluated, but not resumed. */
static void optimizer_state_may_be_left_out(void **state) {
    char *folder = test_folder(), path[4096];
    struct nn_net *net = make(1);
    struct checkpoint to = {
        .model = {.depth = 8, .width = 4, .classes = 3}, .channels = 3, .height = 8, .width = 8};
    struct opiml_error err = {0};
    struct safetensors file;

    snprintf(path, sizeof(path), "%s/c", folder);
    assert_int_equal(checkpoint_write(path, net, &to, false, NULL), 0);
    assert_int_equal(safetensors_read(path, &file, NULL), 0);
    assert_int_equal(checkpoint_load(&file, net, false, NULL), 0);
    assert_int_equal(checkpoint_load(&file, net, true, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "optimizer.0.conv1.weight"));
    safetensors_release(&file);
    nn_net_destroy(net);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(optimizer_state_may_be_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
