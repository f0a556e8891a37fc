/* NIfTI headers. */
#include "dataset/nifti.h"

#include <math.h>

#define BYTES_1 348
#define BYTES_2 540
#define FIRST_1 352 /* where data begin at the earliest: four bytes behind the header */
#define FIRST_2 544
#define DIMS_MAX 7
#define RGB24 128

/* The fields that matter, at their places in either header, in this machine's byte order. */
struct fields {
    bool two, swapped;
    int64_t dim[DIMS_MAX + 1];
    uint16_t type;
    double first, slope, inter;
};

static uint64_t get(const uint8_t *at, size_t bytes, bool swapped) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)at[swapped ? bytes - 1 - i : i] << (8 * i);
    return number;
}

static double get_f32(const uint8_t *at, bool swapped) {
    uint32_t bits = (uint32_t)get(at, 4, swapped);
    float number;
    memcpy(&number, &bits, sizeof(number));
    return (double)number;
}

static double get_f64(const uint8_t *at, bool swapped) {
    uint64_t bits = get(at, 8, swapped);
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static void read_one(const uint8_t *data, struct fields *fields) {
    bool swapped = fields->swapped;
    for (int d = 0; d <= DIMS_MAX; d++)
        fields->dim[d] = (int16_t)get(data + 40 + 2 * d, 2, swapped);
    fields->type = (uint16_t)get(data + 70, 2, swapped);
    fields->first = get_f32(data + 108, swapped);
    fields->slope = get_f32(data + 112, swapped);
    fields->inter = get_f32(data + 116, swapped);
}

static void read_two(const uint8_t *data, struct fields *fields) {
    bool swapped = fields->swapped;
    for (int d = 0; d <= DIMS_MAX; d++)
        fields->dim[d] = (int64_t)get(data + 16 + 8 * d, 8, swapped);
    fields->type = (uint16_t)get(data + 12, 2, swapped);
    fields->first = (double)(int64_t)get(data + 168, 8, swapped);
    fields->slope = get_f64(data + 176, swapped);
    fields->inter = get_f64(data + 184, swapped);
}

static int read_fields(const uint8_t *data, uint64_t bytes, struct fields *fields,
                       struct opiml_error *err) {
    uint32_t size = bytes >= 4 ? (uint32_t)get(data, 4, false) : 0;
    uint32_t other = bytes >= 4 ? (uint32_t)get(data, 4, true) : 0;
    *fields = (struct fields){.two = size == BYTES_2 || other == BYTES_2,
                              .swapped = other == BYTES_1 || other == BYTES_2};
    if (size != BYTES_1 && size != BYTES_2 && !fields->swapped)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "no NIfTI file, for all its name: it does not begin with a header of %d "
                          "or %d bytes",
                          BYTES_1, BYTES_2);
    if (bytes < (fields->two ? BYTES_2 : BYTES_1))
        return opiml_fail(err, OPIML_ECORRUPT, "the NIfTI header is cut short");
    const char *magic = (const char *)data + (fields->two ? 4 : 344);
    if (memcmp(magic, fields->two ? "ni2" : "ni1", 4) == 0)
        return opiml_fail(err, OPIML_ENOTSUP, "a pair of .hdr and .img; save it as one .nii file");
    if (memcmp(magic, fields->two ? "n+2" : "n+1", 4) != 0)
        return opiml_fail(err, OPIML_ENOTSUP, "no NIfTI file, but perhaps Analyze 7.5");
    if (fields->two)
        read_two(data, fields);
    else
        read_one(data, fields);
    return 0;
}

static uint32_t find_type(uint16_t type) {
    static const struct {
        uint16_t code;
        uint32_t dtype;
    } types[] = {{2, OPIML_U8},   {4, OPIML_I16},   {8, OPIML_I32},
                 {16, OPIML_F32}, {64, OPIML_F64},  {RGB24, OPIML_U8},
                 {256, OPIML_I8}, {512, OPIML_U16}, {1024, OPIML_I64}};
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].code == type)
            return types[i].dtype;
    return 0;
}

/* Reversed; what counts one at the end is left out where there are too many. */
static int read_shape(const struct fields *fields, struct array *array, struct opiml_error *err) {
    uint32_t rgb = fields->type == RGB24;
    int64_t ndim = fields->dim[0];
    if (ndim < 1 || ndim > DIMS_MAX)
        return opiml_fail(err, OPIML_ECORRUPT, "the NIfTI header has %d dimensions", (int)ndim);
    for (int64_t d = 1; d <= ndim; d++)
        if (fields->dim[d] < 1)
            return opiml_fail(err, OPIML_ECORRUPT, "dimension %d of the NIfTI header is %" PRId64,
                              (int)d, fields->dim[d]);
    while (ndim + rgb > OPIML_MAX_DIMS && fields->dim[ndim] == 1)
        ndim--;
    if (ndim + rgb > OPIML_MAX_DIMS)
        return opiml_fail(err, OPIML_ENOTSUP, "a NIfTI file of more than %d dimensions",
                          OPIML_MAX_DIMS);
    for (int64_t d = 0; d < ndim; d++)
        array->shape[d] = fields->dim[ndim - d];
    if (rgb)
        array->shape[ndim] = 3;
    array->ndim = (uint32_t)ndim + rgb;
    return 0;
}

int nifti_parse(const uint8_t *data, uint64_t bytes, struct array *ret_array,
                struct opiml_error *err) {
    struct fields fields;
    struct array array = {0};
    int rc = read_fields(data, bytes, &fields, err);
    if (rc == 0)
        rc = read_shape(&fields, &array, err);
    if (rc < 0)
        return rc;
    double least = fields.two ? FIRST_2 : FIRST_1;
    array.dtype = find_type(fields.type);
    if (!array.dtype)
        return opiml_fail(err, OPIML_ENOTSUP,
                          "NIfTI data of type %u, which has no counterpart here; save it as one of "
                          "uint8, int8, uint16, int16, int32, int64, float32, float64 or RGB24",
                          fields.type);
    if (!(fields.first <= 1e9))
        return opiml_fail(err, OPIML_ECORRUPT, "the NIfTI header puts its data nowhere");
    array.offset = (uint64_t)(fields.first < least ? least : fields.first);
    array.swapped = fields.swapped && opiml_dtype_bytes(array.dtype) > 1;
    array.slope = isfinite(fields.slope) && fields.slope != 0 ? fields.slope : 1;
    array.inter = isfinite(fields.inter) && array.slope == fields.slope ? fields.inter : 0;
    array.scaled = fields.type != RGB24 && (array.slope != 1 || array.inter != 0);
    *ret_array = array;
    return 0;
}

/* ---- the affine ---- */

/* The fields that say where voxels lie, and the first dimensions. */
struct placing {
    uint32_t qform, sform;
    double pixdim[4], quaternion[3], offset[3], rows[NIFTI_AFFINE];
};

static void read_placing(const uint8_t *data, const struct fields *fields,
                         struct placing *placing) {
    bool swapped = fields->swapped, two = fields->two;
    size_t each = two ? 8 : 4;
    double (*number)(const uint8_t *at, bool swapped) = two ? get_f64 : get_f32;
    placing->qform = (uint32_t)get(data + (two ? 344 : 252), two ? 4 : 2, swapped);
    placing->sform = (uint32_t)get(data + (two ? 348 : 254), two ? 4 : 2, swapped);
    for (size_t i = 0; i < 4; i++)
        placing->pixdim[i] = number(data + (two ? 104 : 76) + i * each, swapped);
    for (size_t i = 0; i < 3; i++) {
        placing->quaternion[i] = number(data + (two ? 352 : 256) + i * each, swapped);
        placing->offset[i] = number(data + (two ? 376 : 268) + i * each, swapped);
    }
    for (size_t i = 0; i < NIFTI_AFFINE; i++)
        placing->rows[i] = number(data + (two ? 400 : 280) + i * each, swapped);
}

/* The rotation of a unit quaternion whose real part is not stored, times the voxels' size. */
static void from_quaternion(const struct placing *placing, double affine[NIFTI_AFFINE]) {
    double b = placing->quaternion[0], c = placing->quaternion[1], d = placing->quaternion[2];
    double square = 1 - (b * b + c * c + d * d), a = square > 0 ? sqrt(square) : 0;
    double s = 2 / (a * a + b * b + c * c + d * d);
    const double rotation[3][3] = {
        {1 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)},
        {s * (b * c + a * d), 1 - s * (b * b + d * d), s * (c * d - a * b)},
        {s * (b * d - a * c), s * (c * d + a * b), 1 - s * (b * b + c * c)},
    };
    for (size_t r = 0; r < 3; r++) {
        for (size_t k = 0; k < 3; k++)
            affine[4 * r + k] = rotation[r][k] * placing->pixdim[1 + k];
        if (placing->pixdim[0] == -1)
            affine[4 * r + 2] = -affine[4 * r + 2];
        affine[4 * r + 3] = placing->offset[r];
    }
}

static void from_size(const struct placing *placing, const struct fields *fields,
                      double affine[NIFTI_AFFINE]) {
    memset(affine, 0, NIFTI_AFFINE * sizeof(*affine));
    for (size_t r = 0; r < 3; r++) {
        bool there = (int64_t)r < fields->dim[0];
        double side = (r == 0 ? -1 : 1) * (there ? placing->pixdim[1 + r] : 1);
        affine[4 * r + r] = side;
        affine[4 * r + 3] = -side * ((there ? (double)fields->dim[1 + r] : 1) - 1) / 2;
    }
}

int nifti_affine(const uint8_t *data, uint64_t bytes, double ret_affine[NIFTI_AFFINE],
                 struct opiml_error *err) {
    struct fields fields;
    struct placing placing;
    double affine[NIFTI_AFFINE];
    int rc = read_fields(data, bytes, &fields, err);
    if (rc < 0)
        return rc;
    read_placing(data, &fields, &placing);
    if (placing.sform)
        memcpy(affine, placing.rows, sizeof(affine));
    else if (placing.qform)
        from_quaternion(&placing, affine);
    else
        from_size(&placing, &fields, affine);
    for (size_t i = 0; i < NIFTI_AFFINE; i++)
        if (!isfinite(affine[i]))
            return opiml_fail(err, OPIML_ECORRUPT, "the NIfTI header's affine is not of numbers");
    memcpy(ret_affine, affine, sizeof(affine));
    return 0;
}
