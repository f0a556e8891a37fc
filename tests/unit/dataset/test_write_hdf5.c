/* Skipped where there is no libhdf5. */
#include "write.h"

#include "hdf5.h"

static bool there_is_a_library(struct sample *sample) {
    AUTO_FREE char *path = base_printf("%s/try", sample->folder);
    struct hdf5_maker maker;
    bool there = hdf5_make(&maker, path);
    if (there)
        hdf5_made(&maker);
    unlink(path);
    return there;
}

static void rows_contiguous_and_in_chunks(void **state) {
    static float x[3][20];
    static const int32_t n[3] = {-1, 1, 2};
    static const char *const ways[][2] = {{"0", "true"}, {"1", "true"}, {"3", "false"}};
    struct opiml_value values[6];
    test_noise((uint8_t *)x, sizeof(x), 4);
    for (int i = 0; i < 3; i++) {
        values[2 * i] = sample_value(x[i], 80, 20);
        values[2 * i + 1] = sample_value(&n[i], 4, 0);
    }
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct sample sample;
        sample_init(&sample, "hdf5");
        if (!there_is_a_library(&sample)) {
            sample_release(&sample);
            skip();
        }
        sample_field(&sample, "x", OPIML_F32, 1, (int64_t[]){20});
        sample_field(&sample, "in/n", OPIML_I32, 0, NULL);
        sample_set(&sample, "deflate", ways[i][0]);
        sample_set(&sample, "shuffle", ways[i][1]);
        sample_torture(&sample, values, 3);
        sample_reads_back(&sample, values, 3);
        sample_release(&sample);
    }
}

static void what_is_no_row_is_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "hdf5");
    sample_field(&sample, "x", OPIML_U8, 1, (int64_t[]){-1});
    sample_refused(&sample, "field \"x\" (u8 *): records of one size");
    sample.schema.count = 0;
    sample_field(&sample, "/x", OPIML_U8, 0, NULL);
    sample_refused(&sample, "no path of groups");
    sample.schema.count = 0;
    sample_field(&sample, "x", OPIML_BF16, 0, NULL);
    sample_refused(&sample, "HDF5 has no such type");
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_contiguous_and_in_chunks),
        cmocka_unit_test(what_is_no_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
