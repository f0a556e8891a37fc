#include "write.h"

static void fields_without_gaps(void **state) {
    static const uint16_t x[2][2] = {{1, 2}, {0x0304, 5}};
    static const int8_t n[2] = {-1, 7};
    const struct opiml_value values[] = {sample_value(x[0], 4, 2), sample_value(&n[0], 1, 0),
                                         sample_value(x[1], 4, 2), sample_value(&n[1], 1, 0)};
    struct sample sample;
    sample_init(&sample, "raw");
    sample_field(&sample, "x", OPIML_U16, 1, (int64_t[]){2});
    sample_field(&sample, "n", OPIML_I8, 0, NULL);
    sample_torture(&sample, values, 2);
    assert_file(&sample, "000000.bin", "\1\0\2\0\xff\4\3\5\0\7", 10);
    sample_reads_back(&sample, values, 2);
    sample_release(&sample);
}

static void what_varies_is_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "raw");
    sample_field(&sample, "text", OPIML_U8, 1, (int64_t[]){-1});
    sample_refused(&sample, "field \"text\" (u8 *): its records differ in size");
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_without_gaps),
        cmocka_unit_test(what_varies_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
