/* Ids of a node's resources. */
#include "../test.h"

#include "node/id.h"

static void ids_are_as_opi_has_them(void **state) {
    static const char *const bad[] = {"abc", "Abcd", "1bcd", "ab_cd", "abcd/e", "-bcd"};
    static const char *const good[] = {"", "abcd", "a--1", "p-0123456789"};
    char longest[ID_MAX + 2];

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(id_check(bad[i], NULL), OPIML_EINVAL);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(id_check(good[i], NULL), 0);
    memset(longest, 'a', sizeof(longest));
    longest[ID_MAX + 1] = 0;
    assert_int_equal(id_check(longest, NULL), OPIML_EINVAL);
    longest[ID_MAX] = 0;
    assert_int_equal(id_check(longest, NULL), 0);
}

static void made_ones_differ(void **state) {
    char one[ID_MAX + 1], other[ID_MAX + 1];

    assert_int_equal(id_make('p', one, NULL), 0);
    assert_int_equal(id_make('p', other, NULL), 0);
    assert_int_equal(id_check(one, NULL), 0);
    assert_int_equal(strlen(one), 34);
    assert_string_not_equal(one, other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_as_opi_has_them),
        cmocka_unit_test(made_ones_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
