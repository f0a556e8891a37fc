/* Checkpoints: what goes in comes out. */
#include "learn_harness.h"

#include "learn/checkpoint.h"

static struct nn_net *make(uint64_t seed) {
    struct nn_model_conf conf = {.depth = 8, .width = 4, .classes = 3};
    struct nn_net *net;

    assert_int_equal(nn_net_create(&nn_kernels_plain, 1, &net, NULL), 0);
    assert_true(nn_model_build(net, &conf, 3, 1, 8, 8, NULL) > 0);
    assert_int_equal(nn_net_finish(net, seed, NULL), 0);
    return net;
}

#define COLUMNS "[{\"name\": \"a\", \"kind\": \"number\", \"width\": 3}]"

static void everything_comes_back(void **state) {
    char *folder = test_folder(), path[4096];
    struct nn_net *a = make(1), *b = make(2);
    struct nn_shadow *average, *other;
    struct checkpoint to = {
        .model = {.depth = 8, .width = 4, .classes = 3},
        .channels = 3,
        .height = 8,
        .width = 8,
        .step = 17,
        .epoch = 2,
        .score = {.samples = 9, .correct = 4, .loss = 1.0 / 3, .overlaps = {{0}, {7, 8, 9}}},
        .optimizer = NN_LARS,
        .threads = 5,
        .kernels = "plain",
        .isa = "x",
        .precision = "bf16",
        .token = "opiml1-t",
        .data = "/e.yaml",
        .classes = js_array()};
    struct checkpoint from;
    struct safetensors file;
    char *columns;

    assert_int_equal(nn_shadow_create(a, true, &average, NULL), 0);
    assert_int_equal(nn_shadow_create(b, true, &other, NULL), 0);
    average->values[0][1] = 43;
    js_add(to.classes, js_text("cat"));
    assert_int_equal(js_parse(COLUMNS, strlen(COLUMNS), &to.columns, NULL), 0);
    nn_net_param(a, 0)->state[0][1] = 42;
    snprintf(path, sizeof(path), "%s/c", folder);
    assert_int_equal(checkpoint_write(path, a, average, &to, NULL), 0);
    assert_int_equal(safetensors_read(path, &file, NULL), 0);
    assert_int_equal(checkpoint_describe(&file, &from, NULL), 0);
    assert_int_equal(from.step, 17);
    assert_int_equal(from.epoch, 2);
    assert_int_equal(from.score.samples, 9);
    assert_int_equal(from.score.correct, 4);
    assert_true(from.score.loss == 1.0 / 3);
    assert_memory_equal(&from.score.overlaps, &to.score.overlaps, sizeof(to.score.overlaps));
    assert_int_equal(from.optimizer, NN_LARS);
    assert_int_equal(from.threads, 5);
    assert_int_equal(from.model.depth, 8);
    assert_string_equal(from.token, "opiml1-t");
    assert_string_equal(from.data, "/e.yaml");
    assert_string_equal(js_as_text(js_at(from.classes, 0), ""), "cat");
    columns = js_dump(from.columns, 0);
    assert_string_equal(columns, COLUMNS);
    base_free(columns);
    assert_int_equal(checkpoint_load(&file, b, other, NULL), 0);
    for (uint32_t i = 0; i < nn_net_params(a); i++)
        assert_memory_equal(nn_net_param(a, i)->value, nn_net_param(b, i)->value,
                            nn_net_param(a, i)->count * sizeof(float));
    assert_true(nn_net_param(b, 0)->state[0][1] == 42 && other->values[0][1] == 43);
    assert_int_equal(checkpoint_load_model(&file, b, NULL), 0); /* its average */
    assert_true(nn_net_param(b, 0)->value[1] == 43);
    nn_shadow_destroy(average);
    nn_shadow_destroy(other);
    checkpoint_release(&to);
    checkpoint_release(&from);
    safetensors_release(&file);
    nn_net_destroy(a);
    nn_net_destroy(b);
    test_folder_remove(folder);
}

/* What was trained without an average cannot go on with one. */
static void an_average_may_be_left_out(void **state) {
    char *folder = test_folder(), path[4096];
    struct nn_net *net = make(1);
    struct checkpoint to = {
        .model = {.depth = 8, .width = 4, .classes = 3}, .channels = 3, .height = 8, .width = 8};
    struct opiml_error err = {0};
    struct nn_shadow *average;
    struct safetensors file;

    assert_int_equal(nn_shadow_create(net, true, &average, NULL), 0);
    snprintf(path, sizeof(path), "%s/c", folder);
    assert_int_equal(checkpoint_write(path, net, NULL, &to, NULL), 0);
    assert_int_equal(safetensors_read(path, &file, NULL), 0);
    assert_int_equal(checkpoint_load_model(&file, net, NULL), 0);
    assert_int_equal(checkpoint_load(&file, net, NULL, NULL), 0);
    assert_int_equal(checkpoint_load(&file, net, average, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "ema.conv1.weight"));
    nn_shadow_destroy(average);
    safetensors_release(&file);
    nn_net_destroy(net);
    test_folder_remove(folder);
}

/* A small file may say anything; it is refused by name, at once, and before memory is taken. */
static void impossible_models_are_refused(void **state) {
    static const struct {
        const char *key, *value, *what;
    } cases[] = {
        {"depth", "4294967294", "depth"},
        {"depth", "18446744073709551624", "depth"}, /* 8 modulo 2^64 */
        {"depth", "200", "layer1.1"},               /* possible, but not in the file */
        {"depth", "9", "6 n + 2"},
        {"depth", "0", "depth"},
        {"width", "4294967295", "width"},
        {"width", "1024", "conv1.weight"},
        {"classes", "1", "two classes"},
        {"classes", "2147483647", "classes"},
        {"classes", "100000", "fc.weight"},
        {"channels", "4096", "conv1.weight"},
        {"height", "4097", "height"},
        {"image_width", "-1", "image_width"},
        {"image_width", "0x8", "image_width"},
        {"step", "99999999999999999999", "step"},
        {"epoch_correct", "5", "epoch_correct"}, /* of no samples */
        {"epoch_overlaps", "[1, 2]", "epoch_overlaps"},
        {"epoch_overlaps", "[1, -2, 3]", "epoch_overlaps"},
        {"class_names", "{\"a\":1}", "class_names"},
        {"class_names", "[1]", "class_names"},
        {"class_names", "[", "class_names"},
        {"columns", "[]", "columns are not as many"},
        {"columns", "7", "columns are not as many"},
        {"columns", "[", "columns is no list"},
        {"columns", "[{\"name\": \"a\", \"kind\": \"number\", \"width\": 2}]", "not as many"},
        {"columns", "[{\"name\": \"a\", \"kind\": \"number\", \"width\": -3}]", "no column"},
        {"columns", "[{\"name\": \"a\", \"kind\": \"other\", \"width\": 3}]", "no column"},
        {"columns", "[{\"kind\": \"number\", \"width\": 3}]", "no column"},
    };
    char *folder = test_folder(), path[4096];
    struct nn_net *net = make(1);
    struct checkpoint to = {
        .model = {.depth = 8, .width = 4, .classes = 3}, .channels = 3, .height = 8, .width = 8};
    struct safetensors file;

    snprintf(path, sizeof(path), "%s/c", folder);
    assert_int_equal(checkpoint_write(path, net, NULL, &to, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct checkpoint from = {0};
        struct opiml_error err = {0};

        assert_int_equal(safetensors_read(path, &file, NULL), 0);
        js_set(js_get(file.header, "__metadata__"), cases[i].key, js_text(cases[i].value));
        assert_true(checkpoint_describe(&file, &from, &err) < 0);
        if (!strstr(err.message, path) || !strstr(err.message, cases[i].what))
            fail_msg("%s: %s: %s", cases[i].key, cases[i].value, err.message);
        safetensors_release(&file);
    }
    nn_net_destroy(net);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(impossible_models_are_refused),
        cmocka_unit_test(an_average_may_be_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
