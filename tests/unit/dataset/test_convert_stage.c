#include "convert.h"

#include "dataset/convert_job.h"

static bool there(const char *folder, const char *name) {
    AUTO_FREE char *path = base_printf("%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void opened(struct convert_stage *stage, const char *to) {
    struct opiml_error err = {0};
    *stage = (struct convert_stage){.fd = -1, .beside_fd = -1};
    if (convert_stage_open(stage, to, &err) < 0)
        fail_msg("%s", err.message);
}

static void a_file_has_its_name_when_it_is_whole(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *to = base_printf("%s/a.bin", folder);
    struct convert_stage stage;
    struct opiml_error err;
    test_text(folder, "a.bin", "old");
    opened(&stage, to);
    test_text(folder, ".a.bin.converting/a.bin", "new");
    test_text(folder, ".a.bin.converting/.a.bin.index", "of the new");
    convert_stage_release(&stage);
    assert_false(there(folder, ".a.bin.converting"));
    assert_false(there(folder, ".a.bin.index"));
    size_t bytes = 0;
    AUTO_FREE char *old = convert_file(folder, "a.bin", &bytes);
    assert_memory_equal(old, "old", 3);
    opened(&stage, to);
    assert_true(text_ends(stage.file, "/.a.bin.converting/a.bin"));
    test_text(folder, ".a.bin.converting/a.bin", "new");
    test_text(folder, ".a.bin.converting/.a.bin.index", "of the new");
    assert_int_equal(convert_stage_commit(&stage, &err), 0);
    convert_stage_release(&stage);
    AUTO_FREE char *new = convert_file(folder, "a.bin", &bytes);
    assert_memory_equal(new, "new", 3);
    assert_true(there(folder, ".a.bin.index"));
    assert_false(there(folder, ".a.bin.converting"));
    test_folder_remove(folder);
}

static void what_a_kill_left_is_removed(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *to = base_printf("%s/a.bin", folder);
    struct convert_stage stage;
    test_mkdir(folder, ".a.bin.converting");
    test_text(folder, ".a.bin.converting/.a.bin.index", "stale");
    opened(&stage, to);
    assert_false(there(folder, ".a.bin.converting/.a.bin.index"));
    convert_stage_release(&stage);
    assert_false(there(folder, ".a.bin.converting"));
    test_folder_remove(folder);
}

static void one_process_at_a_time(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *to = base_printf("%s/a.bin", folder);
    struct convert_stage stage, other = {.fd = -1, .beside_fd = -1};
    struct opiml_error err = {0};
    opened(&stage, to);
    test_text(folder, ".a.bin.converting/a.bin", "half");
    assert_int_equal(convert_stage_open(&other, to, &err), OPIML_EBUSY);
    convert_stage_release(&other);
    assert_true(there(folder, ".a.bin.converting/a.bin"));
    convert_stage_release(&stage);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_its_name_when_it_is_whole),
        cmocka_unit_test(what_a_kill_left_is_removed),
        cmocka_unit_test(one_process_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
