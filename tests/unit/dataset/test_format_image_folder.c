#include "helper.h"

static void records_and_labels(void **state) {
    char *folder = test_folder(), text[512], expected[600];
    struct test_record record;
    test_mkdir(folder, "cat");
    test_mkdir(folder, "cat/more");
    test_mkdir(folder, "cat-b");
    test_mkdir(folder, "empty");
    test_mkdir(folder, "z \n\xff");
    test_text(folder, "cat/b.JPG", "cat b");
    test_text(folder, "cat/a.x.jpeg", "cat a");
    test_text(folder, "cat/more/c.png", "cat c");
    test_text(folder, "cat-b/1.Png", "cat-b 1");
    test_text(folder, "z \n\xff/1.jpg", "");
    test_text(folder, "cat/notes.txt", "left out");
    test_text(folder, "README", "left out");
    struct dataset *dataset = test_open(folder, NULL);
    assert_string_equal(dataset_format_name(dataset), "image-folder");
    assert_int_equal(dataset_count(dataset), 5);
    /* Classes in the order of their names, records in that of their keys: '-' comes before '/'. */
    static const char *const keys[] = {"cat-b/1", "cat/a.x", "cat/b", "cat/more/c"};
    static const char *const images[] = {"cat-b 1", "cat a", "cat b", "cat c", ""};
    static const int32_t labels[] = {1, 0, 0, 0, 3};
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_bytes(&record.values[0], images[i]);
        assert_i32(&record.values[1], labels[i]);
        if (i < 4)
            assert_key(dataset, i, keys[i]);
        test_record_release(&record);
    }
    assert_string_equal(dataset_class(dataset, 0), "cat");
    assert_string_equal(dataset_class(dataset, 1), "cat-b");
    assert_string_equal(dataset_class(dataset, 2), "empty");
    assert_null(dataset_class(dataset, 4));
    snprintf(expected, sizeof(expected), "file://%s/cat/b.JPG", folder);
    assert_string_equal(dataset_describe(dataset, 2, text, sizeof(text)), expected);
    assert_string_equal(dataset_key(dataset, 4, text, sizeof(text)), "z \\x0a\\xff/1");
    assert_string_equal(dataset_key(dataset, 0, text, 4), "cat");
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_int_equal(schema->count, 2);
    assert_string_equal(schema->fields[0].name, "image");
    assert_int_equal(schema->fields[0].max_bytes, 7);
    assert_int_equal(schema->fields[1].dtype, OPIML_I32);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void sorted_by_key_without_extension(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "c");
    test_text(folder, "c/a.png", "1"); /* as paths "a-b.png" would come first */
    test_text(folder, "c/a-b.png", "2");
    test_text(folder, "c/a.jpg", "3"); /* the same key: by path */
    struct dataset *dataset = test_open(folder, "image-folder");
    struct test_record record;
    static const char *const images[] = {"3", "1", "2"};
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_bytes(&record.values[0], images[i]);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void bad_folders(void **state) {
    char *folder = test_folder();
    struct opiml_error err;
    test_mkdir(folder, "cat");
    assert_int_equal(test_open_fails(folder, "image-folder", &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "holds no files for format image-folder"));
    test_text(folder, "cat/a.jpg", "x");
    test_text(folder, "b.jpg", "x");
    assert_int_equal(test_open_fails(folder, "image-folder", &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "/b.jpg lies in no class folder"));
    test_folder_remove(folder);
}

/* Behind a pattern, too, what is no image by its name is left out; a name that is written out is
 * meant. */
static void patterns(void **state) {
    char *folder = test_folder(), uri[4096];
    struct opiml_error err;
    test_mkdir(folder, "cat");
    test_mkdir(folder, "dog.d");
    test_text(folder, "cat/a.jpg", "x");
    test_text(folder, "cat/README", "left out");
    test_text(folder, "dog.d/README", "left out, although its path has a dot");
    test_text(folder, "dog.d/b.png", "x");
    snprintf(uri, sizeof(uri), "%s/*/*", folder);
    struct dataset *dataset = test_open(uri, "image-folder");
    assert_int_equal(dataset_count(dataset), 2);
    assert_key(dataset, 0, "cat/a");
    assert_key(dataset, 1, "dog.d/b");
    dataset_close(dataset);
    /* A folder that the pattern does not lead into is no class. */
    snprintf(uri, sizeof(uri), "%s/d*/*", folder);
    dataset = test_open(uri, "image-folder");
    assert_int_equal(dataset_count(dataset), 1);
    assert_string_equal(dataset_class(dataset, 0), "dog.d");
    assert_null(dataset_class(dataset, 1));
    dataset_close(dataset);
    snprintf(uri, sizeof(uri), "%s/cat/REA*", folder);
    assert_int_equal(test_open_fails(uri, "image-folder", &err), OPIML_ENOENT);
    snprintf(uri, sizeof(uri), "%s/{cat,dog.d}/README", folder);
    assert_int_equal(test_open_fails(uri, "image-folder", &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "/cat/README: the name of an image ends in .jpg"));
    test_folder_remove(folder);
}

static void changed_and_missing_files_are_bad_records(void **state) {
    char *folder = test_folder();
    struct test_record record;
    test_mkdir(folder, "c");
    test_text(folder, "c/a.jpg", "12345");
    test_text(folder, "c/b.jpg", "12345");
    test_text(folder, "c/c.jpg", "12345");
    test_text(folder, "c/d.jpg", "12345");
    struct dataset *dataset = test_open(folder, NULL);
    test_text(folder, "c/a.jpg", "1234");
    test_text(folder, "c/b.jpg", "123456");
    test_remove(folder, "c/c.jpg");
    static const int codes[] = {OPIML_ESTALE, OPIML_ESTALE, OPIML_ENOENT, 0};
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(test_fetch(dataset, i, &record), codes[i]);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_and_labels),
        cmocka_unit_test(sorted_by_key_without_extension),
        cmocka_unit_test(bad_folders),
        cmocka_unit_test(patterns),
        cmocka_unit_test(changed_and_missing_files_are_bad_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
