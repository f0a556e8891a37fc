/* Training files: mistakes name place and remedy. */
#include "learn_harness.h"

#include "learn/config.h"

static void refuse(const char *text, const char *where, const char *what) {
    char *folder = test_folder(), path[4096];
    struct learn_config config;
    struct opiml_error err = {0};

    test_write(folder, "t.yaml", text, strlen(text));
    snprintf(path, sizeof(path), "%s/t.yaml", folder);
    assert_true(learn_config_read(path, &config, &err) < 0);
    if (!strstr(err.message, where) || !strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.message, where, what);
    test_folder_remove(folder);
}

#define HEAD "opiml: 1\nkind: train\nout: r\n"

#define REST "data: {train: a}\nmodel: {name: resnet}\noptimizer: {lr: 1}\nschedule: {epochs: 1}\n"

static void mistakes_name_place_and_remedy(void **state) {
    refuse("- a\n", "t.yaml:1:1", "mapping");
    refuse(HEAD "modle: {}\n", "t.yaml:4:1", "did you mean \"model\"");
    refuse(HEAD "data: {trian: a}\n", "t.yaml:4:8", "did you mean \"train\"");
    refuse(HEAD "data: {train: a}\nmodel: {name: resnte, classes: 2}\n", "t.yaml:5:15", "resnet");
    refuse(HEAD "data: {train: a}\nmodel: {name: resnet, classes: 1}\noptimizer: {lr: 1}\n"
                "schedule: {epochs: 1}\n",
           "t.yaml:5:32", "2 to 100000");
    refuse(HEAD "data: {train: a}\nmodel: {name: resnet, classes: 2}\noptimizer: {}\n",
           "t.yaml:6:1", "lr");
    refuse("opiml: 1\nkind: train\n", "t.yaml", "out");
    refuse(HEAD "precision: f64\n" REST, "t.yaml:4:12", "auto, f32 or bf16");
}

static void names_stand_beside_the_file(void **state) {
    char *folder = test_folder(), path[4096], want[4096];
    const char *text = HEAD "data: {train: a.yaml, eval: /b.yaml}\n"
                            "model: {name: resnet, classes: 3}\noptimizer: {lr: 0.5}\n"
                            "schedule: {epochs: 4}\n";
    struct learn_config config;

    test_write(folder, "t.yaml", text, strlen(text));
    snprintf(path, sizeof(path), "%s/t.yaml", folder);
    assert_int_equal(learn_config_read(path, &config, NULL), 0);
    snprintf(want, sizeof(want), "%s/a.yaml", folder);
    assert_string_equal(config.data.train, want);
    assert_string_equal(config.data.eval, "/b.yaml");
    assert_true(config.optimizer.lr == 0.5 && config.optimizer.momentum == 0.9);
    assert_int_equal(config.schedule.name, NN_ONE_CYCLE);
    assert_string_equal(learn_kernels_text(&config), "auto");
    test_folder_remove(folder);
}

static void classes_may_be_left_out(void **state) {
    struct learn_config config;

    assert_int_equal(learn_config_parse(HEAD REST, strlen(HEAD REST), "t.yaml", &config, NULL), 0);
    assert_int_equal(config.model.classes, 0);
    assert_int_equal(config.model.depth, 8);
}

static void models_are_set_within_the_ranges(void **state) {
    struct nn_model_conf model = {0};
    struct opiml_error err = {0};

    assert_int_equal(learn_model_set(&model, "depth", "20", NULL), 0);
    assert_int_equal(model.depth, 20);
    assert_int_equal(learn_model_set(&model, "depth", "4294967294", &err), OPIML_EINVAL);
    assert_int_equal(learn_model_set(&model, "width", "1025", &err), OPIML_EINVAL);
    assert_int_equal(learn_model_set(&model, "classes", "", &err), OPIML_EINVAL);
    assert_int_equal(learn_model_set(&model, "colour", "1", &err), OPIML_EINVAL);
    assert_int_equal(model.depth, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_name_place_and_remedy),
        cmocka_unit_test(names_stand_beside_the_file),
        cmocka_unit_test(classes_may_be_left_out),
        cmocka_unit_test(models_are_set_within_the_ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
