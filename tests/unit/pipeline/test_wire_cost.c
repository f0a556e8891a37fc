/* What a byte costs on its way. */
#include "../test.h"

#include "pipeline/wire_cost.h"

static void it_is_measured_once(void **state) {
    char *folder = test_folder();
    struct wire_cost first, second;

    setenv("XDG_CACHE_HOME", folder, 1);
    wire_cost_recall(false, &first);
    assert_true(first.send_ns > 0.001 && first.send_ns < 1000);
    assert_true(first.receive_ns > 0.001 && first.receive_ns < 1000);
    assert_true(first.age_s == 0);
    wire_cost_recall(false, &second);
    assert_true(second.send_ns == first.send_ns && second.receive_ns == first.receive_ns);
    wire_cost_recall(true, &second);
    assert_true(second.age_s == 0);
    test_folder_remove(folder);
}

static void without_memory_it_is_estimated(void **state) {
    struct opiml_error err;
    struct wire_cost cost;

    setenv("XDG_CACHE_HOME", "/proc/no/such/place", 1);
    base_alloc_fail_at(1);
    assert_int_equal(wire_cost_measure(&cost, &err), OPIML_ENOMEM);
    base_alloc_fail_at(0);
    wire_cost_recall(false, &cost);
    assert_true(cost.send_ns > 0 && cost.receive_ns > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_measured_once),
        cmocka_unit_test(without_memory_it_is_estimated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
