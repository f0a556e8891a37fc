#include "write.h"

static void a_tensor_for_each_field(void **state) {
    static const uint16_t x[2][2] = {{1, 2}, {3, 4}};
    static const int8_t n[2] = {-1, 1};
    const struct opiml_value values[] = {sample_value(x[0], 4, 2), sample_value(&n[0], 1, 0),
                                         sample_value(x[1], 4, 2), sample_value(&n[1], 1, 0)};
    AUTO_FREE char *got = NULL;
    struct sample sample;
    sample_init(&sample, "safetensors");
    sample_field(&sample, "x", OPIML_BF16, 1, (int64_t[]){2});
    sample_field(&sample, "n", OPIML_I8, 0, NULL);
    sample_torture(&sample, values, 2);
    static const char header[] =
        "{\"x\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
        "\"n\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[8,10]}}";
    size_t padded = base_align_up(strlen(header), 8);
    assert_int_equal(sample_file(&sample, "000000.safetensors", &got), 8 + padded + 10);
    assert_int_equal(got[0], padded);
    assert_memory_equal(got + 8, header, strlen(header));
    assert_memory_equal(got + 8 + padded, "\1\0\2\0\3\0\4\0\xff\1", 10);
    sample_reads_back(&sample, values, 2);
    sample_release(&sample);
}

static void what_is_no_row_is_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "safetensors");
    sample_field(&sample, "x", OPIML_U8, 1, (int64_t[]){-1});
    sample_refused(&sample, "field \"x\" (u8 *): records of one size");
    sample.schema.count = 0;
    sample_field(&sample, "__metadata__", OPIML_U8, 0, NULL);
    sample_refused(&sample, "rename it");
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tensor_for_each_field),
        cmocka_unit_test(what_is_no_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
