#include "helper.h"
#include "npy.h"

static const float numbers[6] = {1, 2, 3, 4, 5, 6};

static void a_file_is_a_record(void **state) {
    char *folder = test_folder(), text[256];
    struct test_record record;
    test_mkdir(folder, "d");
    npy_write(folder, "d/b.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}",
              numbers, 24);
    npy_write(folder, "d/a.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}",
              numbers, 8);
    struct dataset *dataset = test_opened(folder, "{uri: d}");
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_string_equal(dataset_format_name(dataset), "npy");
    assert_int_equal(schema->count, 1);
    assert_string_equal(schema->fields[0].name, "data");
    assert_true(schema->fields[0].shape[0] == -1 && schema->fields[0].shape[1] == 2);
    assert_int_equal(schema->fields[0].max_bytes, 24);
    assert_key(dataset, 1, "b.npy");
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_true(record.values[0].shape[0] == 3 && record.values[0].bytes == 24);
    assert_memory_equal(record.values[0].data, numbers, 24);
    test_record_release(&record);
    assert_int_equal(dataset_parse_bytes(dataset), 0); /* values lie where they were read */
    dataset_describe(dataset, 1, text, sizeof(text));
    assert_true(text_ends(text, "/d/b.npy"));
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void files_make_records_together(void **state) {
    static const uint8_t labels[] = {7, 8};
    char *folder = test_folder();
    struct test_record record;
    npy_write(folder, "1_x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", numbers,
              8);
    npy_write(folder, "1_y.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': ()}", labels,
              1);
    npy_write(folder, "2_x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
              numbers + 2, 8);
    npy_write(folder, "2_y.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': ()}",
              labels + 1, 1);
    for (int direct = 0; direct < 2; direct++) {
        struct dataset *dataset = test_opened(
            folder, direct ? "{uri: ., format: npy, parts: [\"x:*_x.npy\", \"y:*_y.npy\"], "
                             "direct: true}"
                           : "{uri: ., format: npy, parts: [\"x:*_x.npy\", \"y:*_y.npy\"]}");
        assert_int_equal(dataset_count(dataset), 2);
        assert_int_equal(dataset_pieces(dataset), 2);
        assert_key(dataset, 1, "2");
        assert_int_equal(test_fetch(dataset, 1, &record), 0);
        assert_memory_equal(record.values[0].data, numbers + 2, 8);
        assert_int_equal(record.values[1].data[0], 8);
        test_record_release(&record);
        dataset_close(dataset);
    }
    test_folder_remove(folder);
}

static void a_row_is_a_record(void **state) {
    static const uint8_t big[] = {0, 1, 0, 2, 0, 3};
    char *folder = test_folder();
    struct test_record record;
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", numbers,
              24);
    npy_write(folder, "y.npy", "{'descr': '>u2', 'fortran_order': False, 'shape': (3,)}", big, 6);
    struct dataset *dataset = test_opened(
        folder, "{uri: ., format: npy, records: row, parts: [\"x:x.npy\", \"y:y.npy\"]}");
    assert_int_equal(dataset_count(dataset), 3);
    assert_key(dataset, 2, "row 2");
    assert_int_equal(test_fetch(dataset, 2, &record), 0);
    assert_memory_equal(record.values[0].data, numbers + 4, 8);
    assert_int_equal(*(uint16_t *)(void *)record.values[1].data, 3);
    test_record_release(&record);
    dataset_close(dataset);
    npy_write(folder, "y.npy", "{'descr': '>u2', 'fortran_order': False, 'shape': (2,)}", big, 4);
    test_refused(folder, "{uri: ., format: npy, records: row, parts: [\"x:x.npy\", \"y:y.npy\"]}",
                 OPIML_EINVAL, "take only fields of one length");
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}", numbers,
              24);
    test_refused(folder, "{uri: x.npy, format: npy, records: row}", OPIML_EINVAL,
                 "save it in C order");
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", numbers, 4);
    test_refused(folder, "{uri: x.npy, format: npy, records: row}", OPIML_EINVAL, "has no rows");
    test_folder_remove(folder);
}

/* Past what one read can bring; the file is sparse. */
static void rows_of_a_large_file(void **state) {
    static const uint8_t mark[] = {1, 2, 3, 4};
    char *folder = test_folder(), path[4096];
    struct test_record record;
    npy_write(folder, "x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (3000, 1000000)}",
              "", 0);
    snprintf(path, sizeof(path), "%s/x.npy", folder);
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fseek(file, 128 + 3000000000L - 4, SEEK_SET), 0);
    assert_int_equal(fwrite(mark, 1, 4, file), 4);
    fclose(file);
    test_refused(folder, "{uri: x.npy}", OPIML_ELIMIT, "more than 2 GiB");
    struct dataset *dataset = test_opened(folder, "{uri: x.npy, format: npy, records: row}");
    assert_int_equal(dataset_count(dataset), 3000);
    assert_int_equal(test_fetch(dataset, 2999, &record), 0);
    assert_memory_equal(record.values[0].data + 999996, mark, 4);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void the_other_order_is_read(void **state) {
    static const float turned[] = {1, 4, 2, 5, 3, 6};
    char *folder = test_folder();
    struct test_record record;
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}", numbers,
              24);
    struct dataset *dataset = test_opened(folder, "{uri: x.npy}");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_memory_equal(record.values[0].data, turned, 24);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void what_does_not_fit_is_told(void **state) {
    char *folder = test_folder();
    struct test_record record;
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", numbers,
              20);
    test_refused(folder, "{uri: x.npy}", OPIML_ECORRUPT, "no file has a sound array for \"data\"");
    test_refused(folder, "{uri: x.npy}", OPIML_ECORRUPT,
                 "; x.npy: an array of 24 bytes, of which 20 are there: it is cut short");
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (90000, 90000)}",
              numbers, 20);
    test_refused(folder, "{uri: x.npy}", OPIML_ECORRUPT, "no file has a sound array");
    test_text(folder, "x.npy", "hello");
    npy_write(folder, "a.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", numbers,
              24);
    struct dataset *dataset = test_opened(folder, "{uri: ., format: npy}");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), OPIML_ECORRUPT);
    assert_non_null(strstr(record.err.message, "no .npy file"));
    test_record_release(&record);
    dataset_close(dataset);
    test_remove(folder, "a.npy");
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", numbers,
              24);
    npy_write(folder, "y.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", numbers,
              24);
    test_refused(
        folder, "{uri: ., format: npy}", OPIML_EINVAL,
        "y.npy: \"data\" is f32 with 1 dimension; in x.npy it is f32 with 2; files that make "
        "a record together are named by parts, such as parts: [\"image:*_img.npy\", "
        "\"label:*_label.npy\"]");
    test_remove(folder, "y.npy");
    dataset = test_opened(folder, "{uri: x.npy}");
    npy_write(folder, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", numbers,
              24);
    assert_true(test_fetch(dataset, 0, &record) < 0);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_a_record),      cmocka_unit_test(files_make_records_together),
        cmocka_unit_test(a_row_is_a_record),       cmocka_unit_test(rows_of_a_large_file),
        cmocka_unit_test(the_other_order_is_read), cmocka_unit_test(what_does_not_fit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
