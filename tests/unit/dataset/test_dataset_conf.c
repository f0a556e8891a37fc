#include "helper.h"

static void assert_refused(const char *folder, const char *yaml, const char *message) {
    struct dataset *dataset = NULL;
    struct opiml_error err = {0};
    int rc = test_open_yaml(folder, yaml, &dataset, &err);
    assert_true(rc < 0);
    assert_null(dataset);
    const char *found = strstr(err.message, message), *place = strstr(err.message, "p.yaml:");
    if (!found)
        fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    if (place && strstr(place + 1, "p.yaml:"))
        fail_msg("\"%s\" has two places", err.message);
}

static void mistakes_in_yaml(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "d");
    test_mkdir(folder, "d/c");
    test_text(folder, "d/c/a.jpg", "x");
    assert_refused(folder, "{uri: d, formta: csv}", "p.yaml:1:10: dataset: unknown key \"formta\"");
    assert_refused(folder, "{uri: d, formta: csv}", "did you mean \"format\"");
    assert_refused(folder, "{uri: d, format: image-foldr}", "did you mean \"image-folder\"");
    assert_refused(folder, "{uri: d, format: image-folder, columns: [a]}",
                   "p.yaml:1:32: dataset: unknown key \"columns\"");
    assert_refused(folder, "{uri: d, columns: [a]}", "p.yaml:1:10: dataset: unknown key");
    assert_refused(folder, "{format: csv}", "\"uri\" is missing");
    assert_refused(folder, "{uri: [d]}", "uri is a text");
    assert_refused(folder, "d", "is a mapping");
    test_text(folder, "rows.csv.gz", "x");
    test_text(folder, "d/c/part-1.bin.zst", "x");
    static const char *const compressed[] = {
        "{uri: rows.csv.gz}", "{uri: rows.csv.gz, format: csv}", "{uri: \"rows.*\"}",
        "{uri: \"d/c/part-*\", format: raw, fields: [\"a:u8\"]}"};
    for (size_t i = 0; i < COUNT_OF(compressed); i++)
        assert_refused(folder, compressed[i], "are not read; uncompress it");
    assert_refused(folder, "{uri: d, direct: maybe}", "true or false");
    assert_refused(folder, "{uri: nothing}", "/nothing");
    assert_refused(folder, "{uri: \"\"}", "empty");
    assert_refused(folder, "{uri: \"gopher://x/y\"}", "no source for \"gopher://\"");
    test_folder_remove(folder);
}

static void options_in_yaml(void **state) {
    char *folder = test_folder(), text[2048], longer[256], yaml[1024];
    struct dataset *dataset;
    struct opiml_error err;
    memset(longer, 'l', 250);
    longer[250] = '\0';
    test_mkdir(folder, longer); /* a uri of more than 255 bytes */
    snprintf(text, sizeof(text), "%s/c c", longer);
    test_mkdir(folder, text);
    snprintf(text, sizeof(text), "%s/c c/x\n.png", longer);
    test_text(folder, text, "123");
    snprintf(yaml, sizeof(yaml), "{uri: \"%s/../%s\", weight: 3, direct: true, index: rebuild}",
             longer, longer);
    assert_int_equal(test_open_yaml(folder, yaml, &dataset, &err), 0);
    assert_true(dataset_direct(dataset));
    struct test_record record;
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    assert_bytes(&record.values[0], "123");
    test_record_release(&record);
    dataset_describe(dataset, 0, text, sizeof(text));
    assert_null(strchr(text, '\n'));
    assert_non_null(strstr(text, "x\\x0a.png"));
    assert_string_equal(dataset_describe(dataset, 0, text, 6), "file:");
    dataset_close(dataset);
    dataset_close(NULL);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_yaml),
        cmocka_unit_test(options_in_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
