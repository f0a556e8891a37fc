#include "helper.h"

#include "base/file.h"

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

static void assert_refused(const char *folder, const char *yaml, const char *message) {
    struct dataset *dataset = NULL;
    struct opiml_error err = {0};
    int rc = test_open_yaml(folder, yaml, &dataset, &err);
    assert_true(rc < 0);
    assert_null(dataset);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" lacks \"%s\"", err.message, message);
}

static void mistakes_in_yaml(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "d");
    test_mkdir(folder, "d/c");
    test_text(folder, "d/c/a.jpg", "x");
    assert_refused(folder, "{uri: d, formta: csv}", "p.yaml:1:10: dataset: unknown key \"formta\"");
    assert_refused(folder, "{uri: d, formta: csv}", "did you mean \"format\"");
    assert_refused(folder, "{uri: d, format: image-foldr}", "did you mean \"image-folder\"");
    assert_refused(folder, "{uri: d, format: image-folder, columns: [a]}", "\"columns\"");
    assert_refused(folder, "{format: csv}", "\"uri\" is missing");
    assert_refused(folder, "{uri: [d]}", "uri is a text");
    assert_refused(folder, "d", "is a mapping");
    assert_refused(folder, "{uri: d, direct: maybe}", "true or false");
    assert_refused(folder, "{uri: nothing}", "/nothing");
    assert_refused(folder, "{uri: \"\"}", "empty");
    assert_refused(folder, "{uri: \"s3://x/y\"}", "no source for \"s3://\"");
    test_folder_remove(folder);
}

static void options_in_yaml(void **state) {
    char *folder = test_folder(), text[2048], longer[256], yaml[1024];
    struct dataset *dataset;
    struct opiml_error err;
    memset(longer, 'l', 250);
    longer[250] = '\0';
    test_mkdir(folder, longer); /* a uri of more than 255 bytes */
    snprintf(text, sizeof(text), "%s/c c", longer);
    test_mkdir(folder, text);
    snprintf(text, sizeof(text), "%s/c c/x\n.png", longer);
    test_text(folder, text, "123");
    snprintf(yaml, sizeof(yaml), "{uri: \"%s/../%s\", weight: 3, direct: true, index: rebuild}",
             longer, longer);
    assert_int_equal(test_open_yaml(folder, yaml, &dataset, &err), 0);
    assert_true(dataset_direct(dataset));
    struct test_record record;
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_bytes(&record.values[0], "123");
    test_record_release(&record);
    dataset_describe(dataset, 0, text, sizeof(text));
    assert_null(strchr(text, '\n'));
    assert_non_null(strstr(text, "x\\x0a.png"));
    assert_string_equal(dataset_describe(dataset, 0, text, 6), "file:");
    dataset_close(dataset);
    dataset_close(NULL);
    test_folder_remove(folder);
}

static void fingerprint_ignores_place_and_time(void **state) {
    char *one = test_folder(), *other = test_folder();
    for (int i = 0; i < 2; i++) {
        const char *folder = i ? other : one;
        test_mkdir(folder, "c");
        test_text(folder, "c/a.jpg", "same size");
        test_text(folder, "c/b.jpg", "x");
        if (i)
            test_age(folder, "c/a.jpg");
    }
    struct dataset *a = test_open(one, NULL), *b = test_open(other, NULL);
    assert_true(dataset_fingerprint(a) == dataset_fingerprint(b));
    dataset_close(b);
    test_text(other, "c/b.jpg", "xy");
    test_text(other, "c/c.jpg", "x");
    test_remove(other, "c/c.jpg"); /* the folder has changed */
    b = test_open(other, NULL);
    assert_true(dataset_fingerprint(a) != dataset_fingerprint(b));
    dataset_close(a);
    dataset_close(b);
    test_folder_remove(one);
    test_folder_remove(other);
}

/* Each allocation of opening fails in turn, without an index and with one. */
static void memory_running_out(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "c");
    test_text(folder, "c/a.jpg", "x");
    test_age(folder, "c");
    for (uint64_t n = 1; n < 400; n++) {
        struct dataset *dataset = NULL;
        struct opiml_error err = {0};
        base_alloc_fail_at(n);
        const struct dataset_ask ask = {.format = n % 2 ? NULL : "image-folder"};
        int rc = dataset_open_uri(folder, &ask, &dataset, &err);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        assert_true((rc == 0) == (dataset != NULL));
        if (rc == 0)
            assert_int_equal(dataset_count(dataset), 1);
        dataset_close(dataset);
        if (n % 3 == 0) { /* so that it is built again */
            char name[64];
            snprintf(name, sizeof(name), "c/%03d.txt", (int)n);
            test_text(folder, name, "");
        }
    }
    test_folder_remove(folder);
}

/* The real photographs, when they are here: all are read and look like JPEG files. */
static void photographs(void **state) {
    const char *data = getenv("OPIML_DATA");
    char path[4096], *copy, *folder;
    size_t bytes;
    snprintf(path, sizeof(path), "%s/imagenet-sample-250.tar", data ? data : TEST_SHARED);
    if (file_read(path, MIB(100), &copy, &bytes, NULL) < 0) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    folder = test_folder(); /* an index is written beside it */
    test_write(folder, "photographs.tar", copy, bytes);
    base_free(copy);
    snprintf(path, sizeof(path), "%s/photographs.tar", folder);
    struct dataset *dataset = test_open(path, NULL);
    assert_int_equal(dataset_count(dataset), 250);
    for (uint64_t i = 0; i < 250; i++) {
        struct test_record record;
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_memory_equal(record.values[0].data, "\xff\xd8\xff", 3);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_is_found_by_looking),
        cmocka_unit_test(mistakes_in_yaml),
        cmocka_unit_test(options_in_yaml),
        cmocka_unit_test(fingerprint_ignores_place_and_time),
        cmocka_unit_test(memory_running_out),
        cmocka_unit_test(photographs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
