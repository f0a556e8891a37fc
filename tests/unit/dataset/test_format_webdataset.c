#include "helper.h"

static struct tar_file *new_file(void) {
    struct tar_file *file = malloc(sizeof(*file));
    file->bytes = 0;
    return file;
}

static char *written(const char *folder, const char *name, const struct tar_file *file) {
    static char path[4096];
    test_write(folder, name, file->at, file->bytes);
    test_age(folder, name);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void samples_and_fields(void **state) {
    char *folder = test_folder(), text[512], expected[600];
    struct tar_file *file = new_file();
    struct test_record record;
    tar_header(file, "./", '5', 0);
    tar_add(file, "./b/2.jpg", "image b2");
    tar_add(file, "./b/2.cls", "-7\n");
    tar_add(file, "./b/2.seg.PNG", "mask");
    tar_header(file, "./b/sub", '5', 0);
    tar_add(file, "./b/._2.jpg", "hidden");
    tar_add(file, "./b/no-extension", "x");
    tar_add(file, "./a/1.seg.png", "mask of a1");
    tar_add(file, "./a/1.cls", "3");
    tar_add(file, "./a/1.PNG", "image a1, longer");
    tar_end(file);
    struct dataset *dataset = test_open(written(folder, "x.tar", file), NULL);
    assert_string_equal(dataset_format_name(dataset), "webdataset");
    assert_int_equal(dataset_count(dataset), 2);
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_int_equal(schema->count, 3);
    assert_string_equal(schema->fields[0].name, "image");
    assert_string_equal(schema->fields[1].name, "label");
    assert_string_equal(schema->fields[2].name, "seg.png");
    assert_int_equal(schema->fields[0].max_bytes, 16);
    assert_int_equal(schema->fields[2].max_bytes, 10);
    assert_key(dataset, 0, "a/1");
    assert_key(dataset, 1, "b/2");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_bytes(&record.values[0], "image a1, longer");
    assert_i32(&record.values[1], 3);
    assert_bytes(&record.values[2], "mask of a1");
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_bytes(&record.values[0], "image b2");
    assert_i32(&record.values[1], -7);
    assert_bytes(&record.values[2], "mask");
    test_record_release(&record);
    snprintf(expected, sizeof(expected), "file://%s/x.tar at offset 1024", folder);
    assert_string_equal(dataset_describe(dataset, 1, text, sizeof(text)), expected);
    dataset_close(dataset);
    free(file);
    test_folder_remove(folder);
}

static void no_labels_no_field(void **state) {
    char *folder = test_folder();
    struct tar_file *file = new_file();
    tar_add(file, "a.jpg", "1");
    tar_add(file, "b.jpg", "2");
    tar_end(file);
    struct dataset *dataset = test_open(written(folder, "x.tar", file), NULL);
    assert_int_equal(dataset_schema(dataset)->count, 1);
    dataset_close(dataset);
    free(file);
    test_folder_remove(folder);
}

/* Records of all shards in the order of keys, and the same key twice by shard. */
static void shards(void **state) {
    char *folder = test_folder();
    struct tar_file *file = new_file();
    struct test_record record;
    static const char *const images[] = {"0", "1", "2", "3", "4"};
    tar_add(file, "k4.jpg", "4");
    tar_add(file, "k1.jpg", "1");
    tar_end(file);
    written(folder, "s-0.tar", file);
    file->bytes = 0;
    tar_add(file, "k3.jpg", "3");
    tar_add(file, "k0.jpg", "0");
    tar_add(file, "k1.jpg", "2");
    tar_end(file);
    written(folder, "s-1.tar", file);
    char pattern[4096];
    for (int way = 0; way < 3; way++) {
        snprintf(pattern, sizeof(pattern), "%s%s", folder,
                 way == 0   ? ""
                 : way == 1 ? "/s-{0..1}.tar"
                            : "/s-*.tar");
        struct dataset *dataset = test_open(pattern, NULL);
        assert_int_equal(dataset_count(dataset), 5);
        for (uint64_t i = 0; i < 5; i++) {
            assert_int_equal(test_fetch(dataset, i, &record), 0);
            assert_bytes(&record.values[0], images[i]);
            test_record_release(&record);
        }
        dataset_close(dataset);
    }
    free(file);
    test_folder_remove(folder);
}

static void bad_samples_are_bad_records(void **state) {
    char *folder = test_folder();
    struct tar_file *file = new_file();
    struct test_record record;
    tar_add(file, "a.jpg", "no label");
    tar_add(file, "b.jpg", "image");
    tar_add(file, "b.cls", "cat");
    tar_add(file, "c.jpg", "image");
    tar_add(file, "c.cls", "1");
    tar_end(file);
    struct dataset *dataset = test_open(written(folder, "x.tar", file), NULL);
    assert_int_equal(dataset_count(dataset), 3);
    static const char *const messages[] = {"has no \"label\"", "\"cat\" is no whole number", NULL};
    for (uint64_t i = 0; i < 3; i++) {
        int rc = test_fetch(dataset, i, &record);
        assert_int_equal(rc, messages[i] ? OPIML_ECORRUPT : 0);
        if (messages[i])
            assert_non_null(strstr(record.err.message, messages[i]));
        test_record_release(&record);
    }
    dataset_close(dataset);
    free(file);
    test_folder_remove(folder);
}

static void assert_refused(const char *folder, struct tar_file *file, int code,
                           const char *message) {
    struct opiml_error err;
    int rc = test_open_fails(written(folder, "x.tar", file), "webdataset", &err);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    assert_non_null(strstr(err.message, "x.tar"));
    assert_int_equal(rc, code);
}

static void bad_archives(void **state) {
    char *folder = test_folder();
    struct tar_file *file = new_file();
    tar_data(file, "\x1f\x8b....", 6);
    assert_refused(folder, file, OPIML_ENOTSUP, "compressed");
    file->bytes = 0;
    tar_data(file, "nonsense", 8);
    assert_refused(folder, file, OPIML_ECORRUPT, "at offset 0: not a tar");
    file->bytes = 0;
    tar_add(file, "a.jpg", "x");
    tar_header(file, "b.jpg", '0', 3)[5] = 'X';
    tar_data(file, "abc", 3);
    assert_refused(folder, file, OPIML_ECORRUPT, "at offset 1024: a damaged header");
    file->bytes = 0;
    tar_add(file, "a.jpg", "x");
    tar_add(file, "a.png", "y");
    assert_refused(folder, file, OPIML_ECORRUPT, "second \"image\"");
    file->bytes = 0;
    tar_header(file, "a.jpg", '1', 0);
    assert_refused(folder, file, OPIML_ENOTSUP, "--hard-dereference");
    file->bytes = 0;
    tar_add(file, "a.jpg", "x");
    tar_add(file, "b.jpg", "x");
    tar_add(file, "a.cls", "1");
    tar_add(file, "b.cls", "1");
    tar_end(file);
    assert_refused(folder, file, OPIML_EINVAL, "no sample has all of image, label");
    file->bytes = 0;
    tar_end(file);
    assert_refused(folder, file, OPIML_ENOENT, "no records");
    file->bytes = 0;
    assert_refused(folder, file, OPIML_ECORRUPT, "at offset 0: the archive stops without");
    tar_add(file, "a.jpg", "x");
    tar_add(file, "b.jpg", "x");
    memset(file->at + 1024, 0, 512);
    assert_refused(folder, file, OPIML_ECORRUPT, "at offset 1024: zeros instead of a header");
    file->bytes = 1024;
    assert_refused(folder, file, OPIML_ECORRUPT, "at offset 1024: the archive stops without");
    free(file);
    test_folder_remove(folder);
}

/* The same images as a folder and as an archive with labels: the same records, in the same order,
 * and so the same fingerprint. */
static void same_as_image_folder(void **state) {
    char *folder = test_folder(), name[64], image[64];
    struct tar_file *file = new_file();
    test_mkdir(folder, "d");
    test_mkdir(folder, "d/a");
    test_mkdir(folder, "d/a-b");
    for (int i = 0; i < 12; i++) {
        const char *class = i % 3 ? "a-b" : "a";
        snprintf(name, sizeof(name), "d/%s/%02d.jpg", class, 11 - i);
        snprintf(image, sizeof(image), "image %.*s", i, "abcdefghijkl");
        test_text(folder, name, image);
        tar_add(file, name + 2, image);
        snprintf(name, sizeof(name), "%s/%02d.cls", class, 11 - i);
        tar_add(file, name, i % 3 ? "1" : "0");
    }
    tar_end(file);
    char path[4096];
    snprintf(path, sizeof(path), "%s/d", folder);
    struct dataset *one = test_open(path, NULL);
    struct dataset *other = test_open(written(folder, "x.tar", file), NULL);
    assert_int_equal(dataset_count(one), dataset_count(other));
    assert_true(dataset_fingerprint(one) == dataset_fingerprint(other));
    for (uint64_t i = 0; i < 12; i++) {
        struct test_record a, b;
        assert_int_equal(test_fetch(one, i, &a), 0);
        assert_int_equal(test_fetch(other, i, &b), 0);
        for (int f = 0; f < 2; f++) {
            assert_int_equal(a.values[f].bytes, b.values[f].bytes);
            assert_memory_equal(a.values[f].data, b.values[f].data, a.values[f].bytes);
        }
        test_record_release(&a);
        test_record_release(&b);
    }
    dataset_close(one);
    dataset_close(other);
    free(file);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_and_fields),
        cmocka_unit_test(no_labels_no_field),
        cmocka_unit_test(shards),
        cmocka_unit_test(bad_samples_are_bad_records),
        cmocka_unit_test(bad_archives),
        cmocka_unit_test(same_as_image_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
