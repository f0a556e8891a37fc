#include "write.h"

static void sequences_follow_one_another(void **state) {
    static const int32_t ids[2][3] = {{1, 2, 3}, {4, 5, -6}};
    const struct opiml_value values[] = {sample_value(ids[0], 12, 3), sample_value(ids[1], 12, 3)};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "tokens");
    sample_field(&sample, "tokens", OPIML_I32, 1, (int64_t[]){3});
    assert_int_equal(sample_write(&sample, values, 2, &err), OPIML_EINVAL);
    assert_string_equal(err.message, "field \"tokens\": a negative number is no token");
    sample_torture(&sample, values, 1);
    assert_file(&sample, "000000.bin", ids[0], 12);
    sample_reads_back(&sample, values, 1);
    sample_release(&sample);
}

static void other_fields_are_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "tokens");
    sample_field(&sample, "ids", OPIML_U16, 1, (int64_t[]){3});
    sample_refused(&sample, "--fields tokens=FIELD");
    sample_field(&sample, "more", OPIML_U16, 1, (int64_t[]){3});
    sample_refused(&sample, "there are 2");
    sample.schema.count = 0;
    sample_field(&sample, "tokens", OPIML_U16, 1, (int64_t[]){-1});
    sample_refused(&sample, "sequences of one length");
    sample.schema.count = 0;
    sample_field(&sample, "tokens", OPIML_I64, 1, (int64_t[]){4});
    sample_refused(&sample, "u16 or i32");
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_follow_one_another),
        cmocka_unit_test(other_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
