#include "write.h"

static void a_message_by_hand(void **state) {
    static const int32_t label = -1;
    const struct opiml_value values[] = {sample_value(&label, 4, 0)};
    struct sample sample;
    sample_init(&sample, "tfrecord");
    sample_set(&sample, "index", "true");
    sample_field(&sample, "n", OPIML_I32, 0, NULL);
    sample_torture(&sample, values, 1);
    /* features { feature { key: "n" value { int64_list { value: [-1] } } } } */
    static const uint8_t message[] = "\x0a\x15\x0a\x13\x0a\x01n\x12\x0e\x1a\x0c\x0a\x0a"
                                     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    AUTO_FREE char *got = NULL;
    assert_int_equal(sample_file(&sample, "000000.tfrecord", &got), sizeof(message) - 1 + 16);
    assert_int_equal(got[0], sizeof(message) - 1);
    assert_memory_equal(got + 12, message, sizeof(message) - 1);
    assert_file(&sample, "000000.tfrecord.idx", "0 39\n", 5);
    sample_reads_back(&sample, values, 1);
    sample_release(&sample);
}

static void every_type(void **state) {
    static uint8_t noise[8 * 3];
    struct sample sample;
    static const uint32_t types[] = {OPIML_U8,  OPIML_I8,  OPIML_U16, OPIML_I16,  OPIML_I32,
                                     OPIML_I64, OPIML_F16, OPIML_F32, OPIML_BF16, OPIML_F64};
    struct opiml_value values[20];
    test_noise(noise, sizeof(noise), 3);
    sample_init(&sample, "tfrecord");
    for (uint32_t i = 0; i < COUNT_OF(types); i++) {
        uint64_t each = opiml_dtype_bytes(types[i]);
        char name[8];
        snprintf(name, sizeof(name), "s%u", i);
        sample_field(&sample, name, types[i], 0, NULL);
        values[2 * i] = sample_value(noise, each, 0);
        name[0] = 'v';
        sample_field(&sample, name, types[i], 1, (int64_t[]){-1});
        values[2 * i + 1] = sample_value(noise, 3 * each, 3);
    }
    sample_written(&sample, values, 1);
    sample_reads_back(&sample, values, 1);
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_by_hand),
        cmocka_unit_test(every_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
