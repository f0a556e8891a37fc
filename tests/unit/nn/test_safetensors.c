/* Safetensors: round trip, and every way to be wrong. */
#include "nn_harness.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/file.h"
#include "nn/safetensors.h"

static const float data[6] = {1, 2, 3, 4, 5, 6};

static int write_one(const char *path, struct opiml_error *err) {
    struct safetensors_entry entries[] = {
        {.name = "a", .ndim = 2, .shape = {2, 3}, .data = data, .count = 6},
        {.name = "b.weight", .ndim = 1, .shape = {1}, .data = data, .count = 1}};
    AUTO_JS struct js *metadata = js_object();

    js_set(metadata, "step", js_text("12"));
    return safetensors_write(path, entries, 2, metadata, err);
}

static void what_is_written_is_read(void **state) {
    char *folder = test_folder(), path[4096];
    struct safetensors file;
    const struct safetensors_entry *entry;

    snprintf(path, sizeof(path), "%s/x.safetensors", folder);
    assert_int_equal(write_one(path, NULL), 0);
    assert_int_equal(safetensors_read(path, &file, NULL), 0);
    assert_int_equal(file.count, 2);
    entry = safetensors_find(&file, "a");
    assert_int_equal(entry->shape[1], 3);
    assert_memory_equal(entry->data, data, sizeof(data));
    assert_string_equal(safetensors_metadata(&file, "step"), "12");
    assert_null(safetensors_metadata(&file, "none"));
    assert_null(safetensors_find(&file, "none"));
    safetensors_release(&file);
    assert_int_equal(safetensors_read("/nonexistent/x", &file, NULL), OPIML_ENOENT);
    test_folder_remove(folder);
}

static void refuse(const char *header, size_t body, const char *what) {
    uint64_t length = strlen(header);
    char *bytes = calloc(1, 8 + length + body + 8);
    struct opiml_error err = {0};
    struct safetensors file;

    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    assert_int_equal(safetensors_parse(bytes, 8 + length + body, "t", &file, &err), OPIML_ECORRUPT);
    if (!strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\"", err.message, what);
    free(bytes);
}

/* Tensors that are no f32 are passed over, wherever they begin. */
static void other_types_are_passed_over(void **state) {
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                 "\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[3,5]}}";
    uint64_t length = strlen(header);
    char *bytes = calloc(1, 8 + length + 5);
    struct safetensors file;

    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    assert_int_equal(safetensors_parse(bytes, 8 + length + 5, "t", &file, NULL), 0);
    assert_int_equal(file.count, 0);
    safetensors_release(&file); /* the bytes are its own now */
}

static void damage_is_refused(void **state) {
    refuse("{", 0, "JSON");
    refuse("{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "type");
    refuse("{\"a\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "another size");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "outside");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 8, "another size");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 8, "shape");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
           8, "shape");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 8,
           "5 dim");
}

static void every_change_of_a_tensor_is_told(void **state) {
    char *folder = test_folder(), path[4096], *bytes;
    struct safetensors file;
    struct opiml_error err;
    size_t count;

    snprintf(path, sizeof(path), "%s/x.safetensors", folder);
    assert_int_equal(write_one(path, NULL), 0);
    assert_int_equal(file_read(path, 4096, &bytes, &count, NULL), 0);
    for (size_t at = count - 8; at < count; at++) {
        bytes[at] ^= 16;
        assert_int_equal(safetensors_parse(bytes, count, "t", &file, &err), OPIML_ECORRUPT);
        assert_non_null(strstr(err.message, "checksum"));
        bytes[at] ^= 16;
    }
    bytes = base_realloc(bytes, count + 4); /* as when something was inserted */
    memset(bytes + count, 0, 4);
    assert_int_equal(safetensors_parse(bytes, count + 4, "t", &file, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "do not fill it"));
    base_free(bytes);
    test_folder_remove(folder);
}

static void every_cut_is_refused(void **state) {
    char *folder = test_folder(), path[4096], *bytes;
    struct safetensors file;
    FILE *from;
    size_t count;

    snprintf(path, sizeof(path), "%s/x.safetensors", folder);
    assert_int_equal(write_one(path, NULL), 0);
    from = fopen(path, "rb");
    bytes = malloc(4096);
    count = fread(bytes, 1, 4096, from);
    fclose(from);
    for (size_t n = 0; n < count; n++) {
        char *cut = malloc(n + 1);

        memcpy(cut, bytes, n);
        assert_int_equal(safetensors_parse(cut, n, "t", &file, NULL), OPIML_ECORRUPT);
        free(cut);
    }
    free(bytes);
    test_folder_remove(folder);
}

/* A full disk (here: a limit on file sizes) leaves the old file whole and nothing beside it. */
static void a_full_disk_keeps_the_old_file(void **state) {
    char *folder = test_folder(), path[4096];
    struct rlimit old, tiny;
    struct opiml_error err = {0};
    struct safetensors file;

    snprintf(path, sizeof(path), "%s/x.safetensors", folder);
    assert_int_equal(write_one(path, NULL), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tiny = (struct rlimit){64, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tiny);
    assert_int_equal(write_one(path, &err), OPIML_ENOSPC);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_non_null(strstr(err.message, folder));
    assert_int_equal(safetensors_read(path, &file, NULL), 0);
    safetensors_release(&file);
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(other_types_are_passed_over),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(every_change_of_a_tensor_is_told),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
