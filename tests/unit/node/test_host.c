/* Which machine this is. */
#include "../test.h"

#include "node/host.h"

static void a_machine_is_itself(void **state) {
    char id[HOST_ID_BYTES], again[HOST_ID_BYTES];

    host_id(id);
    host_id(again);
    assert_int_equal(strlen(id), HOST_ID_BYTES - 1);
    assert_string_equal(id, again);
}

static void a_name_that_nobody_has_is_out_of_sight(void **state) {
    char longest[200];
    struct opiml_error err;
    int fd = -1;

    assert_int_equal(host_connect("opiml-test-nobody", "n:1", &fd, &err), OPIML_ENODEV);
    assert_non_null(strstr(err.message, "n:1: the node's memory cannot be reached"));
    assert_int_equal(host_connect("", "n:1", &fd, &err), OPIML_ENODEV);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    assert_int_equal(host_connect(longest, "n:1", &fd, &err), OPIML_ECORRUPT);
    assert_int_equal(fd, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_itself),
        cmocka_unit_test(a_name_that_nobody_has_is_out_of_sight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
