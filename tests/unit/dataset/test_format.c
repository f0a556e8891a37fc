#include "../test.h"

#include "dataset/format.h"

static void kinds_are_whole(void **state) {
    const struct format *const *kind = format_kinds();
    for (; *kind; kind++) {
        assert_true((*kind)->name && (*kind)->help && (*kind)->takes && (*kind)->build &&
                    (*kind)->check && (*kind)->parse && (*kind)->scratch_bytes);
        assert_true(!(*kind)->params == !(*kind)->params_bytes);
        assert_ptr_equal(format_find((*kind)->name), *kind);
    }
    assert_true(kind - format_kinds() >= 5);
}

static void names(void **state) {
    assert_non_null(format_find("image-folder"));
    assert_ptr_equal(format_find("image_folder"), format_find("image-folder"));
    assert_null(format_find("image-folde"));
    assert_null(format_find("image-folders"));
    assert_null(format_find(""));
}

static void extensions(void **state) {
    static const char *const known[] = {"jpg", "tar", NULL};
    assert_true(format_has_extension("a/b.JPG", known));
    assert_true(format_has_extension("x.y.tar", known));
    assert_false(format_has_extension("tar", known));
    assert_false(format_has_extension("a.jpg/b", known));
    assert_false(format_has_extension("a.jpgx", known));
    assert_false(format_has_extension("a.", known));
}

static void whole_numbers(void **state) {
    static const struct {
        const char *text;
        bool fine;
        int32_t number;
    } cases[] = {{"0", true, 0},
                 {"7\n", true, 7},
                 {" \t-12 \r\n", true, -12},
                 {"+5", true, 5},
                 {"2147483647", true, INT32_MAX},
                 {"-2147483648", true, INT32_MIN},
                 {"2147483648", false, 0},
                 {"-2147483649", false, 0},
                 {"00000000000000000007", true, 7},
                 {"", false, 0},
                 {"-", false, 0},
                 {"\n", false, 0},
                 {"1.5", false, 0},
                 {"1 2", false, 0},
                 {"0x10", false, 0},
                 {"99999999999999999999999999", false, 0},
                 {"cat", false, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t number = 99;
        const uint8_t *text = (const uint8_t *)cases[i].text;
        assert_int_equal(format_read_i32(text, strlen(cases[i].text), &number), cases[i].fine);
        assert_int_equal(number, cases[i].fine ? cases[i].number : 99);
    }
    int32_t number;
    assert_false(format_read_i32((const uint8_t *)"1\0", 2, &number));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_whole),
        cmocka_unit_test(names),
        cmocka_unit_test(extensions),
        cmocka_unit_test(whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
