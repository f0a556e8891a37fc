#include "write.h"

#include "base/inflate.h"
#include "dataset/write_columns.h"

static void rows_go_where_they_belong(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *path = base_printf("%s/a.bin", folder);
    static uint8_t noise[2][300000];
    struct write_columns columns = {.count = 2};
    struct opiml_error err;
    AUTO_FREE char *got = NULL;
    size_t bytes = 0;
    for (uint32_t c = 0; c < 2; c++) {
        test_noise(noise[c], sizeof(noise[c]), c);
        columns.at[c].offset = 4 + c * sizeof(noise[c]);
        columns.at[c].bytes = sizeof(noise[c]);
    }
    assert_int_equal(write_file_open(&columns.file, path, &err), 0);
    assert_int_equal(write_file_add(&columns.file, "head", 4, &err), 0);
    assert_int_equal(write_columns_begin(&columns, &err), 0);
    for (size_t at = 0; at < sizeof(noise[0]); at += 1000)
        for (uint32_t c = 0; c < 2; c++)
            assert_int_equal(write_columns_add(&columns, c, noise[c] + at, 1000, &err), 0);
    assert_int_equal(write_columns_flush(&columns, &err), 0);
    for (uint32_t c = 0; c < 2; c++)
        assert_int_equal(columns.at[c].crc, inflate_crc32(noise[c], sizeof(noise[c])));
    assert_int_equal(write_file_commit(&columns.file, false, &err), 0);
    write_columns_release(&columns);
    assert_int_equal(file_read(path, MIB(1), &got, &bytes, &err), 0);
    assert_int_equal(bytes, 4 + sizeof(noise));
    assert_memory_equal(got, "head", 4);
    assert_memory_equal(got + 4, noise, sizeof(noise));
    test_folder_remove(folder);
}

static void heads_are_numpys(void **state) {
    static const struct {
        uint32_t dtype, ndim;
        int64_t shape[2];
        uint64_t rows; /* 0: none */
        const char *words;
    } cases[] = {
        {OPIML_U8, 0, {0}, 0, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }"},
        {OPIML_I16, 1, {3}, 0, "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }"},
        {OPIML_F64, 0, {0}, 9, "{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }"},
        {OPIML_F16, 2, {3, 4}, 9, "{'descr': '<f2', 'fortran_order': False, 'shape': (9, 3, 4), }"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO_TEXT struct text head = {0};
        write_npy_head(&head, cases[i].dtype, cases[i].ndim, cases[i].shape,
                       cases[i].rows ? &cases[i].rows : NULL);
        assert_int_equal(head.count % 64, 0);
        assert_memory_equal(head.at + 10, cases[i].words, strlen(cases[i].words));
        assert_int_equal(head.at[head.count - 1], '\n');
    }
    assert_false(write_npy_takes(OPIML_BF16));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_where_they_belong),
        cmocka_unit_test(heads_are_numpys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
