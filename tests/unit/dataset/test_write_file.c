#include "write.h"

#include "dataset/write_file.h"

static void it_appears_when_it_is_whole(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *path = base_printf("%s/a.bin", folder);
    AUTO_FREE char *partial = base_printf("%s/.a.bin.partial", folder);
    static uint8_t noise[700000];
    struct write_file file = {0};
    struct opiml_error err;
    AUTO_FREE char *got = NULL;
    size_t bytes = 0;
    test_noise(noise, sizeof(noise), 1);
    assert_int_equal(write_file_open(&file, path, &err), 0);
    for (size_t at = 0; at < sizeof(noise); at += 100000) /* some fit the buffer, all do not */
        assert_int_equal(write_file_add(&file, noise + at, 100000, &err), 0);
    assert_int_equal(write_file_bytes(&file), sizeof(noise));
    assert_int_equal(write_file_put(&file, 5, "hello", 5, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(partial, F_OK), 0);
    assert_int_equal(write_file_commit(&file, true, &err), 0);
    write_file_release(&file);
    assert_int_equal(access(partial, F_OK), -1);
    memcpy(noise + 5, "hello", 5);
    assert_int_equal(file_read(path, sizeof(noise), &got, &bytes, &err), 0);
    assert_int_equal(bytes, sizeof(noise));
    assert_memory_equal(got, noise, bytes);
    test_folder_remove(folder);
}

static void a_failure_leaves_nothing(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *path = base_printf("%s/a.bin", folder);
    AUTO_FREE char *nowhere = base_printf("%s/none/a.bin", folder);
    struct write_file file = {0};
    struct opiml_error err;
    test_text(folder, ".a.bin.partial", "what a killed process left");
    assert_int_equal(write_file_open(&file, path, &err), 0);
    assert_int_equal(write_file_add(&file, "x", 1, &err), 0);
    write_file_release(&file);
    assert_int_equal(rmdir(folder), 0);
    test_mkdir(folder, "");
    assert_int_equal(write_file_open(&file, nowhere, &err), OPIML_ENOENT);
    assert_non_null(strstr(err.message, "none/a.bin: cannot be written"));
    write_file_release(&file);
    test_folder_remove(folder);
}

static void two_do_not_write_the_same(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *path = base_printf("%s/a.bin", folder);
    struct write_file one = {0}, other = {0};
    struct opiml_error err;
    AUTO_FREE char *got = NULL;
    size_t bytes = 0;
    assert_int_equal(write_file_open(&one, path, &err), 0);
    assert_int_equal(write_file_put(&one, 0, "one", 3, &err), 0);
    assert_int_equal(write_file_open(&other, path, &err), OPIML_EBUSY);
    assert_non_null(strstr(err.message, "a.bin: another process is writing it"));
    write_file_release(&other);
    assert_int_equal(write_file_commit(&one, false, &err), 0);
    assert_int_equal(file_read(path, 16, &got, &bytes, &err), 0);
    assert_int_equal(bytes, 3);
    assert_memory_equal(got, "one", bytes);
    assert_int_equal(write_file_open(&other, path, &err), 0);
    assert_int_equal(write_file_commit(&other, false, &err), 0);
    test_folder_remove(folder);
}

static void a_large_write_goes_past_the_buffer(void **state) {
    char *folder = test_folder();
    AUTO_FREE char *path = base_printf("%s/a.bin", folder);
    static uint8_t noise[1 << 20];
    struct write_file file = {0};
    struct opiml_error err;
    AUTO_FREE char *got = NULL;
    size_t bytes = 0;
    test_noise(noise, sizeof(noise), 1);
    assert_int_equal(write_file_open(&file, path, &err), 0);
    assert_int_equal(write_file_add(&file, noise, 3, &err), 0);
    assert_int_equal(write_file_add(&file, noise + 3, sizeof(noise) - 4, &err), 0);
    assert_int_equal(write_file_add(&file, noise + sizeof(noise) - 1, 1, &err), 0);
    assert_int_equal(write_file_commit(&file, false, &err), 0);
    assert_int_equal(file_read(path, sizeof(noise), &got, &bytes, &err), 0);
    assert_int_equal(bytes, sizeof(noise));
    assert_memory_equal(got, noise, bytes);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_appears_when_it_is_whole),
        cmocka_unit_test(a_failure_leaves_nothing),
        cmocka_unit_test(two_do_not_write_the_same),
        cmocka_unit_test(a_large_write_goes_past_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
