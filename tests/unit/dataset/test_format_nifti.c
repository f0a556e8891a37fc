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
        cmocka_unit_test(damage_is_a_bad_record),
        cmocka_unit_test(an_affine_beside),
        cmocka_unit_test(an_affine_needs_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
