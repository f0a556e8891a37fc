/* The loopback link. */
#include "link_suite.h"

static void loopback(uint32_t depth, struct ends *ret_ends) {
    assert_int_equal(link_loopback_open(depth, &ret_ends->from, NULL), 0);
    ret_ends->to = ret_ends->from;
}

int main(void) {
    const struct CMUnitTest tests[] = {LINK_TESTS(loopback)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
