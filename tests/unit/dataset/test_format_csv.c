#include "helper.h"

#include <math.h>

#include "dataset/format.h"

static void assert_i64(const struct opiml_value *value, int64_t number) {
    int64_t got;
    assert_int_equal(value->bytes, 8);
    memcpy(&got, value->data, 8);
    assert_true(got == number);
}

static void assert_f64(const struct opiml_value *value, double number) {
    assert_int_equal(value->bytes, 8);
    assert_memory_equal(value->data, &number, 8);
}

static void assert_field(const struct dataset *dataset, uint32_t i, const char *name,
                         uint32_t dtype) {
    const struct opiml_field *field = &dataset_schema(dataset)->fields[i];
    assert_string_equal(field->name, name);
    assert_int_equal(field->dtype, dtype);
    assert_int_equal(field->ndim, dtype == OPIML_U8);
}

static void types_are_found(void **state) {
    char *folder = test_folder(), text[512];
    struct test_record record;
    test_text(folder, "x.csv",
              "\xef\xbb\xbfid, name ,score,hole\r\n"
              "1,\"a, \"\"b\"\"\nc\",0.5,1\r\n"
              "\r\n"
              "-9223372036854775808,,1e3,\n"
              "+3,plain,NaN,2");
    struct dataset *dataset = test_opened(folder, "{uri: x.csv}");
    assert_string_equal(dataset_format_name(dataset), "csv");
    assert_int_equal(dataset_count(dataset), 3);
    assert_field(dataset, 0, "id", OPIML_I64);
    assert_field(dataset, 1, "name", OPIML_U8);
    assert_field(dataset, 2, "score", OPIML_F64);
    assert_field(dataset, 3, "hole", OPIML_F64); /* whole numbers, one missing */
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_i64(&record.values[0], 1);
    assert_bytes(&record.values[1], "a, \"b\"\nc");
    assert_f64(&record.values[2], 0.5);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_i64(&record.values[0], INT64_MIN);
    assert_bytes(&record.values[1], "");
    assert_f64(&record.values[2], 1000);
    uint64_t nan_bits;
    memcpy(&nan_bits, record.values[3].data, 8);
    assert_true(nan_bits == 0x7ff8000000000000);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 2, &record), 0);
    assert_bytes(&record.values[1], "plain");
    test_record_release(&record);
    assert_string_equal(dataset_key(dataset, 2, text, sizeof(text)), "row 2");
    dataset_describe(dataset, 1, text, sizeof(text));
    assert_non_null(strstr(text, "x.csv at offset "));
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void types_are_told(void **state) {
    char *folder = test_folder();
    struct test_record record;
    test_text(folder, "x.tsv", "7\t0.1\t5\n");
    struct dataset *dataset = test_opened(
        folder, "{uri: x.tsv, columns: [a, b, c], types: [\"a:i32\", \"b:f32\", \"c:text\"]}");
    assert_field(dataset, 0, "a", OPIML_I32);
    assert_field(dataset, 1, "b", OPIML_F32);
    assert_field(dataset, 2, "c", OPIML_U8);
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    float tenth = 0.1f;
    assert_i32(&record.values[0], 7);
    assert_memory_equal(record.values[1].data, &tenth, 4);
    assert_bytes(&record.values[2], "5");
    test_record_release(&record);
    dataset_close(dataset);
    dataset = test_opened(folder, "{uri: x.tsv, header: no}");
    assert_field(dataset, 2, "column3", OPIML_I64);
    dataset_close(dataset);
    test_text(folder, "x.csv", "q;r\n'1;2';3\n");
    dataset = test_opened(folder,
                          "{uri: x.csv, delimiter: ;, quote: \"'\", columns: [x, y], header: yes}");
    assert_int_equal(dataset_count(dataset), 1);
    assert_field(dataset, 0, "x", OPIML_U8);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void bad_rows_are_bad_records(void **state) {
    char *folder = test_folder();
    struct test_record record;
    test_text(folder, "x.csv",
              "a,b\n1,2\nx,3\n4\n5,6,7\n\"8\"9,1\n10,1.5\n99999999999999999999,1\n");
    struct dataset *dataset = test_opened(folder, "{uri: x.csv, types: [\"a:i64\", \"b:i64\"]}");
    assert_int_equal(dataset_count(dataset), 7);
    static const char *const messages[] = {NULL,
                                           "line 3, column \"a\": \"x\" is no i64",
                                           "line 4 has 1 cell instead of 2",
                                           "line 5 has 3 cells instead of 2",
                                           "line 6, cell 1: text after the closing quote",
                                           "line 7, column \"b\": \"1.5\" is no i64",
                                           "line 8, column \"a\""};
    for (uint64_t i = 0; i < 7; i++) {
        int rc = test_fetch(dataset, i, &record);
        assert_int_equal(rc, messages[i] ? OPIML_ECORRUPT : 0);
        if (messages[i] && !strstr(record.err.message, messages[i]))
            fail_msg("\"%s\" lacks \"%s\"", record.err.message, messages[i]);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void several_files(void **state) {
    char *folder = test_folder();
    struct test_record record;
    struct opiml_error err;
    test_mkdir(folder, "d");
    test_text(folder, "d/1.csv", "a,b\n1,x\n2,y\n");
    test_text(folder, "d/2.csv", "a,b\n"); /* only a header */
    test_text(folder, "d/3.csv", "a,b\n3,a longer text\n");
    struct dataset *dataset = test_opened(folder, "{uri: d}");
    assert_int_equal(dataset_count(dataset), 3);
    assert_int_equal(dataset_schema(dataset)->fields[1].max_bytes, 13);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_i64(&record.values[0], (int64_t)i + 1);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_text(folder, "d/3.csv", "a,c\n3,x\n");
    char path[4096];
    snprintf(path, sizeof(path), "%s/d", folder);
    assert_int_equal(test_open_fails(path, NULL, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "d/3.csv at offset 0 (line 1): other columns"));
    test_folder_remove(folder);
}

static void bad_files_and_parameters(void **state) {
    char *folder = test_folder();
    test_text(folder, "x.csv", "a,b\n1,\"open\n2,3\n");
    test_refused(folder, "{uri: x.csv}", OPIML_ECORRUPT,
                 "x.csv at offset 4 (line 2): the file ends within a quoted cell");
    test_text(folder, "x.csv", "a,b\n");
    test_refused(folder, "{uri: x.csv}", OPIML_ENOENT, "no records");
    test_text(folder, "x.csv", "");
    test_refused(folder, "{uri: x.csv}", OPIML_ENOENT, "no records");
    test_text(folder, "x.csv", "a,a\n1,2\n");
    test_refused(folder, "{uri: x.csv}", OPIML_ECORRUPT,
                 "x.csv at offset 0 (line 1): two columns have the same name");
    test_write(folder, "x.csv", "\xff\xfe\"\0a\0\"\0\n\0", 10);
    test_refused(folder, "{uri: x.csv}", OPIML_ECORRUPT, "x.csv at offset 0 (line 1): a control");
    test_write(folder, "x.csv", "a\0x,a\0y\n1,2\n", 12);
    test_refused(folder, "{uri: x.csv}", OPIML_ECORRUPT, "x.csv at offset 0 (line 1): a control");
    test_write(folder, "x.csv", "a long name that is no text, as there is a zero \0 in it\n1\n",
               58);
    test_refused(folder, "{uri: x.csv}", OPIML_ECORRUPT, "x.csv at offset 0 (line 1): a control");
    test_text(folder, "x.csv", "a,b\r1,2\r");
    test_refused(folder, "{uri: x.csv}", OPIML_ECORRUPT, "with line feeds?");
    test_text(folder, "x.csv", "a;b\n1;2\n");
    test_refused(folder, "{uri: x.csv}", OPIML_EINVAL,
                 "x.csv at offset 0 (line 1): one column, with semicolons in its name");
    test_refused(folder, "{uri: x.csv}", OPIML_EINVAL, "dataset: {..., delimiter: \";\"}");
    test_text(folder, "x.csv", "\"a\"\t\"b\"\n1\t2\n");
    test_refused(folder, "{uri: x.csv}", OPIML_EINVAL, "delimiter: tab}");
    test_text(folder, "x.tsv", "a,b\n1,2\n");
    dataset_close(test_opened(folder, "{uri: x.tsv}")); /* numbers and names may have commas */
    test_text(folder, "x.csv", "a,,c\n1,2,3\n");
    test_refused(folder, "{uri: x.csv}", OPIML_ELIMIT, "a column's name is empty");
    test_text(folder, "x.csv", "a,b\n1,2\n");
    test_refused(folder, "{uri: x.csv, delimiter: abc}", OPIML_EINVAL, "not one character");
    test_refused(folder, "{uri: x.csv, quote: \",\"}", OPIML_EINVAL, "other than the delimiter");
    test_refused(folder, "{uri: x.csv, types: [\"c:i64\"]}", OPIML_EINVAL,
                 "no column \"c\"; there are a, b");
    test_refused(folder, "{uri: x.csv, types: [\"a:u8\"]}", OPIML_EINVAL, "column:type");
    test_refused(folder, "{uri: x.csv, types: [a]}", OPIML_EINVAL, "column:type");
    test_folder_remove(folder);
}

/* One column is one where somebody says so. */
static void delimiters_in_names(void **state) {
    static const char *const yaml[] = {"{uri: x.csv, delimiter: \";\"}",
                                       "{uri: x.csv, delimiter: \",\"}",
                                       "{uri: x.csv, columns: [a]}"};
    static const uint32_t fields[] = {2, 1, 1};
    char *folder = test_folder();
    test_text(folder, "x.csv", "a;b\n1;2\n");
    for (size_t i = 0; i < COUNT_OF(yaml); i++) {
        struct dataset *dataset = test_opened(folder, yaml[i]);
        assert_int_equal(dataset_schema(dataset)->count, fields[i]);
        dataset_close(dataset);
    }
    test_text(folder, "x.csv", "\"a;b\"\n12\n");
    struct dataset *dataset = test_opened(folder, "{uri: x.csv}");
    assert_string_equal(dataset_schema(dataset)->fields[0].name, "a;b");
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* A mark before the text is no part of its first cell, which may be in quotes over two lines; a
 * number is one to its last byte. */
static void marks_and_zero_bytes(void **state) {
    static const char text[] = "\xef\xbb\xbf\"1\n2\",x\n3,4\n\"\xef\xbb\xbf\",nan\0b\n";
    char *folder = test_folder();
    struct test_record record;
    test_write(folder, "x.csv", text, sizeof(text) - 1);
    struct dataset *dataset =
        test_opened(folder, "{uri: x.csv, columns: [a, b], types: [\"a:text\", \"b:text\"]}");
    assert_int_equal(dataset_count(dataset), 3);
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_bytes(&record.values[0], "1\n2");
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 2, &record), 0);
    assert_bytes(&record.values[0], "\xef\xbb\xbf");
    test_record_release(&record);
    dataset_close(dataset);
    test_text(folder, "far.csv", "a\ninf\n1e38\n1e39\n");
    dataset = test_opened(folder, "{uri: far.csv, types: [\"a:f32\"]}");
    for (uint64_t i = 0; i < 3; i++) { /* the last one is a number, but no f32 */
        assert_int_equal(test_fetch(dataset, i, &record), i < 2 ? 0 : OPIML_ECORRUPT);
        test_record_release(&record);
    }
    dataset_close(dataset);
    dataset = test_opened(folder, "{uri: x.csv, columns: [a, b], types: [\"b:f32\"]}");
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 2, &record), OPIML_ECORRUPT);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* Rows that come while an index is built are the next one's. */
static void growing_file(void **state) {
    char *folder = test_folder(), path[4096];
    const struct format *format = format_find("csv");
    CLEANUP(source_listing_release) struct source_listing listing = {0};
    CLEANUP(index_draft_release) struct index_draft draft = {0};
    AUTO_FREE void *params = base_alloc(format->params_bytes);
    AUTO_FREE void *data = NULL;
    struct source *source;
    struct opiml_error err;
    struct index index;
    size_t bytes;
    snprintf(path, sizeof(path), "%s/x.csv", folder);
    test_text(folder, "x.csv", "a,b\n1,2\n3,4\n");
    assert_int_equal(source_open(path, NULL, &source, &err), 0);
    assert_int_equal(source->ops->list(source, &listing, &err), 0);
    test_text(folder, "x.csv", "a,b\n1,2\n3,4\n5,6\n7,8\n");
    conf_defaults(format->params, params);
    assert_int_equal(index_draft_init(&draft, &listing, &err), 0);
    draft.format = "csv";
    assert_int_equal(format->build(source, &listing, params, &draft, &err), 0);
    assert_int_equal(draft.rows.count, 2);
    assert_int_equal(index_draft_finish(&draft, &listing, &data, &bytes, &err), 0);
    assert_int_equal(index_check(data, bytes, &index, &err), 0);
    source_close(source);
    test_folder_remove(folder);
}

/* Rows that lie across the borders of what is read at once. */
static void long_files(void **state) {
    char *folder = test_folder(), path[4096];
    struct test_record record;
    snprintf(path, sizeof(path), "%s/x.csv", folder);
    FILE *file = fopen(path, "w");
    fprintf(file, "n,text\n");
    for (int i = 0; i < 30000; i++)
        fprintf(file, "%d,\"x%0*d\"\n", i, 19 + i % 100, i);
    fclose(file);
    struct dataset *dataset = test_open(path, NULL);
    assert_int_equal(dataset_count(dataset), 30000);
    for (uint64_t i = 0; i < 30000; i += 499) {
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        assert_i64(&record.values[0], (int64_t)i);
        assert_int_equal(record.values[1].bytes, 20 + i % 100);
        assert_int_equal(atoi((const char *)record.values[1].data + 10 + i % 100), (int)i);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_found),
        cmocka_unit_test(types_are_told),
        cmocka_unit_test(bad_rows_are_bad_records),
        cmocka_unit_test(several_files),
        cmocka_unit_test(bad_files_and_parameters),
        cmocka_unit_test(delimiters_in_names),
        cmocka_unit_test(marks_and_zero_bytes),
        cmocka_unit_test(growing_file),
        cmocka_unit_test(long_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
