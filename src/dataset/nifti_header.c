/* Headers of NIfTI files, from their fields' places in nifti1.h and nifti2.h. */
#include "dataset/nifti_header.h"

#include <math.h>

#define BYTES_1 348
#define BYTES_2 540
#define FIRST_1 352 /* where data begin, behind four bytes: no extensions */
#define FIRST_2 544
#define UNIT_MM 2
#define SCANNER 1 /* sform_code: the axes are those of the scanner */

static uint16_t type_code(uint32_t dtype) {
    static const uint16_t codes[] = {
        [OPIML_U8] = 2,   [OPIML_I16] = 4,  [OPIML_I32] = 8,   [OPIML_F32] = 16,
        [OPIML_F64] = 64, [OPIML_I8] = 256, [OPIML_U16] = 512, [OPIML_I64] = 1024};

    return dtype < COUNT_OF(codes) ? codes[dtype] : 0;
}

bool nifti_takes_dtype(uint32_t dtype) {
    return type_code(dtype) != 0;
}

static void put(uint8_t *to, size_t at, int64_t number, size_t bytes) {
    memcpy(to + at, &number, bytes); /* little-endian */
}

static void put_f32(uint8_t *to, size_t at, double number) {
    float narrow = (float)number;

    memcpy(to + at, &narrow, sizeof(narrow));
}

static void put_f64(uint8_t *to, size_t at, double number) {
    memcpy(to + at, &number, sizeof(number));
}

/* Voxel sizes follow from the affine's columns: x, y, z, then 1. */
static double size_of(const double *affine, int d) {
    if (d < 1 || d > 3)
        return 1;
    return sqrt(affine[d - 1] * affine[d - 1] + affine[3 + d] * affine[3 + d] +
                affine[7 + d] * affine[7 + d]);
}

static void make_one(uint32_t dtype, const int64_t dim[8], const double *affine, uint8_t *to) {
    put(to, 0, BYTES_1, 4);
    to[38] = 'r'; /* regular, as Analyze 7.5 had it */
    for (int d = 0; d < 8; d++) {
        put(to, 40 + 2 * (size_t)d, dim[d], 2);
        put_f32(to, 76 + 4 * (size_t)d, size_of(affine, d)); /* pixdim */
    }
    put(to, 70, type_code(dtype), 2);
    put(to, 72, (int64_t)opiml_dtype_bytes(dtype) * 8, 2);
    put_f32(to, 108, FIRST_1);
    put_f32(to, 112, 1); /* scl_slope */
    to[123] = UNIT_MM;
    put(to, 254, SCANNER, 2);
    for (size_t i = 0; i < 12; i++)
        put_f32(to, 280 + 4 * i, affine[i]); /* srow_x, _y, _z */
    memcpy(to + 344, "n+1", 4);
}

static void make_two(uint32_t dtype, const int64_t dim[8], const double *affine, uint8_t *to) {
    put(to, 0, BYTES_2, 4);
    memcpy(to + 4, "n+2\0\r\n\x1a\n", 8);
    put(to, 12, type_code(dtype), 2);
    put(to, 14, (int64_t)opiml_dtype_bytes(dtype) * 8, 2);
    for (int d = 0; d < 8; d++) {
        put(to, 16 + 8 * (size_t)d, dim[d], 8);
        put_f64(to, 104 + 8 * (size_t)d, size_of(affine, d));
    }
    put(to, 168, FIRST_2, 8);
    put_f64(to, 176, 1);
    put(to, 348, SCANNER, 4);
    for (size_t i = 0; i < 12; i++)
        put_f64(to, 400 + 8 * i, affine[i]);
    put(to, 500, UNIT_MM, 4);
}

size_t nifti_make_header(uint32_t dtype, uint32_t ndim, const int64_t *shape, const double *affine,
                         uint8_t to[NIFTI_HEADER_MAX]) {
    static const double identity[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    int64_t dim[8] = {ndim, 1, 1, 1, 1, 1, 1, 1};
    bool two = false;

    memset(to, 0, NIFTI_HEADER_MAX);
    for (uint32_t d = 0; d < ndim; d++) {
        dim[ndim - d] = shape[d];
        two |= shape[d] > INT16_MAX;
    }
    affine = affine ? affine : identity;
    if (two)
        make_two(dtype, dim, affine, to);
    else
        make_one(dtype, dim, affine, to);
    return two ? FIRST_2 : FIRST_1;
}
