#include "helper.h"

#include "dataset/texts.h"

static void assert_example(const char *folder, const char *yaml, const char *field,
                           const char *expected) {
    AUTO_TEXT struct text text = {0};
    struct dataset *dataset = test_opened(folder, yaml);
    bool found = texts_example(dataset, field, &text);
    assert_true(found == (expected != NULL));
    if (expected && !strstr(text.at, expected))
        fail_msg("\"%s\" lacks \"%s\"", text.at, expected);
    if (!expected)
        assert_int_equal(text.count, 0);
    dataset_close(dataset);
}

static void the_cell_that_makes_a_column_text(void **state) {
    char *folder = test_folder();
    test_text(folder, "x.csv", "a,b,c\n1,2,3\n\n4,n/a,\n\"5\",,6\n7,none,8\n");
    assert_example(folder, "{uri: x.csv}", "b", "\"n/a\" (file:///");
    assert_example(folder, "{uri: x.csv}", "b", "/x.csv:4)");
    assert_example(folder, "{uri: x.csv}", "a", NULL); /* numbers */
    assert_example(folder, "{uri: x.csv}", "d", NULL); /* no column */
    assert_example(folder, "{uri: x.csv, types: [\"a:text\"]}", "a", NULL);
    test_text(folder, "x.jsonl", "{\"a\": \"1\"}\n{\"a\": \"cat\"}\n");
    assert_example(folder, "{uri: x.jsonl}", "a", "\"cat\" (file:///");
    assert_example(folder, "{uri: x.jsonl}", "a", "x.jsonl at offset 11)");
    test_folder_remove(folder);
}

static void images_are_no_texts(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "d");
    test_mkdir(folder, "d/c");
    test_text(folder, "d/c/a.jpg", "text");
    assert_example(folder, "{uri: d}", "image", NULL);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cell_that_makes_a_column_text),
        cmocka_unit_test(images_are_no_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
