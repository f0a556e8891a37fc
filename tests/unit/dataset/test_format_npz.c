#include "helper.h"
#include "npy.h"
#include "zip.h"

static struct zip_file file;

static void add(const char *name, const char *dictionary, const void *data, size_t bytes) {
    uint8_t npy[4096];
    zip_add(&file, name, npy, npy_make(npy, dictionary, data, bytes), true);
}

static void save(const char *folder, const char *name) {
    zip_end(&file, false, "");
    test_write(folder, name, file.at, file.bytes);
    file = (struct zip_file){0};
}

/* x is odd bytes, so that y lies where its numbers cannot be read. */
static void save_pair(const char *folder, const char *name, uint8_t first) {
    const uint8_t x[3] = {first, 2, 3};
    const int32_t y[2] = {first * 1000, -1};
    add("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", x, sizeof(x));
    add("y.npy", "{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}", y, sizeof(y));
    save(folder, name);
}

static void members_are_fields(void **state) {
    char *folder = test_folder();
    struct test_record record;
    save_pair(folder, "a.npz", 1);
    save_pair(folder, "b.npz", 7);
    for (int direct = 0; direct < 2; direct++) {
        struct dataset *dataset = test_opened(
            folder, direct ? "{uri: ., format: npz, direct: true, crc: true}" : "{uri: .}");
        assert_string_equal(dataset_format_name(dataset), "npz");
        assert_int_equal(dataset_count(dataset), 2);
        assert_int_equal(test_fetch(dataset, 1, &record), 0);
        assert_int_equal(record.values[0].data[0], 7);
        assert_int_equal(((int32_t *)(void *)record.values[1].data)[0], 7000);
        test_record_release(&record);
        dataset_close(dataset);
    }
    struct dataset *dataset = test_opened(folder, "{uri: ., format: npz, fields: [y]}");
    assert_int_equal(dataset_schema(dataset)->count, 1);
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_int_equal(((int32_t *)(void *)record.values[0].data)[0], 1000);
    test_record_release(&record);
    dataset_close(dataset);
    test_refused(folder, "{uri: ., format: npz, fields: [z]}", OPIML_EINVAL,
                 "no .npy member \"z\"");
    test_folder_remove(folder);
}

static void wrong_crcs_are_told_when_asked_for(void **state) {
    char *folder = test_folder(), path[4096];
    struct test_record record;
    save_pair(folder, "a.npz", 1);
    snprintf(path, sizeof(path), "%s/a.npz", folder);
    FILE *change = fopen(path, "r+b");
    assert_int_equal(fseek(change, 30 + 5 + 20 + 128, SEEK_SET), 0); /* x's first element */
    fputc(99, change);
    fclose(change);
    struct dataset *dataset = test_opened(folder, "{uri: a.npz}");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_int_equal(record.values[0].data[0], 99);
    test_record_release(&record);
    dataset_close(dataset);
    dataset = test_opened(folder, "{uri: a.npz, format: npz, crc: true}");
    assert_int_equal(test_fetch(dataset, 0, &record), OPIML_ECORRUPT);
    assert_non_null(strstr(record.err.message, "\"x\": the CRC is wrong"));
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void damaged_files_are_bad_records(void **state) {
    char *folder = test_folder();
    struct test_record record;
    test_text(folder, "a.npz", "no archive");
    save_pair(folder, "b.npz", 1);
    struct dataset *dataset = test_opened(folder, "{uri: .}");
    assert_int_equal(dataset_count(dataset), 2);
    assert_int_equal(test_fetch(dataset, 0, &record), OPIML_ECORRUPT);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    test_record_release(&record);
    dataset_close(dataset);
    test_refused(folder, "{uri: ., format: npz, records: row}", OPIML_EINVAL,
                 "a.npz: \"x\" is damaged");
    test_refused(folder, "{uri: a.npz}", OPIML_ECORRUPT, "no zip archive");
    zip_add(&file, "readme.txt", "hello", 5, false);
    save(folder, "c.npz");
    test_refused(folder, "{uri: c.npz}", OPIML_EINVAL, "no .npy members");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_fields),
        cmocka_unit_test(wrong_crcs_are_told_when_asked_for),
        cmocka_unit_test(damaged_files_are_bad_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
