#include "write.h"

static void a_folder_for_each_class(void **state) {
    static const char *const classes[] = {"cat", "dog"};
    static const int32_t labels[] = {1, 0, 2};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "image-folder");
    sample.plan.classes = classes;
    sample.plan.class_count = 2;
    sample_field(&sample, "label", OPIML_I32, 0, NULL);
    sample_field(&sample, "image", OPIML_U8, 1, (int64_t[]){-1});
    const struct opiml_value values[] = {
        sample_value(&labels[0], 4, 0), sample_value("\xff\xd8\xff\xe0", 4, 4),
        sample_value(&labels[1], 4, 0), sample_value("\x89PNG\r\n\x1a\n.", 9, 9),
        sample_value(&labels[2], 4, 0), sample_value("\xff\xd8\xff\xe0", 4, 4)};
    sample_torture(&sample, values, 2);
    assert_true(sample.plan.loose);
    assert_file(&sample, "dog/000000000.jpg", "\xff\xd8\xff\xe0", 4);
    assert_file(&sample, "cat/000000001.png", "\x89PNG\r\n\x1a\n.", 9);
    assert_int_equal(sample_write(&sample, values, 3, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "field \"label\": a label that is no class"));
    sample_release(&sample);
}

static void other_fields_are_refused(void **state) {
    struct sample sample;
    sample_init(&sample, "image-folder");
    sample_field(&sample, "image", OPIML_U8, 1, (int64_t[]){-1});
    sample_refused(&sample, "image=FIELD,label=FIELD");
    sample_field(&sample, "label", OPIML_I64, 0, NULL);
    sample_refused(&sample, "an i32 is wanted");
    sample.schema.count = 0;
    sample_field(&sample, "image", OPIML_U8, 3, (int64_t[]){32, 32, 3});
    sample_field(&sample, "label", OPIML_I32, 0, NULL);
    sample_refused(&sample, "JPEG or PNG files");
    sample_release(&sample);
}

static void classes_stay_in_the_folder(void **state) {
    static const char *const names[] = {"../opiml-out", "..", ".", "", "/tmp", "a/b", ".hidden"};
    const int32_t label = 0;
    const struct opiml_value values[] = {sample_value(&label, 4, 0),
                                         sample_value("\xff\xd8\xff\xe0", 4, 4)};
    struct sample sample;
    sample_init(&sample, "image-folder");
    sample_field(&sample, "label", OPIML_I32, 0, NULL);
    sample_field(&sample, "image", OPIML_U8, 1, (int64_t[]){-1});
    sample.plan.class_count = 1;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct opiml_error err = {0};
        sample.plan.classes = &names[i];
        assert_int_equal(sample_write(&sample, values, 1, &err), OPIML_EINVAL);
        assert_non_null(strstr(err.message, "has no name for a folder"));
    }
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_for_each_class),
        cmocka_unit_test(other_fields_are_refused),
        cmocka_unit_test(classes_stay_in_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
