/* What stands in for UCX where opiml was built without it. */
#include "../test.h"

#include "net/link.h"
#include "net/ucx.h"

static void it_says_what_is_missing(void **state) {
    struct opiml_error err = {0};
    struct link *link = NULL;

    assert_int_equal(ucx_load(&err), OPIML_ENODEV);
    assert_non_null(strstr(err.message, "libucx-dev"));
    assert_int_equal(link_ucx_open(NULL, 1, true, &link, NULL), OPIML_ENODEV);
    assert_null(link);
    assert_false(ucx_has_rdma());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
