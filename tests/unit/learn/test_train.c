/* The training loop: it learns, stops, and goes on to the same weights. */
#include "learn_harness.h"

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

static void labels_outside_the_classes_are_told(void **state) {
    char *folder = learn_folder(LEARN_REST);
    struct opiml_error err = {0};

    learn_records(folder, "train.bin", 100, 9);
    assert_int_equal(learn_run(folder, NULL, 1, NULL, NULL, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "label 9"));
    test_folder_remove(folder);
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
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(resuming_ends_in_the_same_bytes),
        cmocka_unit_test(labels_outside_the_classes_are_told),
        cmocka_unit_test(a_model_of_another_shape_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
