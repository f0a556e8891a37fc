/* Looking at parts of a file: what is asked for, and little more. */
#include "../test.h"

#include "dataset/peek.h"

struct file {
    uint8_t data[300000];
    size_t bytes, reads, read_bytes;
    int fail;
};

static int64_t read_file(void *context, void *to, size_t bytes, uint64_t offset,
                         struct opiml_error *err) {
    struct file *file = context;

    if (file->fail)
        return opiml_fail(err, file->fail, "cannot");
    bytes = offset >= file->bytes ? 0 : base_min_u64(bytes, file->bytes - offset);
    memcpy(to, file->data + offset, bytes);
    file->reads++;
    file->read_bytes += bytes;
    return (int64_t)bytes;
}

static void parts_are_what_lies_there(void **state) {
    struct file *file = calloc(1, sizeof(*file));
    CLEANUP(peek_release) struct peek peek;
    struct opiml_error err;

    file->bytes = sizeof(file->data);
    for (size_t i = 0; i < file->bytes; i++)
        file->data[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(peek_init(&peek, read_file, file, NULL), 0);
    for (uint64_t at = 0; at + 100 <= file->bytes; at += 1000)
        assert_memory_equal(peek_at(&peek, at, 100, &err), file->data + at, 100);
    assert_true(file->reads < 5); /* near one another: much at once */
    file->reads = file->read_bytes = 0;
    assert_memory_equal(peek_at(&peek, 5, 9, &err), file->data + 5, 9);
    assert_memory_equal(peek_at(&peek, 200000, 9, &err), file->data + 200000, 9);
    assert_true(file->reads == 2 && file->read_bytes <= 2 * 4096); /* far apart: little */
    assert_null(peek_at(&peek, 0, PEEK_BYTES_MAX + 1, &err));
    free(file);
}

static void ends_and_failures_are_told(void **state) {
    struct file *file = calloc(1, sizeof(*file));
    CLEANUP(peek_release) struct peek peek;
    struct opiml_error err;

    file->bytes = 50;
    assert_int_equal(peek_init(&peek, read_file, file, NULL), 0);
    assert_null(peek_at(&peek, 40, 11, &err));
    assert_int_equal(err.code, OPIML_ECORRUPT);
    assert_string_equal(err.message, "at offset 50: the file ends here");
    file->fail = OPIML_EIO;
    assert_null(peek_at(&peek, 0, 1, &err));
    assert_int_equal(err.code, OPIML_EIO);
    free(file);
}

static void an_object_is_named_once(void **state) {
    struct source source = {.prefix = "file:///data/"};
    const struct peek_object at = {&source, "a.tar"};
    struct opiml_error why = {.message = "at offset 7: noise"}, err;

    assert_int_equal(peek_fail(&at, OPIML_ECORRUPT, &why, &err), OPIML_ECORRUPT);
    assert_string_equal(err.message, "file:///data/a.tar at offset 7: noise");
    why = (struct opiml_error){.message = "file:///data/a.tar: No such file or directory"};
    assert_int_equal(peek_fail(&at, OPIML_ENOENT, &why, &err), OPIML_ENOENT);
    assert_string_equal(err.message, why.message);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_lies_there),
        cmocka_unit_test(ends_and_failures_are_told),
        cmocka_unit_test(an_object_is_named_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
