#include "helper.h"

static void records_of_several_files(void **state) {
    char *folder = test_folder(), text[512];
    uint8_t data[3 + 5 * 7];
    struct test_record record;
    test_mkdir(folder, "d");
    for (int i = 0; i < 38; i++)
        data[i] = (uint8_t)i;
    test_write(folder, "d/a.bin", data, 3 + 2 * 7);
    test_write(folder, "d/b.bin", data, 3); /* no records */
    test_write(folder, "d/c.bin", data, 3 + 5 * 7);
    test_text(folder, "d/readme.txt", "left out");
    struct dataset *dataset = test_opened(
        folder, "{uri: d, format: raw, header_bytes: 3, fields: [\"px:u8:1x3\", \"n:i32\"]}");
    assert_int_equal(dataset_count(dataset), 7);
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_int_equal(schema->count, 2);
    assert_int_equal(schema->fields[0].ndim, 2);
    assert_int_equal(schema->fields[0].shape[1], 3);
    assert_int_equal(schema->fields[1].ndim, 0);
    for (uint64_t i = 0; i < 7; i++) {
        uint8_t first = (uint8_t)(3 + (i < 2 ? i : i - 2) * 7);
        uint8_t pixels[3] = {first, first + 1, first + 2};
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_int_equal(record.values[0].bytes, 3);
        assert_memory_equal(record.values[0].data, pixels, 3);
        assert_int_equal((uintptr_t)record.values[1].data % 4, 0);
        assert_i32(&record.values[1],
                   (first + 3) | (first + 4) << 8 | (first + 5) << 16 | (first + 6) << 24);
        test_record_release(&record);
    }
    assert_string_equal(dataset_key(dataset, 5, text, sizeof(text)), "row 5");
    dataset_describe(dataset, 3, text, sizeof(text));
    assert_non_null(strstr(text, "/d/c.bin at offset 10"));
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void bad_parameters_and_files(void **state) {
    char *folder = test_folder();
    struct opiml_error err;
    test_text(folder, "x.bin", "0123456789");
    test_text(folder, "x.npy.gz", "01");
    dataset_close(test_opened(folder, "{uri: x.npy.gz, format: raw, fields: [\"a:u8\"]}"));
#define RAW(fields) "{uri: x.bin, format: raw, fields: " fields "}"
    test_refused(folder, RAW("[\"a:u8:4\"]"), OPIML_ECORRUPT, "x.bin at offset 8: 2 stray bytes");
    test_refused(folder, RAW("[\"a:u9\"]"), OPIML_EINVAL, "\"u9\" is no dtype");
    test_refused(folder, RAW("[\"a\"]"), OPIML_EINVAL, "name:dtype:shape");
    test_refused(folder, RAW("[\":u8\"]"), OPIML_EINVAL, "name:dtype:shape");
    test_refused(folder, RAW("[\"a:u8:0\"]"), OPIML_EINVAL, "is no shape");
    test_refused(folder, RAW("[\"a:u8:2x\"]"), OPIML_EINVAL, "is no shape");
    test_refused(folder, RAW("[\"a:u8:1x1x1x1x1x1\"]"), OPIML_EINVAL, "is no shape");
    test_refused(folder, RAW("[\"a:u8\", \"a:u8\"]"), OPIML_EINVAL, "named \"a\"");
    test_refused(folder, RAW("[\"a:f64:60000x60000\"]"), OPIML_ELIMIT, "2 GiB");
    test_refused(folder, RAW("[]"), OPIML_EINVAL, "say what a record holds");
    test_refused(folder, "{uri: x.bin, format: raw}", OPIML_EINVAL, "\"fields\" is missing");
    test_refused(folder, "{uri: x.bin, format: raw, fields: [\"a:u8\"], header_bytes: 11}",
                 OPIML_ECORRUPT, "ends within its header");
    test_refused(folder, "{uri: x.bin, format: raw, fields: [\"a:u8\"], header_bytes: 10}",
                 OPIML_ENOENT, "no records");
    char path[4096];
    snprintf(path, sizeof(path), "%s/x.bin", folder);
    assert_int_equal(test_open_fails(path, "raw", &err), OPIML_EINVAL);
    assert_int_equal(test_open_fails(path, NULL, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "1 for raw"));
    test_folder_remove(folder);
}

static void cut_file_is_stale(void **state) {
    char *folder = test_folder();
    struct test_record record;
    test_text(folder, "x.bin", "0123456789");
    struct dataset *dataset =
        test_opened(folder, "{uri: x.bin, format: raw, fields: [\"a:u8:5\"], direct: true}");
    assert_true(dataset_direct(dataset));
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_memory_equal(record.values[0].data, "56789", 5);
    test_record_release(&record);
    test_text(folder, "x.bin", "01234567");
    assert_int_equal(test_fetch(dataset, 1, &record), OPIML_ESTALE);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_several_files),
        cmocka_unit_test(bad_parameters_and_files),
        cmocka_unit_test(cut_file_is_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
