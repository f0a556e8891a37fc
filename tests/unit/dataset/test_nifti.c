/* NIfTI headers of both versions and byte orders. */
#include "../test.h"

#include <math.h>

#include "base/base.h"
#include "dataset/nifti.h"

static uint8_t header[540];
static bool big;

static void put(size_t at, uint64_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        header[at + (big ? bytes - 1 - i : i)] = (uint8_t)(number >> (8 * i));
}

static void put_f32(size_t at, float number) {
    uint32_t bits;

    memcpy(&bits, &number, 4);
    put(at, bits, 4);
}

static void put_f64(size_t at, double number) {
    uint64_t bits;

    memcpy(&bits, &number, 8);
    put(at, bits, 8);
}

/* 4 × 3 × 2 (x, y, z) of a type. */
static void make_one(uint16_t type, float slope, float inter) {
    memset(header, 0, sizeof(header));
    put(0, 348, 4);
    put(40, 3, 2);
    put(42, 4, 2);
    put(44, 3, 2);
    put(46, 2, 2);
    put(70, type, 2);
    put_f32(108, 352);
    put_f32(112, slope);
    put_f32(116, inter);
    memcpy(header + 344, "n+1", 4);
}

static void make_two(uint16_t type, double slope, double inter) {
    memset(header, 0, sizeof(header));
    put(0, 540, 4);
    memcpy(header + 4, "n+2\0\r\n\032\n", 8);
    put(12, type, 2);
    put(16, 3, 8);
    put(24, 4, 8);
    put(32, 3, 8);
    put(40, 2, 8);
    put(168, 544, 8);
    put_f64(176, slope);
    put_f64(184, inter);
}

static void both_versions_in_both_orders(void **state) {
    struct array array;

    for (int version = 1; version <= 2; version++)
        for (int order = 0; order < 2; order++) {
            big = order == 1;
            if (version == 1)
                make_one(4, 1, 0);
            else
                make_two(4, 1, 0);
            assert_int_equal(nifti_parse(header, version == 1 ? 348 : 540, &array, NULL), 0);
            assert_int_equal(array.dtype, OPIML_I16);
            assert_true(array.ndim == 3 && array.shape[0] == 2 && array.shape[1] == 3 &&
                        array.shape[2] == 4);
            assert_int_equal(array.offset, version == 1 ? 352 : 544);
            assert_true(array.swapped == big && !array.scaled && !array.fortran);
        }
    big = false;
}

static void scaling_is_taken_when_it_changes_something(void **state) {
    static const struct {
        float slope, inter;
        bool scaled;
        double wanted_slope, wanted_inter;
    } cases[] = {{1, 0, false, 1, 0},       {0, 5, false, 1, 0},   {2, 0, true, 2, 0},
                 {1, 3, true, 1, 3},        {NAN, 3, false, 1, 0}, {2, NAN, true, 2, 0},
                 {INFINITY, 1, false, 1, 0}};
    struct array array;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        make_one(2, cases[i].slope, cases[i].inter);
        assert_int_equal(nifti_parse(header, 348, &array, NULL), 0);
        assert_int_equal(array.scaled, cases[i].scaled);
        assert_true(array.slope == cases[i].wanted_slope && array.inter == cases[i].wanted_inter);
        make_two(2, cases[i].slope, cases[i].inter);
        assert_int_equal(nifti_parse(header, 540, &array, NULL), 0);
        assert_int_equal(array.scaled, cases[i].scaled);
    }
}

static void shapes_fit_ours(void **state) {
    struct array array;
    struct opiml_error err;

    make_one(128, 2, 1); /* RGB is not scaled */
    assert_int_equal(nifti_parse(header, 348, &array, NULL), 0);
    assert_true(array.ndim == 4 && array.shape[3] == 3 && array.dtype == OPIML_U8 && !array.scaled);
    make_one(2, 1, 0);
    put(40, 7, 2);
    for (int d = 4; d <= 7; d++)
        put(40 + 2 * (size_t)d, 1, 2);
    assert_int_equal(nifti_parse(header, 348, &array, NULL), 0);
    assert_int_equal(array.ndim, 5);
    put(40 + 2 * 7, 2, 2);
    assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ENOTSUP);
}

static void other_headers_are_refused(void **state) {
    struct array array;
    struct opiml_error err;

    for (size_t n = 0; n < 348; n++) {
        uint8_t *cut = malloc(n + 1);

        make_one(2, 1, 0);
        memcpy(cut, header, n);
        assert_int_equal(nifti_parse(cut, n, &array, &err), OPIML_ECORRUPT);
        free(cut);
    }
    make_one(2, 1, 0);
    memcpy(header + 344, "ni1", 4);
    assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "one .nii file"));
    make_one(2, 1, 0);
    memcpy(header + 344, "", 1);
    assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ENOTSUP);
    make_one(768, 1, 0);
    assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ENOTSUP);
    assert_non_null(strstr(err.message, "type 768"));
    for (int d = 0; d <= 3; d++) {
        make_one(2, 1, 0);
        put(40 + 2 * (size_t)d, 0xffff, 2);
        assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ECORRUPT);
    }
    make_one(2, 1, 0);
    put_f32(108, NAN);
    assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ECORRUPT);
    put_f32(108, 1e30f);
    assert_int_equal(nifti_parse(header, 348, &array, &err), OPIML_ECORRUPT);
    assert_int_equal(nifti_parse((const uint8_t *)"hello, world", 12, &array, &err),
                     OPIML_ECORRUPT);
}

/* ---- affines ---- */

static void expect_affine(const double wanted[NIFTI_AFFINE]) {
    double affine[NIFTI_AFFINE];

    assert_int_equal(nifti_affine(header, sizeof(header), affine, NULL), 0);
    for (int i = 0; i < NIFTI_AFFINE; i++)
        assert_true(fabs(affine[i] - wanted[i]) < 1e-12);
}

static void put_numbers(size_t at, const double *numbers, size_t count, bool two) {
    for (size_t i = 0; i < count; i++) {
        if (two)
            put_f64(at + 8 * i, numbers[i]);
        else
            put_f32(at + 4 * i, (float)numbers[i]);
    }
}

/* The sform counts before the qform, and that before the size of the voxels. */
static void affines_by_their_codes(void **state) {
    const double rows[] = {0, 0.5, 0, 1, -2, 0, 0, 3, 0, 0.25, 4, 5};
    const double pixdim[] = {-1, 2, 3, 4}, half_turn[] = {0, 0, 1}, offset[] = {7, 8, 9};
    const double turned[] = {-2, 0, 0, 7, 0, -3, 0, 8, 0, 0, -4, 9};
    const double plain[] = {-2, 0, 0, 3, 0, 3, 0, -3, 0, 0, 4, -2}; /* of 4 × 3 × 2 */

    for (int turn = 0; turn < 4; turn++) {
        bool two = turn & 1;

        big = turn & 2;
        if (two)
            make_two(2, 1, 0);
        else
            make_one(2, 1, 0);
        put_numbers(two ? 104 : 76, pixdim, 4, two);
        put_numbers(two ? 352 : 256, half_turn, 3, two);
        put_numbers(two ? 376 : 268, offset, 3, two);
        put_numbers(two ? 400 : 280, rows, 12, two);
        expect_affine(plain);
        put(two ? 344 : 252, 1, two ? 4 : 2);
        expect_affine(turned);
        put(two ? 348 : 254, 2, two ? 4 : 2);
        expect_affine(rows);
    }
    big = false;
}

static void numbers_that_are_none_are_no_affine(void **state) {
    double affine[NIFTI_AFFINE] = {42};
    struct opiml_error err;

    make_one(2, 1, 0);
    put(254, 1, 2);
    put_f32(284, NAN);
    assert_int_equal(nifti_affine(header, sizeof(header), affine, &err), OPIML_ECORRUPT);
    assert_non_null(strstr(err.message, "affine"));
    put_f32(284, INFINITY);
    assert_int_equal(nifti_affine(header, sizeof(header), affine, NULL), OPIML_ECORRUPT);
    assert_int_equal(nifti_affine(header, 200, affine, NULL), OPIML_ECORRUPT);
    assert_true(affine[0] == 42);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_in_both_orders),
        cmocka_unit_test(scaling_is_taken_when_it_changes_something),
        cmocka_unit_test(shapes_fit_ours),
        cmocka_unit_test(other_headers_are_refused),
        cmocka_unit_test(affines_by_their_codes),
        cmocka_unit_test(numbers_that_are_none_are_no_affine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
