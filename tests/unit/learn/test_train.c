/* The training loop: it learns, stops, and goes on to the same weights. */
#include "learn_harness.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static void it_learns(void **state) {
    char *folder = learn_folder(LEARN_REST);
    struct opiml_train_progress progress = {0};
    struct opiml_error err = {0};

    if (learn_run(folder, NULL, 8, NULL, &progress, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(progress.step, 8 * 7);
    assert_true(progress.eval_accuracy > 0.9);
    assert_true(progress.loss < 0.7);
    assert_true(progress.utilisation > 0 && progress.utilisation <= 1);
    test_folder_remove(folder);
}

static char *checkpoint(const char *folder, size_t *ret_bytes) {
    char path[4096], *data = NULL;

    snprintf(path, sizeof(path), "%s/run/checkpoint.safetensors", folder);
    assert_int_equal(file_read(path, MIB(10), &data, ret_bytes, NULL), 0);
    return data;
}

/* Three epochs in one go, and one epoch followed by two more, end in the same file. */
static void resuming_ends_in_the_same_bytes(void **state) {
    char *whole = learn_folder(LEARN_REST), *parts = learn_folder(LEARN_REST), *a, *b, *from, *to;
    struct learn_watch watch = {.stop_at = 1};
    struct opiml_error err = {0};
    size_t a_bytes, b_bytes;

    assert_int_equal(learn_run(whole, NULL, 0, NULL, NULL, &err), 0);
    assert_int_equal(learn_run(parts, NULL, 0, &watch, NULL, &err), OPIML_ECANCELED);
    assert_non_null(strstr(err.message, "--resume"));
    assert_int_equal(learn_run(parts, "", 0, NULL, NULL, &err), 0);
    a = checkpoint(whole, &a_bytes);
    b = checkpoint(parts, &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    /* The header names the folders; tensors stand behind it. */
    from = a + 8 + *(uint64_t *)(void *)a;
    to = b + 8 + *(uint64_t *)(void *)b;
    assert_memory_equal(from, to, (size_t)(a + a_bytes - from));
    base_free(a);
    base_free(b);
    test_folder_remove(whole);
    test_folder_remove(parts);
}

/* A run that is stopped after every single step and resumed ends in the weights of one that is not:
 * short batches and holes leave nothing behind. */
static void check_step_by_step(const char *kernels, const char *data) {
    char *whole = learn_folder(LEARN_REST), *parts = learn_folder(LEARN_REST), *a, *b, *from;
    struct opiml_error err = {0};
    size_t a_bytes, b_bytes;
    uint32_t runs = 0;
    int rc;

    for (int k = 0; k < 2; k++) {
        char *folder = k ? parts : whole, text[4096];

        learn_data(folder, data);
        snprintf(text, sizeof(text),
                 "opiml: 1\nkind: train\nthreads: 1\nkernels: %s\n"
                 "data: {train: data.yaml}\nout: run\nseed: 3\n%s",
                 kernels, LEARN_REST);
        test_write(folder, "train.yaml", text, strlen(text));
    }
    if (learn_run(whole, NULL, 0, NULL, NULL, &err) < 0)
        fail_msg("%s", err.message);
    do {
        struct opiml_train_options options;
        struct opiml_train *train;
        char path[4096];

        snprintf(path, sizeof(path), "%s/train.yaml", parts);
        opiml_train_options_init(&options);
        options.resume = runs ? "" : NULL;
        assert_int_equal(opiml_train_open(path, &options, &train, &err), 0);
        opiml_train_stop(train); /* after one step */
        rc = opiml_train_run(train, &err);
        opiml_train_close(train);
        runs++;
    } while (rc == OPIML_ECANCELED && runs < 100);
    if (rc < 0)
        fail_msg("%s", err.message);
    assert_int_equal(runs, 3 * 7 + 1);
    a = checkpoint(whole, &a_bytes);
    b = checkpoint(parts, &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    from = a + 8 + *(uint64_t *)(void *)a;
    assert_memory_equal(from, b + (from - a), (size_t)(a + a_bytes - from));
    base_free(a);
    base_free(b);
    test_folder_remove(whole);
    test_folder_remove(parts);
}

static void resuming_after_every_step_is_exact(void **state) {
    static const char *const kernels[] = {"plain", "auto"};

    for (int k = 0; k < 2; k++) {
        check_step_by_step(kernels[k], "batch: {size: 16}\n");
        check_step_by_step(kernels[k],
                           "ops: [{filter: {where: \"label != 2\"}}]\nbatch: {size: 16}\n");
    }
}

/* What an interrupted epoch reports is what a whole one does. */
static void the_epochs_counts_are_resumed(void **state) {
    char *whole = learn_folder(LEARN_REST), *parts = learn_folder(LEARN_REST), path[4096];
    struct opiml_train_progress one = {0}, other = {0};
    struct opiml_train_options options;
    struct opiml_train *train;

    assert_int_equal(learn_run(whole, NULL, 1, NULL, &one, NULL), 0);
    snprintf(path, sizeof(path), "%s/train.yaml", parts);
    opiml_train_options_init(&options);
    options.epochs = 1;
    assert_int_equal(opiml_train_open(path, &options, &train, NULL), 0);
    opiml_train_stop(train);
    assert_int_equal(opiml_train_run(train, NULL), OPIML_ECANCELED);
    opiml_train_close(train);
    assert_int_equal(learn_run(parts, "", 1, NULL, &other, NULL), 0);
    assert_true(one.loss == other.loss && one.accuracy == other.accuracy);
    assert_true(one.eval_accuracy == other.eval_accuracy);
    test_folder_remove(whole);
    test_folder_remove(parts);
}

static void an_epoch_without_samples_is_told(void **state) {
    char *folder = learn_folder(LEARN_REST), path[4096];
    struct opiml_error err = {0};

    learn_data(folder, "ops: [{filter: {where: \"label > 9\"}}]\nbatch: {size: 16}\n");
    assert_int_equal(learn_run(folder, NULL, 0, NULL, NULL, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "data.yaml: epoch 1 had no sample"));
    assert_non_null(strstr(err.message, "left out 100, 0 were bad"));
    snprintf(path, sizeof(path), "%s/run/checkpoint.safetensors", folder);
    assert_int_equal(access(path, F_OK), -1); /* of untrained weights */
    test_folder_remove(folder);
}

static void what_filters_leave_out_is_counted(void **state) {
    char *folder = learn_folder(LEARN_REST);
    struct opiml_train_progress progress = {0};

    learn_data(folder, "ops: [{filter: {where: \"label != 2\"}}]\nbatch: {size: 16}\n");
    assert_int_equal(learn_run(folder, NULL, 2, NULL, &progress, NULL), 0);
    assert_int_equal(progress.dropped, 25); /* of the last epoch */
    assert_int_equal(progress.errors, 0);
    test_folder_remove(folder);
}

static void labels_outside_the_classes_are_bad_records(void **state) {
    char *folder = learn_folder(LEARN_REST);
    struct opiml_train_progress progress;
    struct opiml_error err = {0};

    learn_records(folder, "train.bin", 100, 9);
    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), OPIML_EBUDGET);
    assert_non_null(strstr(err.message, "train.bin at offset 76428: label 9; there are 4 classes"));
    learn_data(folder, "batch: {size: 16}\nerrors: {budget: 1}\n");
    assert_int_equal(learn_run(folder, NULL, 2, NULL, &progress, NULL), 0);
    assert_int_equal(progress.errors, 1); /* of the last epoch */
    test_folder_remove(folder);
}

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
    assert_int_equal(open_only(folder, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "--overwrite replaces it"));
    assert_int_equal(open_only(folder, "", &err), 0);
    snprintf(own, sizeof(own), "%s/run/../run/checkpoint.safetensors", folder);
    assert_int_equal(open_only(folder, own, &err), 0);
    snprintf(out, sizeof(out), "%s/other.safetensors", folder);
    assert_int_equal(rename(own, out), 0);
    assert_int_equal(open_only(folder, out, &err), 0);
    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), 0);
    assert_int_equal(open_only(folder, out, &err), OPIML_EINVAL); /* it is another's */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(resuming_ends_in_the_same_bytes),
        cmocka_unit_test(resuming_after_every_step_is_exact),
        cmocka_unit_test(the_epochs_counts_are_resumed),
        cmocka_unit_test(an_epoch_without_samples_is_told),
        cmocka_unit_test(what_filters_leave_out_is_counted),
        cmocka_unit_test(a_checkpoint_is_not_replaced_unasked),
        cmocka_unit_test(where_nothing_can_be_written_is_told_first),
        cmocka_unit_test(labels_outside_the_classes_are_bad_records),
        cmocka_unit_test(a_model_of_another_shape_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
