#include "write.h"

#include <math.h>

static void cells_are_quoted_where_they_must(void **state) {
    static const float x[] = {0.1f, -0.0f, INFINITY};
    static const char *const texts[] = {"", "a,b", "say \"x\"\n"};
    struct opiml_value values[6];
    struct sample sample;
    for (int i = 0; i < 3; i++) {
        values[2 * i] = sample_value(&x[i], 4, 0);
        values[2 * i + 1] = sample_value(texts[i], strlen(texts[i]), (int64_t)strlen(texts[i]));
    }
    sample_init(&sample, "csv");
    sample_field(&sample, "x", OPIML_F32, 0, NULL);
    sample_field(&sample, "the text", OPIML_U8, 1, (int64_t[]){-1});
    sample_torture(&sample, values, 3);
    static const char wanted[] = "x,the text\n0.1,\"\"\n-0,\"a,b\"\ninf,\"say \"\"x\"\"\n\"\n";
    assert_file(&sample, "000000.csv", wanted, strlen(wanted));
    sample_reads_back(&sample, values, 3);
    sample_set(&sample, "delimiter", "tab");
    sample_written(&sample, values, 2);
    assert_file(&sample, "000000.tsv", "x\tthe text\n0.1\t\"\"\n-0\ta,b\n", 25);
    sample_release(&sample);
}

static void numbers_read_back_bit_for_bit(void **state) {
    static double x[200];
    static float y[200];
    struct opiml_value values[400];
    struct sample sample;
    test_noise((uint8_t *)x, sizeof(x), 1);
    test_noise((uint8_t *)y, sizeof(y), 2);
    for (int i = 0; i < 200; i++) {
        x[i] = x[i] == x[i] ? x[i] : (double)i / 3;
        y[i] = y[i] == y[i] ? y[i] : (float)i / 7;
        values[2 * i] = sample_value(&x[i], 8, 0);
        values[2 * i + 1] = sample_value(&y[i], 4, 0);
    }
    sample_init(&sample, "csv");
    sample_field(&sample, "x", OPIML_F64, 0, NULL);
    sample_field(&sample, "y", OPIML_F32, 0, NULL);
    sample_written(&sample, values, 200);
    sample_reads_back(&sample, values, 200);
    sample_release(&sample);
}

static void other_nans_are_refused(void **state) {
    uint32_t bits[] = {0x7fc00000, 0x7fc00001};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "csv");
    sample_field(&sample, "x", OPIML_F32, 0, NULL);
    const struct opiml_value values[] = {sample_value(&bits[0], 4, 0),
                                         sample_value(&bits[1], 4, 0)};
    sample_written(&sample, values, 1);
    sample_reads_back(&sample, values, 1);
    assert_int_equal(sample_write(&sample, values, 2, &err), OPIML_EINVAL);
    assert_string_equal(err.message, "field \"x\": text knows one NaN only, and this is another");
    sample_release(&sample);
}

static void bytes_that_are_no_text_are_refused(void **state) {
    static const char *const texts[] = {"na\xc3\xafve", "", "\xff\xd8\xff\xe0", "na\xefve", "a\0b"};
    static const int64_t sizes[] = {6, 0, 4, 5, 3};
    struct sample sample;
    sample_init(&sample, "csv");
    sample_field(&sample, "image", OPIML_U8, 1, (int64_t[]){-1});
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct opiml_value value = sample_value(texts[i], (uint64_t)sizes[i], sizes[i]);
        struct opiml_error err = {0};
        assert_int_equal(sample_write(&sample, &value, 1, &err), i < 2 ? 0 : OPIML_EINVAL);
        assert_true(i < 2 || strstr(err.message, "field \"image\": bytes that are no text"));
    }
    sample_release(&sample);
}

static void arrays_are_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "csv");
    sample_field(&sample, "n", OPIML_U16, 0, NULL);
    sample_refused(&sample, "field \"n\" (u16): a cell is one");
    sample.schema.count = 0;
    sample_field(&sample, "x", OPIML_F32, 1, (int64_t[]){3});
    sample_refused(&sample, "jsonl takes arrays");
    sample.schema.count = 0;
    sample_field(&sample, "a:b", OPIML_F32, 0, NULL);
    sample_refused(&sample, "a colon");
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_quoted_where_they_must),
        cmocka_unit_test(numbers_read_back_bit_for_bit),
        cmocka_unit_test(other_nans_are_refused),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(arrays_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
