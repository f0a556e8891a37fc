#include "helper.h"

/* Each allocation of opening fails in turn, without an index and with one. */
static void memory_running_out(void **state) {
    char *folder = test_folder();
    test_mkdir(folder, "c");
    test_text(folder, "c/a.jpg", "x");
    test_age(folder, "c");
    for (uint64_t n = 1; n < 400; n++) {
        struct dataset *dataset = NULL;
        struct opiml_error err = {0};
        base_alloc_fail_at(n);
        const struct dataset_ask ask = {.format = n % 2 ? NULL : "image-folder"};
        int rc = dataset_open_uri(folder, &ask, &dataset, &err);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        assert_true((rc == 0) == (dataset != NULL));
        if (rc == 0)
            assert_int_equal(dataset_count(dataset), 1);
        dataset_close(dataset);
        if (n % 3 == 0) { /* so that it is built again */
            char name[64];
            snprintf(name, sizeof(name), "c/%03d.txt", (int)n);
            test_text(folder, name, "");
        }
    }
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
