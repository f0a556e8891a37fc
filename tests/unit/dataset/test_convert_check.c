/* What was written is damaged behind the conversion's back, and is found out. */
#include "convert.h"

static const struct convert_ask plain = {0}, unchecked = {.no_check = true};

static void damage(const char *folder, const char *name, size_t at) {
    AUTO_FREE char *path = base_printf("%s/%s", folder, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc('\3', file), '\3');
    fclose(file);
}

static void a_changed_shard_is_written_anew(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    converted(from, folder, "good", "raw", &plain, &report);
    convert_report_release(&report);
    converted(from, folder, "to", "raw", &unchecked, &report);
    assert_false(report.checked);
    convert_report_release(&report);
    damage(folder, "to/000002.bin", 9);
    convert_refused(from, folder, "to", "raw", &plain, OPIML_ECORRUPT,
                    "shard 2 reads back as other records than were written; run again");
    converted(from, folder, "to", "raw", &plain, &report);
    assert_int_equal(report.resumed, 3);
    convert_report_release(&report);
    assert_same_file(folder, "to/000002.bin", "good/000002.bin");
    dataset_close(from);
    test_folder_remove(folder);
}

static void a_record_that_cannot_be_read_too(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    converted(from, folder, "to", "tfrecord", &unchecked, &report);
    convert_report_release(&report);
    damage(folder, "to/000001.tfrecord", 30);
    convert_refused(from, folder, "to", "tfrecord", &plain, OPIML_ECORRUPT, "CRC is wrong");
    converted(from, folder, "to", "tfrecord", &plain, &report);
    assert_int_equal(report.resumed, 3);
    convert_report_release(&report);
    dataset_close(from);
    test_folder_remove(folder);
}

static void a_missing_shard_is_told(void **state) {
    char *folder = test_folder();
    struct dataset *from = convert_rows(folder, -1);
    struct convert_report report;
    converted(from, folder, "to", "raw", &plain, &report);
    convert_report_release(&report);
    test_remove(folder, "to/000003.bin");
    convert_refused(from, folder, "to", "raw", &plain, OPIML_ECORRUPT,
                    "reads back as 18 records instead of 20");
    dataset_close(from);
    test_folder_remove(folder);
}

static void sorted_formats_are_compared_as_a_whole(void **state) {
    char *folder = test_folder();
    struct convert_report report;
    test_mkdir(folder, "from");
    test_mkdir(folder, "from/a");
    test_write(folder, "from/a/1.jpg", "\xff\xd8\xff-", 4);
    test_write(folder, "from/a/2.jpg", "\xff\xd8\xff.", 4);
    const struct convert_ask two = {.shard_records = 1};
    struct dataset *from = test_opened(folder, "{uri: from}");
    converted(from, folder, "to", "image-folder", &two, &report);
    convert_report_release(&report);
    damage(folder, "to/a/000000001.jpg", 3);
    convert_refused(from, folder, "to", "image-folder", &two, OPIML_ECORRUPT,
                    "other records than were written; run again");
    converted(from, folder, "to", "image-folder", &two, &report);
    assert_int_equal(report.resumed, 0);
    convert_report_release(&report);
    assert_same_file(folder, "to/a/000000001.jpg", "from/a/2.jpg");
    dataset_close(from);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_shard_is_written_anew),
        cmocka_unit_test(a_record_that_cannot_be_read_too),
        cmocka_unit_test(a_missing_shard_is_told),
        cmocka_unit_test(sorted_formats_are_compared_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
