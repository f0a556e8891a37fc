#include "helper.h"

static void save(const char *folder, const char *name, const char *header, const void *data,
                 size_t bytes) {
    uint64_t length = strlen(header);
    uint8_t *file = malloc(8 + length + bytes);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    memcpy(file + 8 + length, data, bytes);
    test_write(folder, name, file, 8 + length + bytes);
    free(file);
}

#define PAIR                                                                                       \
    "{\"__metadata__\":{\"a\":\"b\"},\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]" \
    "},"                                                                                           \
    "\"x\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[2,18]}}"

static void tensors_are_fields(void **state) {
    char *folder = test_folder();
    uint8_t data[18] = {7, 8};
    const float x[4] = {1, 2, 3, 4};
    struct test_record record;
    memcpy(data + 2, x, sizeof(x)); /* where floats cannot be read */
    save(folder, "a.safetensors", PAIR, data, sizeof(data));
    for (int direct = 0; direct < 2; direct++) {
        struct dataset *dataset = test_opened(
            folder, direct ? "{uri: ., format: safetensors, direct: true}" : "{uri: .}");
        const struct opiml_schema *schema = dataset_schema(dataset);
        assert_string_equal(dataset_format_name(dataset), "safetensors");
        assert_string_equal(schema->fields[0].name, "x");
        assert_int_equal(test_fetch(dataset, 0, &record), 0);
        assert_memory_equal(record.values[0].data, x, sizeof(x));
        assert_int_equal(record.values[1].data[1], 8);
        test_record_release(&record);
        dataset_close(dataset);
    }
    struct dataset *dataset = test_opened(folder, "{uri: a.safetensors, format: safetensors, "
                                                  "records: row, fields: [y, x]}");
    assert_int_equal(dataset_count(dataset), 2);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_int_equal(record.values[0].data[0], 8);
    assert_memory_equal(record.values[1].data, x + 2, 8);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void damage_and_mistakes(void **state) {
    char *folder = test_folder();
    uint8_t data[18] = {0};
    struct test_record record;
    save(folder, "b.safetensors", PAIR, data, 18);
    save(folder, "a.safetensors", PAIR, data, 17);
    test_refused(folder, "{uri: a.safetensors}", OPIML_ECORRUPT,
                 "no file has a sound array for \"x\"; a.safetensors: a tensor of which 15 of 16 "
                 "bytes are there: it is cut short");
    struct dataset *dataset = test_opened(folder, "{uri: ., format: safetensors, fields: [x]}");
    assert_int_equal(test_fetch(dataset, 0, &record), OPIML_ECORRUPT);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    test_record_release(&record);
    dataset_close(dataset);
    test_refused(folder, "{uri: ., format: safetensors, fields: [z]}", OPIML_EINVAL,
                 "no tensor \"z\"");
    save(folder, "a.safetensors",
         "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}", data, 8);
    test_refused(folder, "{uri: ., format: safetensors, fields: [x]}", OPIML_EINVAL,
                 "differs in shape from file to file");
    save(folder, "a.safetensors",
         "{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", data, 8);
    test_refused(folder, "{uri: a.safetensors}", OPIML_ENOTSUP, "x: type \"F8_E4M3\"");
    save(folder, "a.safetensors", "{}", data, 0);
    test_refused(folder, "{uri: a.safetensors}", OPIML_EINVAL, "holds no tensors");
    save(folder, "a.safetensors", "{", data, 0);
    test_refused(folder, "{uri: a.safetensors}", OPIML_ECORRUPT, "no JSON");
    test_text(folder, "a.safetensors", "short");
    test_refused(folder, "{uri: a.safetensors}", OPIML_ECORRUPT, "longer than the file");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_fields),
        cmocka_unit_test(damage_and_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
