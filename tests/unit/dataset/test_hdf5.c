/* Where HDF5 says that its datasets' bytes lie. */
#include "hdf5.h"

#include "base/base.h"
#include "dataset/hdf5.h"

static const int32_t numbers[6] = {1, 2, 3, 4, 5, -6};

static void read_at(const char *path, uint64_t offset, void *to, size_t bytes) {
    FILE *file = fopen(path, "rb");

    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_int_equal(fread(to, 1, bytes, file), bytes);
    fclose(file);
}

static void datasets_are_found(void **state) {
    char *folder = test_folder(), path[4096];
    struct hdf5_dataset dataset;
    struct hdf5_extent rows[3];
    struct hdf5_maker maker = {0};
    struct opiml_error err;
    struct hdf5 *file;
    const char *name;
    int32_t back[6];

    snprintf(path, sizeof(path), "%s/a.h5", folder);
    if (!hdf5_make(&maker, path)) {
        test_folder_remove(folder);
        skip();
    }
    hdf5_add(&maker, "x", "H5T_STD_I32LE_g", 3, 2, 0, numbers);
    hdf5_add(&maker, "big", "H5T_STD_I32BE_g", 3, 2, 0, numbers);
    hdf5_add(&maker, "rows", "H5T_STD_I32LE_g", 3, 2, 3, numbers);
    hdf5_add(&maker, "wide", "H5T_STD_U64LE_g", 3, 0, 0, numbers);
    hdf5_made(&maker);
    assert_int_equal(hdf5_open(path, &file, &err), 0);
    assert_int_equal(hdf5_find(file, "x", &dataset, &err), 0);
    assert_true(dataset.array.dtype == OPIML_I32 && dataset.array.ndim == 2 &&
                dataset.array.shape[1] == 2 && !dataset.array.swapped);
    assert_int_equal(dataset.layout, HDF5_CONTIGUOUS);
    assert_int_equal(dataset.extent.bytes, sizeof(numbers));
    read_at(path, dataset.extent.offset, back, sizeof(back));
    assert_memory_equal(back, numbers, sizeof(back));
    assert_int_equal(hdf5_find(file, "big", &dataset, &err), 0);
    assert_true(dataset.array.swapped);
    assert_int_equal(hdf5_find(file, "rows", &dataset, &err), 0);
    assert_int_equal(dataset.layout, HDF5_CHUNKED);
    assert_int_equal(dataset.extent.filters, HDF5_DEFLATE | HDF5_SHUFFLE);
    assert_true(dataset.chunk[0] == 1 && dataset.chunk[1] == 2);
    assert_int_equal(hdf5_rows(file, "rows", &dataset, 3, rows, &err), 0);
    assert_true(rows[0].bytes > 0 && rows[0].offset != rows[1].offset);
    assert_int_equal(hdf5_find(file, "none", &dataset, &err), OPIML_ENOENT);
    assert_int_equal(hdf5_find(file, "wide", &dataset, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "unsigned integers of 8 bytes"));
    for (size_t i = 0; i < 4; i++)
        assert_true(hdf5_name(file, i, &name) && name[0]);
    assert_false(hdf5_name(file, 4, &name));
    hdf5_close(file);
    test_folder_remove(folder);
}

static void other_files_are_refused(void **state) {
    char *folder = test_folder(), path[4096];
    struct opiml_error err;
    struct hdf5 *file;
    int rc;

    test_write(folder, "a.h5", "no such file", 12);
    snprintf(path, sizeof(path), "%s/a.h5", folder);
    rc = hdf5_open(path, &file, &err);
    assert_true(rc == OPIML_ECORRUPT || (rc == OPIML_ENOTSUP && strstr(err.message, "libhdf5")));
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datasets_are_found),
        cmocka_unit_test(other_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
