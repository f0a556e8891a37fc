#include "helper.h"
#include "hdf5.h"

/* Rows of numbers, however they are stored, and their labels. */
static void rows_of_every_kind(void **state) {
    static const char *const types[] = {"H5T_STD_I32LE_g", "H5T_STD_I32BE_g"};
    char *folder = test_folder(), path[4096];
    int32_t numbers[40], big[40], *source;
    struct test_record record;
    struct hdf5_maker maker = {0};
    const uint8_t labels[4] = {9, 8, 7, 6};
    for (int i = 0; i < 40; i++) {
        numbers[i] = i * 1000 - 7;
        big[i] = (int32_t)__builtin_bswap32((uint32_t)numbers[i]);
    }
    for (int order = 0; order < 2; order++)
        for (int filters = 0; filters < 4; filters++) {
            snprintf(path, sizeof(path), "%s/a.h5", folder);
            if (!hdf5_make(&maker, path)) {
                test_folder_remove(folder);
                skip();
            }
            source = order ? big : numbers;
            hdf5_add(&maker, "image", types[order], 4, 10, filters, source);
            hdf5_add(&maker, "label", "H5T_STD_U8LE_g", 4, 0, 0, labels);
            hdf5_made(&maker);
            struct dataset *dataset = test_opened(folder, "{uri: a.h5, index: rebuild}");
            assert_string_equal(dataset_format_name(dataset), "hdf5");
            assert_int_equal(dataset_count(dataset), 4);
            assert_int_equal(test_fetch(dataset, 2, &record), 0);
            assert_memory_equal(record.values[0].data, numbers + 20, 40);
            assert_int_equal(record.values[1].data[0], 7);
            test_record_release(&record);
            dataset_close(dataset);
        }
    test_folder_remove(folder);
}

static void files_and_what_is_not_read(void **state) {
    static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    char *folder = test_folder(), path[4096];
    struct test_record record;
    struct hdf5_maker maker = {0};
    snprintf(path, sizeof(path), "%s/a.hdf5", folder);
    if (!hdf5_make(&maker, path)) {
        test_folder_remove(folder);
        skip();
    }
    hdf5_add(&maker, "x", "H5T_IEEE_F32LE_g", 4, 2, 0, numbers);
    hdf5_add(&maker, "pairs", "H5T_IEEE_F32LE_g", 4, 2, -1, numbers);
    hdf5_made(&maker);
    struct dataset *dataset =
        test_opened(folder, "{uri: ., format: hdf5, records: file, fields: [x]}");
    assert_int_equal(dataset_count(dataset), 1);
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_memory_equal(record.values[0].data, numbers, sizeof(numbers));
    test_record_release(&record);
    dataset_close(dataset);
    test_refused(folder, "{uri: ., format: hdf5, fields: [pairs]}", OPIML_ENOTSUP,
                 "chunks that are not a row each; rewrite it contiguous (h5repack -l CONTI, of "
                 "Debian's hdf5-tools) or with such chunks");
    test_refused(folder, "{uri: ., format: hdf5, records: file, fields: [pairs]}", OPIML_ENOTSUP,
                 "hdf5-tools)");
    test_refused(folder, "{uri: ., format: hdf5, fields: [none]}", OPIML_EINVAL,
                 "no dataset \"none\"");
    test_text(folder, "b.h5", "no such file");
    test_refused(folder, "{uri: b.h5}", OPIML_ECORRUPT, "no HDF5 file");
    test_folder_remove(folder);
}

static void what_there_is_instead_is_told(void **state) {
    static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    char *folder = test_folder(), path[4096];
    struct hdf5_maker maker = {0};
    snprintf(path, sizeof(path), "%s/group.h5", folder);
    if (!hdf5_make(&maker, path)) {
        test_folder_remove(folder);
        skip();
    }
    hdf5_group(&maker, "train");
    hdf5_group(&maker, "train/deep");
    hdf5_add(&maker, "train/x", "H5T_IEEE_F32LE_g", 4, 2, 0, numbers);
    hdf5_add(&maker, "train/deep/y", "H5T_IEEE_F32LE_g", 4, 0, 0, numbers);
    hdf5_made(&maker);
    test_refused(folder, "{uri: group.h5}", OPIML_EINVAL,
                 "no datasets in its root, and in groups there are train/deep/y, train/x: name "
                 "with `fields` which to take");
    dataset_close(test_opened(folder, "{uri: group.h5, fields: [train/x]}"));
    snprintf(path, sizeof(path), "%s/text.h5", folder);
    assert_true(hdf5_make(&maker, path));
    hdf5_add(&maker, "names", "H5T_C_S1_g", 4, 0, 0, "abcd");
    hdf5_add(&maker, "x", "H5T_IEEE_F32LE_g", 4, 2, 0, numbers);
    hdf5_add(&maker, "y", "H5T_IEEE_F32LE_g", 3, 2, 0, numbers);
    hdf5_made(&maker);
    test_refused(folder, "{uri: text.h5}", OPIML_ENOTSUP,
                 "names: text of 1 byte each: a type without a counterpart here; `fields: [...]`");
    test_refused(folder, "{uri: text.h5, fields: [x, y]}", OPIML_EINVAL,
                 "\"y\" has 3 rows, and the first field, \"x\", has 4; take only fields of one");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_every_kind),
        cmocka_unit_test(files_and_what_is_not_read),
        cmocka_unit_test(what_there_is_instead_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
