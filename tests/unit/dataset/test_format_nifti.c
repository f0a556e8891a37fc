#include "helper.h"

#include <zlib.h>

/* u8, x × 2 × 1, of values that begin with `first`; with a slope of 2 when scaled. */
static size_t volume(uint8_t *to, uint16_t x, uint8_t first, bool scaled) {
    const uint16_t dim[] = {3, x, 2, 1};
    const float start = 352, slope = scaled ? 2 : 1;
    const uint32_t size = 348;
    memset(to, 0, 352);
    memcpy(to, &size, 4);
    memcpy(to + 40, dim, sizeof(dim));
    to[70] = 2;
    memcpy(to + 108, &start, 4);
    memcpy(to + 112, &slope, 4);
    memcpy(to + 344, "n+1", 4);
    for (size_t i = 0; i < 2u * x; i++)
        to[352 + i] = (uint8_t)(first + i);
    return 352 + 2u * x;
}

static void write_gzip(const char *folder, const char *name, const uint8_t *data, size_t bytes) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, data, (unsigned)bytes), bytes);
    gzclose(file);
}

static void pairs_plain_and_compressed(void **state) {
    char *folder = test_folder();
    uint8_t data[1024];
    struct test_record record;
    test_mkdir(folder, "images");
    test_mkdir(folder, "labels");
    write_gzip(folder, "images/a.nii.gz", data, volume(data, 3, 10, true));
    write_gzip(folder, "images/b.nii.gz", data, volume(data, 5, 50, true));
    test_write(folder, "labels/a.nii", data, volume(data, 3, 1, false));
    test_write(folder, "labels/b.nii", data, volume(data, 5, 2, false));
    struct dataset *dataset =
        test_opened(folder, "{uri: ., format: nifti, parts: [\"image:images/*.nii.gz\", "
                            "\"label:labels/*.nii\"]}");
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_int_equal(schema->fields[0].dtype, OPIML_F32);
    assert_int_equal(schema->fields[1].dtype, OPIML_U8);
    assert_true(schema->fields[0].shape[0] == 1 && schema->fields[0].shape[1] == 2 &&
                schema->fields[0].shape[2] == -1);
    assert_key(dataset, 1, "b");
    assert_int_equal(test_fetch(dataset, 1, &record), 0);
    assert_true(record.values[0].shape[2] == 5 && record.values[0].bytes == 40);
    assert_true(((float *)(void *)record.values[0].data)[9] == 2 * 59);
    assert_int_equal(record.values[1].data[9], 11);
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void files_of_two_kinds_are_parts(void **state) {
    char *folder = test_folder();
    uint8_t data[1024];
    write_gzip(folder, "0_img.nii.gz", data, volume(data, 3, 10, true));
    write_gzip(folder, "0_label.nii.gz", data, volume(data, 3, 1, false));
    test_refused(
        folder, "{uri: ., format: nifti}", OPIML_EINVAL,
        "0_label.nii.gz: \"image\" is u8 with 3 dimensions; in 0_img.nii.gz it is f32 with "
        "3; files that make a record together are named by parts, such as parts: "
        "[\"image:*_img.nii.gz\", \"label:*_label.nii.gz\"]");
    dataset_close(test_opened(folder, "{uri: ., format: nifti, parts: [\"image:*_img.nii.gz\", "
                                      "\"label:*_label.nii.gz\"]}"));
    test_folder_remove(folder);
}

static void damage_is_a_bad_record(void **state) {
    char *folder = test_folder(), path[4096];
    uint8_t data[1024];
    struct test_record record;
    write_gzip(folder, "a.nii.gz", data, volume(data, 3, 10, false));
    write_gzip(folder, "b.nii.gz", data, volume(data, 3, 10, false));
    write_gzip(folder, "c.nii.gz", data, volume(data, 3, 10, false) + 1); /* more than it says */
    snprintf(path, sizeof(path), "%s/b.nii.gz", folder);
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fseek(file, -8, SEEK_END), 0); /* the CRC */
    fputc(0x55, file);
    fputc(0xaa, file);
    fclose(file);
    struct dataset *dataset = test_opened(folder, "{uri: .}");
    assert_string_equal(dataset_format_name(dataset), "nifti");
    assert_int_equal(test_fetch(dataset, 0, &record), 0);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 1, &record), OPIML_ECORRUPT);
    test_record_release(&record);
    assert_int_equal(test_fetch(dataset, 2, &record), OPIML_ECORRUPT);
    assert_non_null(strstr(record.err.message, "more than they should be"));
    test_record_release(&record);
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* What is wrong is told of the one file as of one among others. */
static void what_is_cut_and_what_is_none(void **state) {
    char *folder = test_folder();
    uint8_t data[1024];
    struct test_record record;
    size_t bytes = volume(data, 3, 10, false);
    test_write(folder, "b.nii", data, bytes - 1);
    test_text(folder, "c.nii", "hello");
    test_write(folder, "d.nii", data, 300);
    test_refused(folder, "{uri: b.nii}", OPIML_ECORRUPT, "; b.nii: an array of ");
    test_refused(folder, "{uri: b.nii}", OPIML_ECORRUPT, " are there: it is cut short");
    test_refused(folder, "{uri: c.nii}", OPIML_ECORRUPT, "; c.nii: no NIfTI file, for all");
    test_refused(folder, "{uri: d.nii}", OPIML_ECORRUPT, "; d.nii: the NIfTI header is cut short");
    test_refused(folder, "{uri: .}", OPIML_ECORRUPT, "; b.nii: an array of "); /* the first */
    test_write(folder, "a.nii", data, bytes);
    struct dataset *dataset = test_opened(folder, "{uri: .}");
    static const char *const why[] = {NULL,
                                      "\"image\": 6 bytes of elements, and fewer are there: "
                                      "it is cut short",
                                      "\"image\": no NIfTI file", "header is cut short"};
    for (uint64_t i = 0; i < COUNT_OF(why); i++) {
        assert_int_equal(test_fetch(dataset, i, &record), why[i] ? OPIML_ECORRUPT : 0);
        if (why[i] &&
            (!strstr(record.err.message, why[i]) || strstr(record.err.message, "e\": \"")))
            fail_msg("\"%s\" lacks \"%s\"", record.err.message, why[i]);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

/* The affine is the first file's, whether it is compressed or not. */
static void an_affine_beside(void **state) {
    char *folder = test_folder();
    uint8_t data[1024];
    const int16_t code = 1;
    const float row[] = {1.5f, 0, 0, -20};
    struct test_record record;
    test_mkdir(folder, "images");
    test_mkdir(folder, "labels");
    size_t bytes = volume(data, 3, 10, true);
    memcpy(data + 254, &code, sizeof(code));
    memcpy(data + 280, row, sizeof(row));
    write_gzip(folder, "images/a.nii.gz", data, bytes);
    test_write(folder, "images/b.nii.gz", data, bytes); /* not compressed for all its name */
    test_write(folder, "labels/a.nii", data, volume(data, 3, 1, false));
    test_write(folder, "labels/b.nii", data, volume(data, 3, 2, false));
    struct dataset *dataset =
        test_opened(folder, "{uri: ., format: nifti, affine: where, parts: "
                            "[\"image:images/*.nii.gz\", \"label:labels/*.nii\"]}");
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_int_equal(schema->count, 3);
    assert_string_equal(schema->fields[2].name, "where");
    assert_true(schema->fields[2].dtype == OPIML_F64 && opiml_field_fixed(&schema->fields[2]));
    for (uint64_t r = 0; r < 2; r++) {
        double affine[12];
        assert_int_equal(test_fetch(dataset, r, &record), 0);
        assert_int_equal(record.values[2].bytes, sizeof(affine));
        memcpy(affine, record.values[2].data, sizeof(affine));
        assert_true(affine[0] == 1.5 && affine[3] == -20 && affine[5] == 0);
        assert_int_equal(record.values[1].data[5], r + 6);
        test_record_release(&record);
    }
    dataset_close(dataset);
    test_folder_remove(folder);
}

static void an_affine_needs_a_name_of_its_own(void **state) {
    char *folder = test_folder();
    uint8_t data[1024];
    test_write(folder, "a.nii", data, volume(data, 3, 1, false));
    test_refused(folder, "{uri: ., format: nifti, affine: image}", OPIML_EINVAL, "image");
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_plain_and_compressed),
        cmocka_unit_test(files_of_two_kinds_are_parts),
        cmocka_unit_test(damage_is_a_bad_record),
        cmocka_unit_test(what_is_cut_and_what_is_none),
        cmocka_unit_test(an_affine_beside),
        cmocka_unit_test(an_affine_needs_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
