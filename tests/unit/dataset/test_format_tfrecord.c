#include "helper.h"
#include "tfrecord.h"

static struct proto file, features;

static void write_file(const char *folder, const char *name) {
    test_write(folder, name, file.at, file.bytes);
    file.bytes = 0;
}

/* An image of text, a label, two floats and what else comes. */
static void add_record(const char *image, int64_t label) {
    const float box[] = {(float)label, 0.5f};
    proto_floats(&features, "box", box, 2);
    proto_ints(&features, "label", &label, 1);
    proto_bytes(&features, "image", image, strlen(image));
    proto_record(&file, &features);
}

static char *two_shards(void) {
    char *folder = test_folder();
    test_mkdir(folder, "d");
    add_record("first", 1);
    add_record("second one", -2);
    write_file(folder, "d/a.tfrecord");
    add_record("third", 3);
    write_file(folder, "d/b.tfrecord");
    return folder;
}

static void expect_records(struct dataset *dataset) {
    static const char *const images[] = {"first", "second one", "third"};
    static const int32_t labels[] = {1, -2, 3};
    struct test_record record;
    assert_int_equal(dataset_count(dataset), 3);
    for (uint64_t i = 0; i < 3; i++) {
        float box[2];
        if (test_fetch(dataset, i, &record) < 0)
            fail_msg("%s", record.err.message);
        assert_bytes(&record.values[0], images[i]);
        assert_i32(&record.values[1], labels[i]);
        assert_int_equal(record.values[2].bytes, sizeof(box));
        memcpy(box, record.values[2].data, sizeof(box));
        assert_true(box[0] == (float)labels[i] && box[1] == 0.5f);
        test_record_release(&record);
    }
}

static void fields_are_the_first_records(void **state) {
    char *folder = two_shards(), text[256];
    struct dataset *dataset = test_opened(folder, "{uri: d}"); /* found by looking */
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_string_equal(dataset_format_name(dataset), "tfrecord");
    assert_int_equal(schema->count, 3);
    assert_string_equal(schema->fields[0].name, "image");
    assert_int_equal(schema->fields[0].shape[0], -1);
    assert_int_equal(schema->fields[1].dtype, OPIML_I32);
    assert_int_equal(schema->fields[2].dtype, OPIML_F32);
    assert_int_equal(schema->fields[2].shape[0], 2);
    expect_records(dataset);
    dataset_describe(dataset, 2, text, sizeof(text));
    assert_non_null(strstr(text, "/d/b.tfrecord"));
    dataset_close(dataset);
    dataset = test_opened(folder, "{uri: d}"); /* with the index */
    expect_records(dataset);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void declared_fields_are_taken_in_order(void **state) {
    char *folder = two_shards();
    struct test_record record;
    struct dataset *dataset =
        test_opened(folder, "{uri: d, format: tfrecord, fields: [\"box:f32:*\", \"label:i8\"]}");
    assert_int_equal(dataset_schema(dataset)->count, 2);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_int_equal(record.values[0].shape[0], 2);
    assert_int_equal(record.values[1].bytes, 1);
    assert_int_equal((int8_t)record.values[1].data[0], -2);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* Arrays are often kept as bytes; what cannot be what was declared is a bad record. */
static void what_does_not_fit_is_a_bad_record(void **state) {
    static const struct {
        const char *fields, *what;
    } cases[] = {
        {"image:u8:4", "feature \"image\" has 5 bytes, which are no u8 of its shape"},
        {"image:u16:*", "feature \"image\" has 5 bytes, which are no u16 of its shape"},
        {"image:f32", "feature \"image\" has 5 bytes"},
        {"label:f32", "feature \"label\" holds integers, not f32"},
        {"label:u8:*", "feature \"label\" holds integers, not u8"},
        {"label:i32:2", "feature \"label\" has 1 integers"},
        {"box:i32:2", "feature \"box\" holds floats, not i32"},
        {"box:f32:3", "feature \"box\" has 2 floats"},
        {"box:f32:*x3", "feature \"box\" has 2 floats"},
        {"cow:f32", "it has no feature \"cow\""},
    };
    char *folder = two_shards(), yaml[256];
    struct test_record record;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(yaml, sizeof(yaml), "{uri: d, format: tfrecord, fields: [\"%s\"]}",
                 cases[i].fields);
        struct dataset *dataset = test_opened(folder, yaml);
        assert_int_equal(test_fetch(dataset, 0, &record), OPIML_ECORRUPT);
        if (!strstr(record.err.message, cases[i].what))
            fail_msg("%s: %s", cases[i].fields, record.err.message);
        test_record_release(&record);
        dataset_close(dataset);
    }
    test_folder_remove(folder);
}

static void bytes_may_be_arrays(void **state) {
    char *folder = test_folder();
    const uint16_t numbers[] = {1, 2, 300, 4, 5, 6};
    struct test_record record;
    proto_bytes(&features, "x", numbers, sizeof(numbers));
    proto_record(&file, &features);
    write_file(folder, "a.tfrecord");
    struct dataset *dataset =
        test_opened(folder, "{uri: a.tfrecord, format: tfrecord, fields: [\"x:u16:*x3\"]}");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_int_equal(record.values[0].shape[0], 2);
    assert_int_equal(record.values[0].shape[1], 3);
    assert_int_equal((uintptr_t)record.values[0].data % 2, 0);
    assert_memory_equal(record.values[0].data, numbers, sizeof(numbers));
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void damage_is_told_with_its_place(void **state) {
    char *folder = test_folder();
    size_t first;
    add_record("first", 1);
    first = file.bytes;
    add_record("second", 2);
    test_write(folder, "cut.tfrecord", file.at, file.bytes - 1);
    test_refused(folder, "{uri: cut.tfrecord}", OPIML_ECORRUPT, "of which the file has 75");
    test_write(folder, "head.tfrecord", file.at, first + 5);
    test_refused(folder, "{uri: head.tfrecord}", OPIML_ECORRUPT, "the file ends here");
    file.at[first] ^= 1;
    test_write(folder, "length.tfrecord", file.at, file.bytes);
    test_refused(folder, "{uri: length.tfrecord}", OPIML_ECORRUPT, "CRC of the record's length");
    test_write(folder, "zip.tfrecord", "\x1f\x8b\x08\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    test_refused(folder, "{uri: zip.tfrecord}", OPIML_ENOTSUP, "uncompress it");
    test_write(folder, "empty.tfrecord", "", 0);
    test_refused(folder, "{uri: empty.tfrecord}", OPIML_ENOENT, "no records");
    file.bytes = 0;
    proto_frame(&file, "\xff\xff\xff", 3);
    write_file(folder, "other.tfrecord");
    test_refused(folder, "{uri: other.tfrecord}", OPIML_ECORRUPT, "no tf.train.Example");
    test_refused(folder, "{uri: other.tfrecord, format: tfrecord, fields: [\"a:u8:*x*\"]}",
                 OPIML_EINVAL, "varies in more than one dimension");
    test_folder_remove(folder);
}

static void a_wrong_crc_is_a_bad_record(void **state) {
    char *folder = test_folder();
    struct test_record record;
    add_record("first", 1);
    file.at[file.bytes - 1] ^= 1;
    add_record("second", 2);
    write_file(folder, "a.tfrecord");
    struct dataset *dataset = test_opened(folder, "{uri: a.tfrecord}");
    assert_int_equal(test_fetch(dataset, 0, &record), OPIML_ECORRUPT);
    assert_non_null(strstr(record.err.message, "CRC"));
    test_record_release(&record);
    dataset_close(dataset);
    dataset = test_opened(folder, "{uri: a.tfrecord, format: tfrecord, crc: false}");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* An index file saves the walk; one that does not fit is as good as none. */
static void index_files_are_used_when_they_fit(void **state) {
    char *folder = test_folder(), right[64], shifted[64];
    struct test_record record;
    size_t first;
    add_record("first", 1);
    first = file.bytes;
    add_record("second", 2);
    snprintf(right, sizeof(right), "0 %zu\n%zu %zu\n", first, first, file.bytes - first);
    snprintf(shifted, sizeof(shifted), "0 %zu\r\n%zu %zu\r\n", first - 1, first - 1,
             file.bytes - first + 1);
    test_write(folder, "a.tfrecord", file.at, file.bytes);
    const char *lines[] = {right, "", "0 16\n", "nonsense"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        test_text(folder, i % 2 ? "a.idx" : "a.tfrecord.idx", lines[i]);
        struct dataset *dataset = test_opened(folder, "{uri: a.tfrecord, index: rebuild}");
        assert_int_equal(dataset_count(dataset), 2);
        assert_int_equal(test_fetch(dataset, 1, &record), 0);
        test_record_release(&record);
        dataset_close(dataset);
    }
    /* This one covers the file, but its boundaries are no records'. */
    test_text(folder, "a.tfrecord.idx", shifted);
    test_refused(folder, "{uri: a.tfrecord, index: rebuild}", OPIML_ECORRUPT, "by its index it is");
    struct dataset *dataset = test_opened(
        folder, "{uri: a.tfrecord, index: rebuild, format: tfrecord, fields: [\"label:i32\"]}");
    assert_int_equal(test_fetch(dataset, 0, &record), OPIML_ECORRUPT);
    test_record_release(&record);
    dataset_close(dataset);
    file.bytes = 0;
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_the_first_records),
        cmocka_unit_test(declared_fields_are_taken_in_order),
        cmocka_unit_test(what_does_not_fit_is_a_bad_record),
        cmocka_unit_test(bytes_may_be_arrays),
        cmocka_unit_test(damage_is_told_with_its_place),
        cmocka_unit_test(a_wrong_crc_is_a_bad_record),
        cmocka_unit_test(index_files_are_used_when_they_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
