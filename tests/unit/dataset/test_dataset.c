#include "helper.h"

#include "base/file.h"

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
        cmocka_unit_test(fingerprint_ignores_place_and_time),
        cmocka_unit_test(photographs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
