#include "convert.h"

#include "dataset/convert_job.h"

static void assert_notes(struct dataset *from, const char *folder, const char *to,
                         const char *writer, const struct convert_ask *more, const char *wanted) {
    struct convert_report report;
    struct opiml_error err = {0};
    if (convert_into(from, folder, to, writer, more, &report, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(report.notes.count ? report.notes.at : "", wanted);
    convert_report_release(&report);
}

static struct dataset *pictures(const char *folder) {
    test_mkdir(folder, "set");
    test_mkdir(folder, "set/dog");
    test_mkdir(folder, "set/a cat");
    test_write(folder, "set/dog/1.jpg", "\xff\xd8\xff", 3);
    test_write(folder, "set/a cat/1.jpg", "\xff\xd8\xff", 3);
    return test_opened(folder, "{uri: set}");
}

static void names_of_classes_stay(void **state) {
    char *folder = test_folder();
    struct dataset *from = pictures(folder);
    const struct convert_ask plain = {0}, single = {.single = true};
    const struct convert_ask over = {.overwrite = true, .fields = "image,kind=label"};
    const struct convert_ask none = {.fields = "image"};
    static const char *const listed = "labels are numbers: 0 a cat, 1 dog\n";
    size_t bytes = 0;
    assert_notes(from, folder, "to", "tfrecord", &plain,
                 "labels are numbers; label.labels.txt there has the classes' names\n");
    AUTO_FREE char *names = convert_file(folder, "to/label.labels.txt", &bytes);
    assert_int_equal(bytes, 10);
    assert_memory_equal(names, "a cat\ndog\n", 10);
    assert_notes(from, folder, "to", "tfrecord", &over,
                 "labels are numbers; kind.labels.txt there has the classes' names\n");
    AUTO_FREE char *others = convert_file(folder, "to/kind.labels.txt", &bytes);
    assert_string_equal(others, "a cat\ndog\n");
    assert_notes(from, folder, "x.jsonl", "jsonl", &single, listed);
    assert_notes(from, folder, "classes", "image-folder", &plain, ""); /* it keeps them itself */
    assert_notes(from, folder, "no-label", "tfrecord", &none, "");
    dataset_close(from);
    test_folder_remove(folder);
}

/* A file that another program reads has them as they are, however long; or none. */
static void names_are_not_shown_but_written(void **state) {
    char *folder = test_folder(), path[300], name[101];
    const struct convert_ask plain = {0};
    size_t bytes = 0;
    memset(name, 'x', 100);
    name[100] = 0;
    test_mkdir(folder, "set");
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof(path), "set/%s%s", name, k ? "\xff" : "A");
        test_mkdir(folder, path);
        strcat(path, "/1.jpg");
        test_write(folder, path, "\xff\xd8\xff", 3);
    }
    struct dataset *from = test_opened(folder, "{uri: set}");
    assert_notes(from, folder, "to", "tfrecord", &plain,
                 "labels are numbers; label.labels.txt there has the classes' names\n");
    AUTO_FREE char *names = convert_file(folder, "to/label.labels.txt", &bytes);
    assert_int_equal(bytes, 2 * 102);
    assert_memory_equal(names + 100, "A\n", 2);
    assert_memory_equal(names + 202, "\xff\n", 2);
    dataset_close(from);
    test_mkdir(folder, "set/a\nb");
    test_write(folder, "set/a\nb/1.jpg", "\xff\xd8\xff", 3);
    from = test_opened(folder, "{uri: set}");
    struct convert_report report;
    assert_int_equal(convert_into(from, folder, "two", "tfrecord", &plain, &report, NULL), 0);
    assert_non_null(strstr(report.notes.at, "labels are numbers: 0 a\\x0ab, 1 xxx"));
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

static void numbers_that_go_as_bytes(void **state) {
    char *folder = test_folder();
    const struct convert_ask plain = {0}, one = {.fields = "c,b"}, none = {.fields = "a"};
    test_text(folder, "x.csv", "a,b,c,d\n1,0.1,x,0.5\n");
    struct dataset *from = test_opened(folder, "{uri: x.csv}");
    struct convert_report report;
    struct opiml_error err;
    assert_int_equal(convert_into(from, folder, "all", "tfrecord", &plain, &report, &err), 0);
    assert_non_null(strstr(
        report.notes.at,
        "\"b\" of type f64 and 1 more of types wider or narrower than f32 went as raw bytes"));
    assert_non_null(strstr(report.notes.at, "types: [\"NAME:f32\"]"));
    convert_report_release(&report);
    assert_int_equal(convert_into(from, folder, "one", "tfrecord", &one, &report, &err), 0);
    assert_non_null(strstr(report.notes.at, "\"b\" of type f64 went as raw bytes"));
    convert_report_release(&report);
    assert_notes(from, folder, "none", "tfrecord", &none, "");
    assert_notes(from, folder, "npz", "npz", &none, "");
    dataset_close(from);
    from = test_opened(folder, "{uri: x.csv, types: [\"b:f32\", \"d:f32\"]}");
    assert_notes(from, folder, "lists", "tfrecord", &plain, "");
    dataset_close(from);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_classes_stay),
        cmocka_unit_test(names_are_not_shown_but_written),
        cmocka_unit_test(numbers_that_go_as_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
