#include "write.h"

#include <math.h>

static void members_in_their_order(void **state) {
    static const int16_t x[] = {1, -2, 3, 4, 5, 6};
    static const double y = 0.1;
    static const char text[] = "\"h\xc3\xb6\\\n", bytes[] = "\xff\x00";
    const struct opiml_value values[] = {{.data = (uint8_t *)x, .bytes = 12, .shape = {2, 3}},
                                         sample_value(&y, 8, 0),
                                         sample_value(text, 6, 6),
                                         sample_value(bytes, 2, 2)};
    struct sample sample;
    sample_init(&sample, "jsonl");
    sample_field(&sample, "x", OPIML_I16, 2, (int64_t[]){2, 3});
    sample_field(&sample, "y", OPIML_F64, 0, NULL);
    sample_field(&sample, "t", OPIML_U8, 1, (int64_t[]){-1});
    sample_field(&sample, "b", OPIML_U8, 1, (int64_t[]){-1});
    sample_torture(&sample, values, 1);
    static const char wanted[] = "{\"x\":[[1,-2,3],[4,5,6]],\"y\":0.1,"
                                 "\"t\":\"\\\"h\xc3\xb6\\\\\\u000a\",\"b\":[255,0]}\n";
    assert_file(&sample, "000000.jsonl", wanted, strlen(wanted));
    sample_reads_back(&sample, values, 1);
    sample_release(&sample);
}

static void what_json_lacks_is_refused(void **state) {
    static const float x[] = {0, NAN};
    const struct opiml_value values[] = {sample_value(x, 8, 2)};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "jsonl");
    sample_field(&sample, "x", OPIML_F32, 1, (int64_t[]){2});
    assert_int_equal(sample_write(&sample, values, 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "field \"x\": JSON has no NaN"));
    sample_field(&sample, "h", OPIML_BF16, 0, NULL);
    sample_refused(&sample, "field \"h\" (bf16): it is not read from text");
    sample.schema.count = 0;
    sample_field(&sample, "x", OPIML_F32, 2, (int64_t[]){-1, -1});
    sample_refused(&sample, "varies in more than one dimension");
    sample_release(&sample);
}

static void names_with_escapes_are_refused(void **state) {
    static const char *const names[] = {"a\"b", "a\\b"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct sample sample;
        sample_init(&sample, "jsonl");
        sample_field(&sample, names[i], OPIML_I32, 0, NULL);
        sample_refused(&sample, "its name has a quote or a backslash");
        sample_release(&sample);
    }
}

static void long_rows_are_refused(void **state) {
    static uint8_t noise[6 << 20];
    const struct opiml_value values[] = {sample_value(noise, sizeof(noise), sizeof(noise))};
    struct opiml_error err;
    struct sample sample;
    memset(noise, 0xff, sizeof(noise)); /* no UTF-8: 4 bytes of text each */
    sample_init(&sample, "jsonl");
    sample_field(&sample, "x", OPIML_U8, 1, (int64_t[]){-1});
    assert_int_equal(sample_write(&sample, values, 1, &err), OPIML_ELIMIT);
    assert_non_null(strstr(err.message, "16 MiB"));
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_in_their_order),
        cmocka_unit_test(what_json_lacks_is_refused),
        cmocka_unit_test(names_with_escapes_are_refused),
        cmocka_unit_test(long_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
