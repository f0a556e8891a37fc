/* Bad records: kept in order, each once, the first thousand. */
#include "../test.h"

#include "pipeline/bad.h"

static void each_is_kept_once(void **state) {
    struct bad bad = {0};

    bad_keep(&bad, "a");
    bad_keep(&bad, "b");
    bad_keep(&bad, "a");
    assert_int_equal(bad.count, 2);
    assert_string_equal(bad_line(&bad, 0), "a");
    assert_string_equal(bad_line(&bad, 1), "b");
    assert_null(bad_line(&bad, 2));
    bad_release(&bad);
    assert_null(bad_line(&bad, 0));
}

static void the_list_is_bounded(void **state) {
    struct bad bad = {0};
    char line[16];

    for (uint32_t i = 0; i < BAD_MAX + 5; i++) {
        snprintf(line, sizeof(line), "%u", i);
        bad_keep(&bad, line);
    }
    assert_int_equal(bad.count, BAD_MAX);
    assert_string_equal(bad_line(&bad, BAD_MAX - 1), "999");
    bad_release(&bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_kept_once),
        cmocka_unit_test(the_list_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
