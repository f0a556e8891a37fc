#include "helper.h"

static void format_is_found_by_looking(void **state) {
    char *folder = test_folder(), path[4096];
    struct opiml_error err;
    assert_int_equal(test_open_fails(folder, NULL, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "holds no files"));
    test_mkdir(folder, "c");
    test_text(folder, "c/notes.txt", "x");
    assert_int_equal(test_open_fails(folder, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "none of a known kind"));
    test_text(folder, "c/a.jpg", "x");
    struct dataset *dataset = test_open(folder, NULL);
    assert_string_equal(dataset_format_name(dataset), "image-folder");
    dataset_close(dataset);
    test_text(folder, "labels.csv", "a\n1\n");
    assert_int_equal(test_open_fails(folder, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "1 for image-folder, 1 for csv"));
    assert_non_null(strstr(err.message, "say which with format: image-folder,"));
    const struct dataset_ask ask = {.index = "full", .option = "--format"};
    assert_int_equal(dataset_open_uri(folder, &ask, &dataset, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "say which with --format: image-folder,"));
    dataset = test_open(folder, "image_folder");
    assert_int_equal(dataset_count(dataset), 1);
    dataset_close(dataset);
    /* The index that this left does not make the format clear. */
    assert_int_equal(test_open_fails(folder, "auto", &err), OPIML_EINVAL);
    snprintf(path, sizeof(path), "%s/labels.csv", folder);
    dataset = test_open(path, NULL);
    assert_string_equal(dataset_format_name(dataset), "csv");
    dataset_close(dataset);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_is_found_by_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
