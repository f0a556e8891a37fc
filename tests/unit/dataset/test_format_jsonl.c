#include "helper.h"

static const char rows[] =
    "{\"text\": \"a \\\"b\\\"\", \"label\": 1, \"x\": [1, 2.5], \"id\": 7}\n"
    "\n"
    "{\"id\": 8, \"label\": 0, \"x\": [3, 4], \"text\": \"c\", \"m\": {}}\r\n"
    "{\"text\": \"\", \"label\": 5, \"x\": [5, 6], \"id\": -9}";

static void fields_are_found(void **state) {
    static const char *const names[] = {"label", "id", "text", "x"};
    static const uint32_t types[] = {OPIML_I32, OPIML_I64, OPIML_U8, OPIML_F64};
    char *folder = test_folder(), text[256], wanted[64];
    struct test_record record;
    snprintf(wanted, sizeof(wanted), "a.jsonl at offset %d", (int)(strstr(rows, "{\"id\"") - rows));
    test_text(folder, "a.jsonl", rows);
    struct dataset *dataset = test_opened(folder, "{uri: a.jsonl}");
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_string_equal(dataset_format_name(dataset), "jsonl");
    assert_int_equal(dataset_count(dataset), 3);
    assert_int_equal(schema->count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(schema->fields[i].name, names[i]);
        assert_int_equal(schema->fields[i].dtype, types[i]);
    }
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_i32(&record.values[0], 1);
    assert_bytes(&record.values[2], "a \"b\"");
    assert_true(((double *)(void *)record.values[3].data)[1] == 2.5);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 2, &record), 0);
    assert_int_equal(record.values[2].bytes, 0);
    assert_true(*(int64_t *)(void *)record.values[1].data == -9);
    test_record_release(&record);
    dataset_describe(dataset, 1, text, sizeof(text));
    assert_non_null(strstr(text, wanted));
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void declared_fields_and_bad_rows(void **state) {
    char *folder = test_folder();
    struct test_record record;
    test_text(folder, "a.jsonl",
              "{\"ids\": [1, 2, 3], \"ok\": true}\n{\"ids\": [1, 70000], \"ok\": 1}\n"
              "{\"ok\": 1}\n{\"ids\": \"x\", \"ok\": 1}\nno json\n");
    struct dataset *dataset =
        test_opened(folder, "{uri: a.jsonl, format: jsonl, fields: [\"ids:u16:*\", \"ok:u8\"]}");
    static const char *const what[] = {NULL, "\"70000\" is no u16", "it has no \"ids\"",
                                       "\"ids\": a number is wanted", "an object is wanted"};
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(test_fetch(dataset, i, &record), i == 0 ? 0 : OPIML_ECORRUPT);
        if (i == 0)
            assert_true(record.values[0].shape[0] == 3 && record.values[1].data[0] == 1);
        else if (!strstr(record.err.message, what[i]))
            fail_msg("%s", record.err.message);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void mistakes_are_named(void **state) {
    char *folder = test_folder();
    test_text(folder, "a.jsonl", "{\"a\": {}}\n");
    test_refused(folder, "{uri: a.jsonl}", OPIML_EINVAL, "say with `fields` what to take");
    test_text(folder, "a.jsonl", "[1, 2]\n\xff\x01\n");
    test_refused(folder, "{uri: a.jsonl}", OPIML_ECORRUPT,
                 "a.jsonl at offset 0: no JSON: an object is wanted");
    test_refused(folder, "{uri: a.jsonl, format: jsonl, fields: [\"a:f16\"]}", OPIML_EINVAL,
                 "take f32 and cast");
    test_refused(folder, "{uri: a.jsonl, format: jsonl, fields: [\"a:f32:*x*\"]}", OPIML_EINVAL,
                 "more than one dimension");
    test_text(folder, "b.jsonl", "\n \n");
    test_refused(folder, "{uri: b.jsonl}", OPIML_ENOENT, "no records");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(declared_fields_and_bad_rows),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
