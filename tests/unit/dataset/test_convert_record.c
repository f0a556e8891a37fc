#include "convert.h"

#include "dataset/convert_job.h"

static void make_schema(struct opiml_schema *schema) {
    *schema = (struct opiml_schema){0};
    opiml_schema_add(schema, "x", OPIML_F32, 1, (int64_t[]){2}, 0, NULL);
    opiml_schema_add(schema, "label", OPIML_I32, 0, NULL, 0, NULL);
}

static void fields_are_chosen_and_named(void **state) {
    struct convert_fields fields;
    struct opiml_schema schema;
    struct opiml_error err;
    make_schema(&schema);
    assert_int_equal(convert_fields_choose(&fields, &schema, NULL, &err), 0);
    assert_int_equal(fields.schema.count, 2);
    assert_int_equal(convert_fields_choose(&fields, &schema, "y=label,x", &err), 0);
    assert_int_equal(fields.schema.count, 2);
    assert_string_equal(fields.schema.fields[0].name, "y");
    assert_int_equal(fields.from[0], 1);
    assert_int_equal(fields.from[1], 0);
    assert_int_equal(fields.schema.fields[1].shape[0], 2);
    assert_int_equal(convert_fields_choose(&fields, &schema, "z", &err), OPIML_EINVAL);
    assert_string_equal(err.message, "there is no field \"z\"; there are x, label");
    assert_int_equal(convert_fields_choose(&fields, &schema, "x,x", &err), OPIML_EINVAL);
    assert_int_equal(convert_fields_choose(&fields, &schema, "", &err), OPIML_EINVAL);
}

static void fields_are_found_again(void **state) {
    struct convert_fields fields;
    struct opiml_schema schema, other = {0};
    struct opiml_error err;
    make_schema(&schema);
    opiml_schema_add(&other, "label", OPIML_I32, 0, NULL, 0, NULL);
    assert_int_equal(convert_fields_find(&fields, &schema, &other, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "no field \"x\""));
    opiml_schema_add(&other, "x", OPIML_F64, 1, (int64_t[]){2}, 0, NULL);
    assert_int_equal(convert_fields_find(&fields, &schema, &other, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "f64 of 1 dimensions instead of f32"));
    other.fields[1].dtype = OPIML_F32;
    assert_int_equal(convert_fields_find(&fields, &schema, &other, &err), 0);
    assert_int_equal(fields.from[0], 1);
    assert_int_equal(fields.from[1], 0);
}

static void records_hash_by_values_shape_and_place(void **state) {
    static const uint8_t data[12] = {1};
    struct opiml_schema schema = {0};
    struct opiml_value value = {.data = (uint8_t *)data, .bytes = 12, .shape = {3, 4}};
    opiml_schema_add(&schema, "x", OPIML_U8, 2, (int64_t[]){-1, -1}, 12, NULL);
    struct hash128 one = convert_record_hash(&schema, &value, 0);
    struct hash128 again = convert_record_hash(&schema, &value, 0);
    assert_memory_equal(&one, &again, sizeof(one));
    again = convert_record_hash(&schema, &value, 1);
    assert_memory_not_equal(&one, &again, sizeof(one));
    value.shape[0] = 4;
    value.shape[1] = 3;
    again = convert_record_hash(&schema, &value, 0);
    assert_memory_not_equal(&one, &again, sizeof(one));
}

static void bad_records_tell_their_place(void **state) {
    char *folder = test_folder();
    struct dataset *dataset = convert_rows(folder, 7);
    CLEANUP(convert_record_release) struct convert_record record = {0};
    struct opiml_error err;
    assert_int_equal(convert_record_read(&record, dataset, 6, &err), 0);
    assert_int_equal(convert_record_read(&record, dataset, 7, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "record 7 (file:///"));
    assert_non_null(strstr(err.message, "rows.jsonl at offset"));
    assert_int_equal(convert_record_read(&record, dataset, 8, &err), 0);
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* Longer than it was: neither the old length of it nor a part is taken for the record. */
static void what_changed_in_place_is_stale(void **state) {
    static uint8_t image[100000] = "\xff\xd8\xff";
    char *folder = test_folder();
    CLEANUP(convert_record_release) struct convert_record small = {0}, large = {0};
    struct opiml_error err;
    for (int i = 0; i < 2; i++) { /* read ahead, and one by one */
        test_mkdir(folder, i ? "large" : "small");
        AUTO_FREE char *name = base_printf("%s/a", i ? "large" : "small");
        AUTO_FREE char *path = base_printf("%s/a/x.jpg", i ? "large" : "small");
        AUTO_FREE char *yaml = base_printf("{uri: %s}", i ? "large" : "small");
        size_t bytes = i ? sizeof(image) - 1 : 100;
        test_mkdir(folder, name);
        test_write(folder, path, image, bytes);
        test_age(folder, path);
        struct dataset *dataset = test_opened(folder, yaml);
        test_write(folder, path, image, bytes + 1);
        assert_int_equal(convert_record_read(i ? &large : &small, dataset, 0, &err), OPIML_ESTALE);
        assert_non_null(strstr(err.message, "a/x.jpg has changed since it was indexed"));
        dataset_close(dataset);
    }
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_chosen_and_named),
        cmocka_unit_test(fields_are_found_again),
        cmocka_unit_test(records_hash_by_values_shape_and_place),
        cmocka_unit_test(bad_records_tell_their_place),
        cmocka_unit_test(what_changed_in_place_is_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
