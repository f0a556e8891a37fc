#include "write.h"

static void headers_of_both_versions(void **state) {
    static int16_t x[40000];
    const struct opiml_value values[] = {
        {.data = (uint8_t *)x, .bytes = 12, .shape = {1, 2, 3}},
        {.data = (uint8_t *)x, .bytes = 80000, .shape = {1, 1, 40000}}};
    static const char *const levels[] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        AUTO_FREE char *one = NULL, *two = NULL;
        struct sample sample;
        sample_init(&sample, "nifti");
        sample_set(&sample, "gzip", levels[i]);
        sample_field(&sample, "t1", OPIML_I16, 3, (int64_t[]){-1, -1, -1});
        sample_torture(&sample, values, 2);
        sample_reads_back(&sample, values, 2);
        if (i == 0) {
            assert_int_equal(sample_file(&sample, "t1/000000000.nii", &one), 352 + 12);
            assert_memory_equal(one + 40, "\3\0\3\0\2\0\1\0\1\0", 10); /* dim */
            assert_memory_equal(one + 344, "n+1", 4);
            assert_int_equal(sample_file(&sample, "t1/000000001.nii", &two), 544 + 80000);
            assert_memory_equal(two + 4, "n+2\0\r\n\x1a\n", 8);
        }
        sample_release(&sample);
    }
}

static void what_is_no_volume_is_refused(void **state) {
    static const uint8_t none;
    const struct opiml_value values[] = {sample_value(&none, 0, 0)};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "nifti");
    sample_field(&sample, "x", OPIML_U8, 1, (int64_t[]){-1});
    assert_int_equal(sample_write(&sample, values, 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "without voxels"));
    sample_field(&sample, "label", OPIML_I32, 0, NULL);
    sample_refused(&sample, "field \"label\" (i32): a volume has dimensions");
    sample.schema.count = 0;
    sample_field(&sample, "h", OPIML_F16, 1, (int64_t[]){2});
    sample_refused(&sample, "field \"h\" (f16 2): volumes of");
    sample_release(&sample);
}

static void an_affine_goes_into_the_headers(void **state) {
    static const uint8_t x[8];
    double affine[] = {0.5, 0, 0, -10, 0, -2, 0, 20, 0, 0, 1.25, 30};
    const struct opiml_value values[] = {
        {.data = (uint8_t *)x, .bytes = 8, .shape = {2, 2, 2}},
        {.data = (uint8_t *)affine, .bytes = sizeof(affine), .shape = {3, 4}}};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "nifti");
    sample_set(&sample, "affine", "where");
    sample_refused(&sample, "there is no field \"where\"; there are ");
    sample_field(&sample, "t1", OPIML_U8, 3, (int64_t[]){2, 2, 2});
    sample_field(&sample, "where", OPIML_F64, 2, (int64_t[]){3, 4});
    sample_torture(&sample, values, 1);
    sample_reads_back(&sample, values, 1);
    affine[0] = 0.1;
    assert_int_equal(sample_write(&sample, values, 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "field \"where\": NIfTI-1 has its affine in f32"));
    sample.schema.fields[1].dtype = OPIML_I64;
    sample_refused(&sample, "an affine is f64 of 3 x 4");
    sample_release(&sample);
}

static void names_stay_in_the_folder(void **state) {
    static const char *const names[] = {"..", ".", ".t1", "../t1", "a/b"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct sample sample;
        sample_init(&sample, "nifti");
        sample_field(&sample, names[i], OPIML_U8, 3, (int64_t[]){2, 2, 2});
        sample_refused(&sample, "does not go into a folder's");
        sample_release(&sample);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_both_versions),
        cmocka_unit_test(what_is_no_volume_is_refused),
        cmocka_unit_test(an_affine_goes_into_the_headers),
        cmocka_unit_test(names_stay_in_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
