/* What was measured is found again, for as long as it holds. */
#include "../test.h"

#include "pipeline/measured.h"

static uint64_t wall_ns = 1000000000000ull;
uint64_t __wrap_clock_wall_ns(void);
uint64_t __wrap_clock_wall_ns(void) {
    return wall_ns;
}

static char *folder;

static void put(const char *name, double number) {
    struct js *value = js_object();

    js_set(value, "number", js_num(number));
    measured_put(name, value);
}

/* Its number; -1: there is none. */
static double find(const char *name, double most_age_s) {
    double age;
    struct js *value = measured_find(name, most_age_s, &age);
    double number = js_as_num(js_get(value, "number"), -1);

    js_free(value);
    return number;
}

static int set_up(void **state) {
    folder = test_folder();
    setenv("XDG_CACHE_HOME", folder, 1);
    return 0;
}

static int tear_down(void **state) {
    test_folder_remove(folder);
    return 0;
}

static void what_is_put_is_found(void **state) {
    assert_true(find("a", 10) == -1);
    put("a", 1);
    put("b", 2);
    assert_true(find("a", 10) == 1);
    assert_true(find("b", 10) == 2);
    put("a", 3);
    assert_true(find("a", 10) == 3);
}

static void what_is_old_is_not(void **state) {
    double age = 0;

    put("a", 1);
    wall_ns += 5000000000ull;
    js_free(measured_find("a", 10, &age));
    assert_true(age > 4.9 && age < 5.1);
    assert_true(find("a", 4) == -1);
    wall_ns -= 8000000000ull; /* the clock was set back */
    assert_true(find("a", 100) == -1);
}

static void the_oldest_go(void **state) {
    char name[MEASURED_NAME_BYTES];

    for (uint32_t i = 0; i < MEASURED_VALUES_MAX + 2; i++) {
        snprintf(name, sizeof(name), "value %u", i);
        put(name, i);
        wall_ns += 1000000;
    }
    assert_true(find("value 0", 100) == -1);
    assert_true(find("value 1", 100) == -1);
    assert_true(find("value 2", 100) == 2);
    assert_true(find(name, 100) == MEASURED_VALUES_MAX + 1);
}

static void a_damaged_file_is_none(void **state) {
    static const char *const texts[] = {"",  "{",          "[1,2]",
                                        "7", "{\"a\": 5}", "{\"a\": {\"at\": \"x\"}}"};
    char name[64];

    put("a", 1);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        snprintf(name, sizeof(name), "opiml/measured.json");
        test_write(folder, name, texts[i], strlen(texts[i]));
        assert_true(find("a", 1e12) == -1);
        put("b", 2);
        assert_true(find("b", 10) == 2);
    }
}

static void memory_that_is_out_does_no_harm(void **state) {
    put("a", 1);
    for (uint64_t n = 1; n < 60; n++) {
        base_alloc_fail_at(n);
        find("a", 10);
        put("b", 2);
        base_alloc_fail_at(0);
    }
    put("b", 2);
    assert_true(find("b", 10) == 2);
}

static void nowhere_to_keep_is_no_failure(void **state) {
    setenv("XDG_CACHE_HOME", "/proc/no/such/place", 1);
    put("a", 1);
    assert_true(find("a", 10) == -1);
    setenv("XDG_CACHE_HOME", folder, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_put_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_old_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_that_is_out_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nowhere_to_keep_is_no_failure, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
