/* Written headers as our own reader sees them; nibabel reads them in tests/python. */
#include "../test.h"

#include "dataset/nifti.h"
#include "dataset/nifti_header.h"

static void headers_read_back(void **state) {
    static const struct {
        uint32_t dtype, ndim;
        int64_t shape[5];
        size_t bytes;
    } cases[] = {{OPIML_U8, 3, {3, 4, 5}, 352},
                 {OPIML_F64, 1, {7}, 352},
                 {OPIML_I64, 5, {2, 3, 4, 5, 6}, 352},
                 {OPIML_I16, 2, {40000, 2}, 544}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t header[NIFTI_HEADER_MAX];
        struct array array = {0};

        assert_int_equal(
            nifti_make_header(cases[i].dtype, cases[i].ndim, cases[i].shape, NULL, header),
            cases[i].bytes);
        assert_int_equal(nifti_parse(header, cases[i].bytes, &array, NULL), 0);
        assert_int_equal(array.dtype, cases[i].dtype);
        assert_int_equal(array.ndim, cases[i].ndim);
        assert_memory_equal(array.shape, cases[i].shape, cases[i].ndim * sizeof(int64_t));
    }
    assert_false(nifti_takes_dtype(OPIML_BF16));
    assert_true(nifti_takes_dtype(OPIML_U16));
}

static void the_affine_gives_voxel_sizes(void **state) {
    static const double affine[] = {0, -2, 0, 10, 3, 0, 0, 20, 0, 0, 4, 30};
    const int64_t shape[] = {2, 2, 2};
    uint8_t header[NIFTI_HEADER_MAX];
    float rows[12], sizes[4];

    nifti_make_header(OPIML_U8, 3, shape, affine, header);
    memcpy(rows, header + 280, sizeof(rows));
    memcpy(sizes, header + 76, sizeof(sizes));
    for (int i = 0; i < 12; i++)
        assert_true((double)rows[i] == affine[i]);
    assert_true(sizes[1] == 3 && sizes[2] == 2 && sizes[3] == 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_read_back),
        cmocka_unit_test(the_affine_gives_voxel_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
