/* The training loop: it learns, stops, and goes on to the same weights. */
#include "learn_harness.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"

static void it_learns(void **state) {
    char *folder = learn_folder(LEARN_REST);
    struct opiml_train_progress progress = {0};
    struct opiml_error err = {0};

    if (learn_run(folder, NULL, 8, NULL, &progress, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(progress.step, 8 * 7);
    assert_true(progress.eval_score > 0.9);
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

/* A run that is stopped after every single update and resumed ends in the weights of one that is
 * not: short batches and holes leave nothing behind. */
static void check_step_by_step(const char *kernels, const char *data, const char *rest,
                               uint32_t stops) {
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
                 kernels, rest);
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
        opiml_train_stop(train); /* after one update */
        rc = opiml_train_run(train, &err);
        opiml_train_close(train);
        runs++;
    } while (rc == OPIML_ECANCELED && runs < 100);
    if (rc < 0)
        fail_msg("%s", err.message);
    assert_int_equal(runs, stops + 1);
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
        check_step_by_step(kernels[k], "batch: {size: 16}\n", LEARN_REST, 3 * 7);
        check_step_by_step(kernels[k],
                           "ops: [{filter: {where: \"label != 2\"}}]\nbatch: {size: 16}\n",
                           LEARN_REST, 3 * 7);
    }
}

#define LEARN_MORE(optimizer, more)                                                                \
    "model: {name: resnet, depth: 8, width: 4, classes: 4}\n"                                      \
    "optimizer: {" optimizer "}\nschedule: {epochs: 3, warmup: 0.2}\n" more

/* Gradients of three batches, of three, and of the epoch's last one. */
static void averages_and_accumulation_are_resumed(void **state) {
    check_step_by_step("plain", "batch: {size: 16}\n",
                       LEARN_MORE("name: lars, trust: 0.02, lr: 1, accumulate: 3", "ema: 0.9\n"),
                       3 * 3);
}

/* All batches of an epoch make one update at its end: the first epoch's loss is that of the first
 * weights at any learning rate. */
static void accumulated_batches_wait_for_their_update(void **state) {
    static const char *const rest[] = {LEARN_MORE("lr: 0.01, accumulate: 7", ""),
                                       LEARN_MORE("lr: 0.1, accumulate: 99", ""),
                                       LEARN_MORE("lr: 0.1", "")};
    double losses[3];

    for (int i = 0; i < 3; i++) {
        char *folder = learn_folder(rest[i]);
        struct opiml_train_progress progress = {0};

        assert_int_equal(learn_run(folder, NULL, 1, NULL, &progress, NULL), 0);
        losses[i] = progress.loss;
        test_folder_remove(folder);
    }
    assert_true(losses[0] == losses[1] && losses[1] != losses[2]);
}

/* The average is what the run is judged by, and what its checkpoint is used with. */
static void the_average_is_evaluated(void **state) {
    char *folder = learn_folder(LEARN_MORE("lr: 0.05", "ema: 0.8\n")), path[4096];
    struct opiml_train_progress progress = {0};
    struct opiml_eval_result result;
    struct opiml_model *model;

    assert_int_equal(learn_run(folder, NULL, 2, NULL, &progress, NULL), 0);
    snprintf(path, sizeof(path), "%s/run/checkpoint.safetensors", folder);
    assert_int_equal(opiml_model_open(path, 16, 1, &model, NULL), 0);
    assert_int_equal(opiml_model_eval(model, opiml_model_data(model), &result, NULL), 0);
    assert_true(fabs(result.loss - progress.eval_loss) < 1e-6);
    assert_true(result.score == progress.eval_score);
    opiml_model_close(model);
    test_folder_remove(folder);
}

static void the_run_ends_at_its_target(void **state) {
    char *folder = learn_folder(LEARN_MORE("lr: 0.05", "target: 0.5\n"));
    struct opiml_train_progress progress = {0};

    assert_int_equal(learn_run(folder, NULL, 50, NULL, &progress, NULL), 0);
    assert_true(progress.reached && progress.eval_score >= 0.5);
    assert_true(progress.epoch < 50 && progress.step == progress.epoch * 7);
    test_folder_remove(folder);
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
    assert_true(one.loss == other.loss && one.score == other.score);
    assert_true(one.eval_score == other.eval_score);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(resuming_ends_in_the_same_bytes),
        cmocka_unit_test(resuming_after_every_step_is_exact),
        cmocka_unit_test(averages_and_accumulation_are_resumed),
        cmocka_unit_test(accumulated_batches_wait_for_their_update),
        cmocka_unit_test(the_average_is_evaluated),
        cmocka_unit_test(the_run_ends_at_its_target),
        cmocka_unit_test(the_epochs_counts_are_resumed),
        cmocka_unit_test(an_epoch_without_samples_is_told),
        cmocka_unit_test(what_filters_leave_out_is_counted),
        cmocka_unit_test(labels_outside_the_classes_are_bad_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
