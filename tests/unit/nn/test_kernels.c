/* Choosing kernels. */
#include "nn_harness.h"

static void plain_is_always_there(void **state) {
    const struct nn_kernels *kernels = NULL;
    char version[64] = "";

    assert_int_equal(nn_kernels_open("plain", 2, &kernels, version, sizeof(version), NULL), 0);
    assert_ptr_equal(kernels, &nn_kernels_plain);
    assert_string_equal(version, "plain");
    assert_int_equal(nn_kernels_open("auto", 1, &kernels, version, sizeof(version), NULL), 0);
    assert_true(kernels->block(3) == 1);
}

static void onednn_is_used_or_its_absence_told(void **state) {
    const struct nn_kernels *kernels = NULL;
    struct opiml_error err = {0};
    char version[64] = "";
    int rc = nn_kernels_open("onednn", 1, &kernels, version, sizeof(version), &err);

    if (rc == 0) {
        assert_ptr_equal(kernels, &nn_kernels_onednn);
        assert_non_null(strstr(version, "oneDNN"));
    } else {
        assert_int_equal(rc, OPIML_ENODEV);
        assert_non_null(strstr(err.message, "oneDNN"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_is_always_there),
        cmocka_unit_test(onednn_is_used_or_its_absence_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
