#include "write.h"

static void rows_of_a_file_for_each_field(void **state) {
    static const float x[2][2] = {{1, 2}, {3, 4}};
    static const int64_t n[2] = {-1, 1};
    const struct opiml_value values[] = {sample_value(x[0], 8, 2), sample_value(&n[0], 8, 0),
                                         sample_value(x[1], 8, 2), sample_value(&n[1], 8, 0)};
    AUTO_FREE char *got = NULL;
    struct sample sample;
    sample_init(&sample, "npy");
    sample_field(&sample, "x", OPIML_F32, 1, (int64_t[]){2});
    sample_field(&sample, "n", OPIML_I64, 0, NULL);
    sample_torture(&sample, values, 2);
    assert_int_equal(sample_file(&sample, "000000_x.npy", &got), 128 + 16);
    assert_memory_equal(got,
                        "\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, "
                        "'shape': (2, 2), }",
                        10 + 59);
    assert_memory_equal(got + 127, "\n", 1);
    assert_memory_equal(got + 128, x, 16);
    sample_reads_back(&sample, values, 2);
    sample_release(&sample);
}

static void a_file_a_record_where_sizes_differ(void **state) {
    static const uint8_t x[] = {1, 2, 3, 4, 5, 6};
    const struct opiml_value values[] = {{.data = (uint8_t *)x, .bytes = 6, .shape = {2, 3}},
                                         {.data = (uint8_t *)x, .bytes = 2, .shape = {1, 2}}};
    struct sample sample;
    sample_init(&sample, "npy");
    sample_field(&sample, "x", OPIML_U8, 2, (int64_t[]){-1, -1});
    sample_torture(&sample, values, 2);
    assert_true(sample.plan.loose);
    sample_reads_back(&sample, values, 2);
    sample_set(&sample, "records", "row");
    sample_refused(&sample, "set records=file");
    sample_release(&sample);
}

static void what_has_no_file_is_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "npy");
    sample_field(&sample, "a/b", OPIML_U8, 0, NULL);
    sample_refused(&sample, "does not go into a file's");
    sample.plan.single = true;
    sample_refused(&sample, "--fields data=FIELD");
    sample_field(&sample, "h", OPIML_BF16, 0, NULL);
    sample_refused(&sample, "NumPy has no such type");
    sample_release(&sample);
}

static void names_that_end_alike_are_refused(void **state) {
    static const uint8_t x[] = {1, 2};
    const struct opiml_value values[] = {sample_value(&x[0], 1, 0), sample_value(&x[1], 1, 0)};
    struct sample sample;
    sample_init(&sample, "npy");
    sample_field(&sample, "mask", OPIML_U8, 0, NULL);
    sample_field(&sample, "image_mask", OPIML_U8, 0, NULL);
    sample_refused(&sample, "field \"mask\" (u8): another field's name ends in _ and this one");
    sample.schema.count = 1;
    sample_field(&sample, "imagemask", OPIML_U8, 0, NULL);
    sample_written(&sample, values, 1);
    sample_reads_back(&sample, values, 1);
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_file_for_each_field),
        cmocka_unit_test(a_file_a_record_where_sizes_differ),
        cmocka_unit_test(what_has_no_file_is_refused),
        cmocka_unit_test(names_that_end_alike_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
