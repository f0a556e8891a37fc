#include "../test.h"

#include "dataset/left_out.h"

static void assert_told(const char *const *keys, uint64_t count, const char *expected) {
    AUTO_TEXT struct text text = {0};
    struct left_out left_out = {0};
    for (const char *const *key = keys; *key; key++)
        left_out_add(&left_out, *key);
    assert_int_equal(left_out.count, count);
    left_out_format(&left_out, &text);
    assert_string_equal(text.at ? text.at : "", expected);
}

static void the_most_frequent_first(void **state) {
    static const char *const nothing[] = {NULL};
    assert_told(nothing, 0, "");
    static const char *const images[] = {"a/1.gif", "a/2.webp", "b/3.WEBP", "b/4.bmp", NULL};
    assert_told(images, 4, ".webp (2), .bmp (1), .gif (1)");
}

/* Names come from the data, and what is told of them is shown on terminals. */
static void names_without_a_plain_extension(void **state) {
    static const char *const keys[] = {"README", "a.d/notes",     "x.",    "y.a\x1b[1m",
                                       "z.png~", "w.muchtoolong", "v.txt", NULL};
    assert_told(keys, 7, ".txt (1), others (6)");
    static const char *const none[] = {"README", NULL};
    assert_told(none, 1, "others (1)");
}

static void more_kinds_than_are_told_apart(void **state) {
    AUTO_TEXT struct text text = {0};
    struct left_out left_out = {0};
    char key[16];
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "f.x%d", i);
        left_out_add(&left_out, key);
    }
    left_out_format(&left_out, &text);
    assert_non_null(strstr(text.at, ".x0 (1), "));
    assert_non_null(strstr(text.at, ", others (24)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_frequent_first),
        cmocka_unit_test(names_without_a_plain_extension),
        cmocka_unit_test(more_kinds_than_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
