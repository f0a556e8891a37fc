#include "convert.h"

#include <fcntl.h>
#include <sys/file.h>

/* What is done to the disk: of which folder names were synced last, and files that were removed
 * while there was no journal any more. */
static _Atomic ino_t folder_synced;
static _Atomic uint32_t removed_late;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_remove(const char *path);
int __wrap_remove(const char *path);

int __wrap_fsync(int fd) {
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        folder_synced = info.st_ino;
    return __real_fsync(fd);
}

int __wrap_remove(const char *path) {
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *journal = base_printf("%.*s/" CONVERT_JOURNAL, (int)(slash - path), path);
    if (journal && access(journal, F_OK) < 0)
        removed_late++;
    return __real_remove(path);
}

static const struct convert_ask plain = {0};

static const char *const shards[] = {"000000.csv", "000001.csv", "000002.csv", "000003.csv"};

static void csv_of(struct dataset *from, const char *folder, const char *name,
                   const struct convert_ask *more, struct convert_report *ret_report) {
    struct convert_ask ask = *more;
    ask.fields = "label";
    converted(from, folder, name, "csv", &ask, ret_report);
    convert_report_release(ret_report);
}

static void shards_of_any_number_of_threads(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report one, four;
    csv_of(from, folder, "one", &(struct convert_ask){.threads = 1}, &one);
    csv_of(from, folder, "four", &(struct convert_ask){.threads = 4}, &four);
    assert_int_equal(one.records, ROWS);
    assert_int_equal(one.shards, 4);
    assert_true(one.checked);
    assert_memory_equal(&one.digest, &four.digest, sizeof(one.digest));
    for (size_t i = 0; i < COUNT_OF(shards); i++) {
        char a[64], b[64];
        snprintf(a, sizeof(a), "one/%s", shards[i]);
        snprintf(b, sizeof(b), "four/%s", shards[i]);
        assert_same_file(folder, a, b);
    }
    assert_same_file(folder, "one/" CONVERT_DATASET, "four/" CONVERT_DATASET);
    assert_same_file(folder, "one/" CONVERT_JOURNAL, "four/" CONVERT_JOURNAL);
    dataset_close(from);
    test_folder_remove(folder);
}

static void shards_by_bytes(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    const struct convert_ask ask = {.shard_records = UINT64_MAX, .shard_bytes = 100};
    csv_of(from, folder, "to", &ask, &report); /* rows have 29 or 30 bytes */
    assert_int_equal(report.shards, 7);
    const struct convert_ask small = {.shard_records = UINT64_MAX};
    csv_of(from, folder, "one", &small, &report);
    assert_int_equal(report.shards, 1);
    dataset_close(from);
    test_folder_remove(folder);
}

static bool stop_at_ten(void *context, const char *what, uint64_t done, uint64_t total) {
    return done < 10;
}

static void what_was_stopped_goes_on(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    const struct convert_ask stopped = {.fields = "label", .threads = 1, .progress = stop_at_ten};
    convert_refused(from, folder, "to", "csv", &stopped, OPIML_ECANCELED, "stopped");
    csv_of(from, folder, "to", &plain, &report);
    assert_int_equal(report.resumed, 1);
    csv_of(from, folder, "whole", &plain, &report);
    assert_int_equal(report.resumed, 0);
    assert_same_file(folder, "to/000000.csv", "whole/000000.csv");
    assert_same_file(folder, "to/000003.csv", "whole/000003.csv");
    assert_same_file(folder, "to/" CONVERT_JOURNAL, "whole/" CONVERT_JOURNAL);
    csv_of(from, folder, "to", &plain, &report);
    assert_int_equal(report.resumed, 4);
    dataset_close(from);
    test_folder_remove(folder);
}

static void another_conversion_is_refused(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    csv_of(from, folder, "to", &plain, &report);
    const struct convert_ask other = {.fields = "label", .shard_records = 5};
    convert_refused(from, folder, "to", "csv", &other, OPIML_EEXIST, "--overwrite starts over");
    convert_refused(from, folder, "to", "raw", &plain, OPIML_EEXIST, "--overwrite starts over");
    const struct convert_ask over = {.overwrite = true};
    removed_late = 0; /* else a kill would leave a folder of unknown things */
    converted(from, folder, "to", "raw", &over, &report);
    assert_int_equal(removed_late, 0);
    convert_report_release(&report);
    AUTO_FREE char *left = base_printf("%s/to/000000.csv", folder);
    assert_int_equal(access(left, F_OK), -1);
    dataset_close(from);
    test_folder_remove(folder);
}

static void nobody_else_is_overwritten(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    const struct convert_ask over = {.overwrite = true};
    csv_of(from, folder, "to", &plain, &report);
    AUTO_FREE char *path = base_printf("%s/to/" CONVERT_JOURNAL, folder);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    convert_refused(from, folder, "to", "raw", &over, OPIML_EBUSY, "another process is converting");
    close(fd);
    converted(from, folder, "to", "raw", &over, &report);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

/* Bad records of shards that an earlier call wrote count too. */
static void the_budget_is_of_all_calls(void **state) {
    char *folder = test_folder();
    struct convert_report report;
    test_write(folder, "rows.jsonl", "{\"a\": 1}\n{\"a\": x}\n{\"a\": 3}\n{\"a\": x}\n", 36);
    struct dataset *from = test_opened(folder, "{uri: rows.jsonl, fields: [\"a:i32\"]}");
    const struct convert_ask ask = {.budget = 0.25, .shard_records = 2, .threads = 1};
    for (int i = 0; i < 3; i++)
        convert_refused(from, folder, "to", "raw", &ask, OPIML_EBUDGET, "more than 1 bad record, ");
    /* A larger one goes on where a smaller one has ended; the other way round is too late. */
    const struct convert_ask two = {.budget = 0.5, .shard_records = 2};
    converted(from, folder, "to", "raw", &two, &report);
    assert_int_equal(report.skipped, 2);
    assert_int_equal(report.resumed, 1);
    convert_report_release(&report);
    convert_refused(from, folder, "to", "raw", &ask, OPIML_EBUDGET,
                    "2 bad records were left out by an earlier call, and the budget is 1 now");
    converted(from, folder, "other", "raw", &two, &report);
    assert_int_equal(report.skipped, 2);
    convert_report_release(&report);
    assert_same_file(folder, "to/000000.bin", "other/000000.bin");
    converted(from, folder, "other", "raw", &two, &report);
    assert_int_equal(report.skipped, 2);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

static void places_that_are_taken(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    test_mkdir(folder, "to");
    test_text(folder, "to/thesis.txt", "for years");
    const struct convert_ask over = {.overwrite = true};
    convert_refused(from, folder, "to", "raw", &plain, OPIML_EEXIST, "other things");
    convert_refused(from, folder, "to", "raw", &over, OPIML_EEXIST, "other things");
    convert_refused(from, folder, "to/thesis.txt", "raw", &plain, OPIML_ENOENT, "thesis.txt");
    test_text(folder, "a.bin", "old");
    struct convert_ask single = {.single = true};
    convert_refused(from, folder, "a.bin", "raw", &single, OPIML_EEXIST, "--overwrite replaces");
    single.overwrite = true;
    convert_refused(from, folder, "rows.jsonl", "jsonl", &single, OPIML_EINVAL,
                    "lies within the source");
    convert_refused(from, folder, "to", "raw", &single, OPIML_EEXIST, "no regular file");
    convert_refused(from, folder, "new.npy", "npy", &single, OPIML_EINVAL, "field \"data\"");
    converted(from, folder, "a.bin", "raw", &single, &report);
    assert_string_equal(report.dataset.at, "{uri: \"a.bin\", format: raw, fields: "
                                           "[\"label:i32\", \"x:f64:2\"]}");
    convert_report_release(&report);
    dataset_close(from);
    from = test_opened(folder, "{uri: a.bin, format: raw, fields: [\"label:i32\", \"x:f64:2\"]}");
    assert_int_equal(dataset_count(from), ROWS);
    dataset_close(from);
    test_folder_remove(folder);
}

static void one_file_is_safe_when_it_is_done(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    const struct convert_ask single = {.single = true, .no_check = true};
    struct convert_report report;
    struct stat info;
    folder_synced = 0;
    converted(from, folder, "a.bin", "raw", &single, &report);
    convert_report_release(&report);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(folder_synced, info.st_ino);
    dataset_close(from);
    test_folder_remove(folder);
}

static bool stop_checking(void *context, const char *what, uint64_t done, uint64_t total) {
    return strcmp(what, "checked") != 0 || done < 10;
}

static void one_file_that_was_not_compared_is_none(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    const struct convert_ask stopped = {.single = true, .threads = 1, .progress = stop_checking},
                             single = {.single = true};
    convert_refused(from, folder, "a.npz", "npz", &stopped, OPIML_ECANCELED, "stopped");
    AUTO_FREE char *path = base_printf("%s/a.npz", folder);
    assert_int_equal(access(path, F_OK), -1);
    converted(from, folder, "a.npz", "npz", &single, &report);
    assert_true(report.checked);
    convert_report_release(&report);
    assert_int_equal(access(path, F_OK), 0);
    dataset_close(from);
    test_folder_remove(folder);
}

/* Neither emptying a folder nor replacing a file takes away what is converted. */
static void a_source_is_not_overwritten(void **state) {
    static const char *const sources[] = {"'to/*.csv'", "to/000000.csv", "to/sub", "'*/0*.csv'",
                                          "'to/{000000,000001}.csv'"};
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    const struct convert_ask over = {.overwrite = true},
                             single = {.overwrite = true, .single = true};
    csv_of(from, folder, "to", &plain, &report);
    dataset_close(from);
    test_mkdir(folder, "to/sub");
    test_text(folder, "to/sub/more.csv", "label\n1\n");
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        AUTO_FREE char *yaml = base_printf("{uri: %s, format: csv}", sources[i]);
        from = test_opened(folder, yaml);
        convert_refused(from, folder, "to", "jsonl", &over, OPIML_EINVAL, "lies within");
        dataset_close(from);
    }
    from = test_opened(folder, "{uri: 'to/*.csv', format: csv}");
    convert_refused(from, folder, "to/000001.csv", "csv", &single, OPIML_EINVAL,
                    "within the source");
    converted(from, folder, "to/all.jsonl", "jsonl", &single, &report);
    assert_int_equal(report.records, ROWS);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

static void bad_records_and_the_budget(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, 7);
    struct convert_report report;
    struct convert_ask ask = {0};
    convert_refused(from, folder, "to", "npz", &ask, OPIML_ECORRUPT, "record 7 (file:///");
    convert_refused(from, folder, "to", "npz", &ask, OPIML_ECORRUPT, "; --budget leaves such");
    ask.budget = 0.04; /* of 20: none */
    convert_refused(from, folder, "none", "npz", &ask, OPIML_ECORRUPT, "record 7 (file:///");
    ask.budget = 0.05;
    converted(from, folder, "one", "npz", &ask, &report);
    assert_int_equal(report.records, ROWS - 1);
    assert_int_equal(report.skipped, 1);
    assert_non_null(strstr(report.first_bad.message, "record 7"));
    convert_report_release(&report);
    dataset_close(from);
    test_write(folder, "rows.jsonl", "{\"a\": 1}\n{\"a\": x}\n{\"a\": x}\n{\"a\": 2}\n", 36);
    from = test_opened(folder, "{uri: rows.jsonl, fields: [\"a:i32\"], index: rebuild}");
    ask.budget = 0.25;
    convert_refused(from, folder, "two", "npz", &ask, OPIML_EBUDGET, "more than 1 bad record, ");
    ask.budget = 0.5;
    ask.shard_records = 1; /* two of them have no records, and no files */
    converted(from, folder, "three", "npz", &ask, &report);
    assert_int_equal(report.records, 2);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

/* Counting classes reads all records before any is written; those that are gone are bad ones, too.
 */
static void missing_files_are_bad_records(void **state) {
    char *folder = test_folder();
    AUTO_TEXT struct text text = {0};
    struct convert_report report;
    for (int i = 0; i < ROWS; i++)
        text_printf(&text, "{\"image\": [255, 216, 255%s], \"label\": %d}\n", i % 2 ? ", 0" : "",
                    i);
    test_write(folder, "rows.jsonl", text.at, text.count);
    struct dataset *from =
        test_opened(folder, "{uri: rows.jsonl, fields: [\"image:u8:*\", \"label:i32\"]}");
    converted(from, folder, "npy", "npy", &plain, &report);
    convert_report_release(&report);
    dataset_close(from);
    from = test_opened(folder, "{uri: npy, format: npy, parts: [\"image:*_image.npy\", "
                               "\"label:*_label.npy\"]}");
    test_remove(folder, "npy/000000003_label.npy");
    convert_refused(from, folder, "none", "image-folder", &plain, OPIML_ENOENT, "record 3");
    const struct convert_ask ask = {.budget = 0.05};
    converted(from, folder, "to", "image-folder", &ask, &report);
    assert_int_equal(report.records, ROWS - 1);
    assert_int_equal(report.skipped, 1);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

/* Of one shard in three the writer takes no record. */
static void what_a_format_cannot_hold_is_a_bad_record(void **state) {
    static const char rows[] = "{\"image\": [255, 216, 255], \"label\": 0}\n"
                               "{\"image\": \"no picture\", \"label\": 0}\n"
                               "{\"image\": [255, 216, 255, 1], \"label\": 1}\n"
                               "{\"image\": [255, 216, 255, 2], \"label\": 0}\n"
                               "{\"image\": \"nor this\", \"label\": 0}\n"
                               "{\"image\": \"nor this\", \"label\": 0}\n";
    static const char *const names[] = {"webdataset", "image-folder"};
    char *folder = test_folder();
    struct convert_report report;
    test_text(folder, "rows.jsonl", rows);
    struct dataset *from =
        test_opened(folder, "{uri: rows.jsonl, fields: [\"image:u8:*\", \"label:i32\"]}");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        AUTO_FREE char *other = base_printf("no-%s", names[i]);
        struct convert_ask ask = {.shard_records = 2, .threads = 1};
        convert_refused(from, folder, other, names[i], &ask, OPIML_ECORRUPT,
                        "rows.jsonl at offset 39): field \"image\": neither a JPEG nor a PNG");
        convert_refused(from, folder, other, names[i], &ask, OPIML_ECORRUPT,
                        "; --budget leaves such records out");
        ask.budget = 0.34;
        convert_refused(from, folder, other, names[i], &ask, OPIML_EBUDGET, "more than 2 bad");
        ask.budget = 0.5;
        converted(from, folder, names[i], names[i], &ask, &report);
        assert_int_equal(report.records, 3);
        assert_int_equal(report.skipped, 3);
        assert_true(report.checked);
        assert_non_null(strstr(report.first_bad.message, "record 1 (file:///"));
        convert_report_release(&report);
        converted(from, folder, names[i], names[i], &ask, &report);
        assert_int_equal(report.skipped, 3);
        convert_report_release(&report);
    }
    dataset_close(from);
    test_folder_remove(folder);
}

static void labels_of_no_class_are_bad_records(void **state) {
    char *folder = test_folder();
    struct convert_report report;
    test_text(folder, "rows.jsonl",
              "{\"image\": [255, 216, 255], \"label\": 2}\n"
              "{\"image\": [255, 216, 255], \"label\": -1}\n");
    struct dataset *from =
        test_opened(folder, "{uri: rows.jsonl, fields: [\"image:u8:*\", \"label:i32\"]}");
    convert_refused(from, folder, "to", "image-folder", &plain, OPIML_ECORRUPT,
                    "rows.jsonl at offset 39): label -1 is no class's number");
    const struct convert_ask ask = {.budget = 0.5};
    converted(from, folder, "to", "image-folder", &ask, &report);
    assert_int_equal(report.records, 1);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

static void every_failing_allocation_is_told(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    const struct convert_ask ask = {.threads = 1, .overwrite = true, .no_check = true};
    for (uint64_t n = 1;; n++) {
        struct convert_report report = {0};
        struct opiml_error err = {0};
        uint64_t before = base_alloc_count();
        base_alloc_fail_at(n);
        int rc = convert_into(from, folder, "to", "raw", &ask, &report, &err);
        base_alloc_fail_at(0);
        bool all = base_alloc_count() - before < n;
        convert_report_release(&report);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        if (all)
            break;
    }
    dataset_close(from);
    test_folder_remove(folder);
}

static void classes_become_folders(void **state) {
    char *folder = test_folder();
    struct convert_report report;
    test_mkdir(folder, "from");
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof(name), "from/c%02d", 11 - i);
        test_mkdir(folder, name);
        snprintf(name, sizeof(name), "from/c%02d/x.jpg", 11 - i);
        test_write(folder, name, "\xff\xd8\xff", 3);
    }
    struct dataset *from = test_opened(folder, "{uri: from}");
    converted(from, folder, "tar", "webdataset", &plain, &report);
    convert_report_release(&report);
    converted(from, folder, "named", "image-folder", &plain, &report);
    convert_report_release(&report);
    assert_same_file(folder, "named/c11/000000011.jpg", "from/c11/x.jpg");
    dataset_close(from);
    from = test_opened(folder, "{uri: tar, format: webdataset}"); /* has no names of classes */
    converted(from, folder, "numbered", "image-folder", &plain, &report);
    convert_report_release(&report);
    assert_same_file(folder, "numbered/07/000000007.jpg", "from/c07/x.jpg");
    dataset_close(from);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_of_any_number_of_threads),
        cmocka_unit_test(shards_by_bytes),
        cmocka_unit_test(what_was_stopped_goes_on),
        cmocka_unit_test(another_conversion_is_refused),
        cmocka_unit_test(nobody_else_is_overwritten),
        cmocka_unit_test(the_budget_is_of_all_calls),
        cmocka_unit_test(places_that_are_taken),
        cmocka_unit_test(one_file_is_safe_when_it_is_done),
        cmocka_unit_test(one_file_that_was_not_compared_is_none),
        cmocka_unit_test(a_source_is_not_overwritten),
        cmocka_unit_test(bad_records_and_the_budget),
        cmocka_unit_test(missing_files_are_bad_records),
        cmocka_unit_test(what_a_format_cannot_hold_is_a_bad_record),
        cmocka_unit_test(labels_of_no_class_are_bad_records),
        cmocka_unit_test(every_failing_allocation_is_told),
        cmocka_unit_test(classes_become_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
