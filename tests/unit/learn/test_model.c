/* Trained models: evaluation and prediction say the same. */
#include "learn_harness.h"

static void predictions_agree_with_the_evaluation(void **state) {
    char *folder = learn_folder(LEARN_REST), path[4096];
    struct opiml_eval_result result;
    struct opiml_error err = {0};
    struct opiml_model *model;
    float image[PIXELS], probabilities[4];
    uint32_t shape[4], right = 0;
    FILE *file;

    assert_int_equal(learn_run(folder, NULL, 6, NULL, NULL, &err), 0);
    snprintf(path, sizeof(path), "%s/run/checkpoint.safetensors", folder);
    if (opiml_model_open(path, 8, 1, &model, &err) < 0)
        fail_msg("%s", err.message);
    opiml_model_input(model, shape);
    assert_true(shape[0] == 3 && shape[1] == 0 && shape[2] == 8 && shape[3] == 8);
    assert_int_equal(opiml_model_classes(model), 4);
    assert_string_equal(opiml_model_class(model, 2), "2"); /* raw records name no classes */
    assert_non_null(strstr(opiml_model_data(model), "eval.yaml"));
    assert_int_equal(opiml_model_eval(model, opiml_model_data(model), &result, &err), 0);
    assert_int_equal(result.samples, 40);
    snprintf(path, sizeof(path), "%s/eval.bin", folder);
    file = fopen(path, "rb");
    for (int i = 0; i < 40; i++) {
        int32_t label, best = 0;
        double sum = 0;

        assert_int_equal(fread(image, 4, PIXELS, file), PIXELS);
        assert_int_equal(fread(&label, 4, 1, file), 1);
        assert_int_equal(opiml_model_predict(model, image, 1, probabilities, NULL), 0);
        for (int k = 0; k < 4; k++) {
            sum += (double)probabilities[k];
            best = probabilities[k] > probabilities[best] ? k : best;
        }
        assert_true(sum > 0.999 && sum < 1.001);
        right += best == label;
    }
    fclose(file);
    assert_true((double)right / 40 == result.score);
    opiml_model_close(model);
    test_folder_remove(folder);
}

static void what_is_no_checkpoint_is_refused(void **state) {
    char *folder = test_folder(), path[4096];
    struct opiml_error err = {0};
    struct opiml_model *model;

    snprintf(path, sizeof(path), "%s/x", folder);
    test_write(folder, "x", "\2\0\0\0\0\0\0\0{}", 10);
    assert_int_equal(opiml_model_open(path, 1, 1, &model, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "no checkpoint"));
    test_write(folder, "x", "junk", 4);
    assert_int_equal(opiml_model_open(path, 1, 1, &model, &err), OPIML_ECORRUPT);
    assert_int_equal(opiml_model_open("/nonexistent/x", 1, 1, &model, &err), OPIML_ENOENT);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_agree_with_the_evaluation),
        cmocka_unit_test(what_is_no_checkpoint_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
