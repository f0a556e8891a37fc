#include "helper.h"

/* Tokens first, first + 1, ... */
static void write_tokens(const char *folder, const char *name, uint32_t first, uint32_t count,
                         uint32_t bytes) {
    uint8_t data[1024];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t token = first + i;
        memcpy(data + (size_t)i * bytes, &token, bytes);
    }
    test_write(folder, name, data, (size_t)count * bytes);
}

static void sequences_follow_or_overlap(void **state) {
    static const struct {
        const char *how;
        uint64_t count;
        uint16_t last_first; /* the first token of the last sequence */
    } cases[] = {{"length: 4", 2 + 1, 100},
                 {"length: 5, stride: 4", 2 + 1, 100},
                 {"length: 4, stride: 1", 6 + 3, 102},
                 {"length: 9, stride: 2", 1, 0},
                 {"length: 6, header_bytes: 6", 1, 3}};
    char *folder = test_folder(), yaml[256];
    struct test_record record;
    write_tokens(folder, "a.bin", 0, 9, 2);
    write_tokens(folder, "b.bin", 100, 6, 2);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(yaml, sizeof(yaml), "{uri: ., format: tokens, %s}", cases[i].how);
        struct dataset *dataset = test_opened(folder, yaml);
        assert_int_equal(dataset_count(dataset), cases[i].count);
        assert_int_equal(test_fetch(dataset, cases[i].count - 1, &record), 0);
        assert_int_equal(((uint16_t *)(void *)record.values[0].data)[0], cases[i].last_first);
        assert_int_equal(((uint16_t *)(void *)record.values[0].data)[3], cases[i].last_first + 3);
        test_record_release(&record);
        dataset_close(dataset);
        dataset = test_opened(folder, yaml); /* with the index */
        assert_int_equal(dataset_count(dataset), cases[i].count);
        dataset_close(dataset);
    }
    test_folder_remove(folder);
}

static void tokens_outside_the_vocabulary(void **state) {
    char *folder = test_folder();
    struct test_record record;
    write_tokens(folder, "a.bin", 0, 9, 2);
    struct dataset *dataset =
        test_opened(folder, "{uri: a.bin, format: tokens, length: 4, vocabulary: 6}");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), OPIML_ECORRUPT);
    assert_non_null(strstr(record.err.message, "token 7; the vocabulary has 6"));
    test_record_release(&record);
    dataset_close(dataset);
    write_tokens(folder, "a.bin", 0x7ffffffe, 4, 4);
    dataset = test_opened(folder, "{uri: a.bin, format: tokens, type: u32, length: 2}");
    assert_int_equal(dataset_schema(dataset)->fields[0].dtype, OPIML_I32);
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_i32(&(struct opiml_value){.data = record.values[0].data + 4, .bytes = 4}, INT32_MAX);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), OPIML_ECORRUPT);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void mistakes_are_named(void **state) {
    char *folder = test_folder(), path[4096];
    struct opiml_error err;
    test_write(folder, "a.bin", "12345", 5);
    test_refused(folder, "{uri: a.bin, format: tokens, length: 2}", OPIML_ECORRUPT,
                 "a.bin: 5 bytes are no whole number of u16 tokens");
    test_refused(folder, "{uri: a.bin, format: tokens, length: 2, header_bytes: 7}", OPIML_ECORRUPT,
                 "no whole number");
    test_refused(folder, "{uri: a.bin, format: tokens, length: 3, header_bytes: 1}", OPIML_ENOENT,
                 "no records");
    test_refused(folder, "{uri: a.bin, format: tokens}", OPIML_EINVAL, "\"length\" is missing");
    snprintf(path, sizeof(path), "%s/a.bin", folder);
    assert_int_equal(test_open_fails(path, "tokens", &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "say how many make a sequence"));
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_follow_or_overlap),
        cmocka_unit_test(tokens_outside_the_vocabulary),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
