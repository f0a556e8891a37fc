/* Opening a run: what cannot be, or should not, is told before anything is computed. */
#include "learn_harness.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int open_only(const char *folder, const char *resume, struct opiml_error *err) {
    struct opiml_train_options options;
    struct opiml_train *train = NULL;
    char path[4096];
    int rc;

    snprintf(path, sizeof(path), "%s/train.yaml", folder);
    opiml_train_options_init(&options);
    options.resume = resume;
    rc = opiml_train_open(path, &options, &train, err);
    opiml_train_close(train);
    return rc;
}

/* A trained model is worth more than the next command. */
static void a_checkpoint_is_not_replaced_unasked(void **state) {
    char *folder = learn_folder(LEARN_REST), own[4096], out[4096];
    struct opiml_error err = {0};

    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), 0);
    assert_int_equal(open_only(folder, NULL, &err), OPIML_EEXIST);
    assert_non_null(strstr(err.message, "--overwrite replaces it"));
    assert_int_equal(open_only(folder, "", &err), 0);
    snprintf(own, sizeof(own), "%s/run/../run/checkpoint.safetensors", folder);
    assert_int_equal(open_only(folder, own, &err), 0);
    snprintf(out, sizeof(out), "%s/other.safetensors", folder);
    assert_int_equal(rename(own, out), 0);
    assert_int_equal(open_only(folder, out, &err), 0);
    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), 0);
    assert_int_equal(open_only(folder, out, &err), OPIML_EEXIST); /* it is another's */
    test_folder_remove(folder);
}

static void where_nothing_can_be_written_is_told_first(void **state) {
    char *folder = learn_folder(LEARN_REST), out[4096];
    struct opiml_error err = {0};

    snprintf(out, sizeof(out), "%s/run", folder);
    assert_int_equal(mkdir(out, 0777), 0);
    if (geteuid() == 0) { /* whom no mode stops */
        assert_int_equal(rmdir(out), 0);
        assert_int_equal(symlink("/proc/self", out), 0);
    } else {
        assert_int_equal(chmod(out, 0555), 0);
    }
    assert_true(open_only(folder, NULL, &err) < 0);
    assert_non_null(strstr(err.message, "checkpoint.safetensors: cannot be written"));
    test_folder_remove(folder);
}

/* The same training file, of 14 layers. */
static void deeper(const char *folder, const char *text) {
    const char *at = strstr(text, "depth: 8");
    char other[4096];

    snprintf(other, sizeof(other), "%.*sdepth: 14%s", (int)(at - text), text, at + 8);
    test_write(folder, "train.yaml", other, strlen(other));
}

static void a_model_of_another_shape_is_told(void **state) {
    char *folder = learn_folder(LEARN_REST), text[4096], path[4096], *data;
    struct opiml_error err = {0};
    size_t bytes;

    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), 0);
    snprintf(path, sizeof(path), "%s/train.yaml", folder);
    assert_int_equal(file_read(path, 4096, &data, &bytes, NULL), 0);
    snprintf(text, sizeof(text), "%s", data);
    memcpy(strstr(text, "width: 4"), "width: 6", 8);
    test_write(folder, "train.yaml", text, strlen(text));
    base_free(data);
    assert_int_equal(learn_run(folder, "", 1, NULL, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "conv1.weight"));
    assert_non_null(strstr(err.message, "[4, 3, 3, 3]"));
    assert_non_null(strstr(err.message, "[6, 3, 3, 3]"));
    memcpy(strstr(text, "width: 6"), "width: 4", 8);
    test_write(folder, "train.yaml", text, strlen(text));
    deeper(folder, text);
    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), 0);
    test_write(folder, "train.yaml", text, strlen(text));
    assert_int_equal(learn_run(folder, "", 1, NULL, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "depth 14"));
    test_folder_remove(folder);
}

static void losses_go_with_their_labels(void **state) {
    char *folder = learn_folder("model: {name: resnet, depth: 8, width: 4, classes: 4}\n"
                                "optimizer: {lr: 0.05}\nschedule: {epochs: 1}\n"
                                "loss: {name: dice_cross_entropy}\n");
    struct opiml_error err = {0};

    assert_int_equal(open_only(folder, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "data.yaml has a label for each image: loss.name has to be "
                                        "cross_entropy"));
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_is_not_replaced_unasked),
        cmocka_unit_test(where_nothing_can_be_written_is_told_first),
        cmocka_unit_test(a_model_of_another_shape_is_told),
        cmocka_unit_test(losses_go_with_their_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
