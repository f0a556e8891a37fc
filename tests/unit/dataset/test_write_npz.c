#include "write.h"

static void fields(struct sample *sample) {
    sample_field(sample, "x", OPIML_F32, 1, (int64_t[]){2});
    sample_field(sample, "n", OPIML_I64, 0, NULL);
}

static void rows_and_files(void **state) {
    static const float x[2][2] = {{1, 2}, {3, 4}};
    static const int64_t n[2] = {-1, 1};
    const struct opiml_value values[] = {sample_value(x[0], 8, 2), sample_value(&n[0], 8, 0),
                                         sample_value(x[1], 8, 2), sample_value(&n[1], 8, 0)};
    static const char *const ways[][2] = {
        {"row", "0"}, {"file", "0"}, {"file", "2"}, {"auto", "3"}};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct sample sample;
        sample_init(&sample, "npz");
        fields(&sample);
        sample_set(&sample, "records", ways[i][0]);
        sample_set(&sample, "deflate", ways[i][1]);
        sample_torture(&sample, values, 2);
        assert_int_equal(sample.plan.loose, i > 0);
        sample_reads_back(&sample, values, 2);
        sample_release(&sample);
    }
}

static void deflated_rows_are_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "npz");
    fields(&sample);
    sample_set(&sample, "records", "row");
    sample_set(&sample, "deflate", "1");
    sample_refused(&sample, "set records=file or deflate=0");
    sample_release(&sample);
}

static void more_fields_than_can_be_named_are_refused(void **state) {
    static const char *const ways[][2] = {{"auto", "0"}, {"auto", "1"}, {"file", "1"}};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct sample sample;
        sample_init(&sample, "npz");
        sample_set(&sample, "records", ways[i][0]);
        sample_set(&sample, "deflate", ways[i][1]);
        for (int f = 0; f <= OPIML_LIST_MAX; f++) {
            char name[8];
            snprintf(name, sizeof(name), "x%d", f);
            sample_field(&sample, name, OPIML_U8, 0, NULL);
        }
        sample_refused(&sample, "33 fields; there are at most 32");
        sample_release(&sample);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_files),
        cmocka_unit_test(deflated_rows_are_refused),
        cmocka_unit_test(more_fields_than_can_be_named_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
