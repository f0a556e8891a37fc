#include "write.h"

#define PNG "\x89PNG\r\n\x1a\n"

static void a_member_for_each_field(void **state) {
    static const int32_t label = -12;
    const struct opiml_value values[] = {sample_value(PNG, 8, 8), sample_value(&label, 4, 0),
                                         sample_value("{}", 2, 2)};
    AUTO_FREE char *got = NULL;
    struct sample sample;
    sample_init(&sample, "webdataset");
    sample_field(&sample, "image", OPIML_U8, 1, (int64_t[]){-1});
    sample_field(&sample, "label", OPIML_I32, 0, NULL);
    sample_field(&sample, "meta.json", OPIML_U8, 1, (int64_t[]){-1});
    sample_torture(&sample, values, 1);
    assert_int_equal(sample_file(&sample, "000000.tar", &got), 20 * 512);
    assert_string_equal(got, "000000000.png");
    assert_string_equal(got + 124, "00000000010");
    assert_memory_equal(got + 512, PNG, 8);
    assert_string_equal(got + 1024, "000000000.cls");
    assert_string_equal(got + 1536, "-12");
    assert_string_equal(got + 2048, "000000000.meta.json");
    sample_reads_back(&sample, values, 1);
    sample_release(&sample);
}

static void what_is_no_file_is_refused(void **state) {
    const struct opiml_value values[] = {sample_value("GIF89a", 6, 6)};
    struct opiml_error err;
    struct sample sample;
    sample_init(&sample, "webdataset");
    sample_field(&sample, "image", OPIML_U8, 1, (int64_t[]){-1});
    assert_int_equal(sample_write(&sample, values, 1, &err), OPIML_EINVAL);
    assert_non_null(strstr(err.message, "neither a JPEG nor a PNG file"));
    sample_field(&sample, "box", OPIML_F32, 1, (int64_t[]){4});
    sample_refused(&sample, "field \"box\" (f32 4): members are files");
    sample.schema.count = 0;
    sample_field(&sample, "Text", OPIML_U8, 1, (int64_t[]){-1});
    sample_refused(&sample, "no extension in small letters");
    sample_release(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_for_each_field),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
