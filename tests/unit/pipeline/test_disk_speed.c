/* How fast a disk is read. */
#include "../test.h"

#include <unistd.h>

#include "base/text.h"
#include "pipeline/disk_speed.h"

static void it_is_measured_once(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *rows = text_path(folder, "a/rows");
    double first;

    setenv("XDG_CACHE_HOME", folder, 1);
    first = disk_speed_recall(rows, false);
    assert_true(first > 1e5 && first < 1e13);
    assert_int_equal(access(rows, F_OK), 0);
    assert_true(disk_speed_recall(rows, false) == first);
    assert_true(disk_speed_recall(rows, true) > 1e5);
    assert_int_equal(rmdir(rows), 0); /* nothing is left in it */
    test_folder_remove(folder);
}

static void where_it_cannot_be_it_is_nothing(void **state) {
    struct opiml_error err;
    double speed;

    setenv("XDG_CACHE_HOME", "/proc/no/such/place", 1);
    assert_true(disk_speed_recall("/proc/no/such/place", false) == 0);
    assert_true(disk_speed_measure("/no/such/place", &speed, &err) < 0);
    assert_non_null(strstr(err.message, "/no/such/place"));
    base_alloc_fail_at(1);
    assert_int_equal(disk_speed_measure("/tmp", &speed, &err), OPIML_ENOMEM);
    base_alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_measured_once),
        cmocka_unit_test(where_it_cannot_be_it_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
