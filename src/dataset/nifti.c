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
        return opiml_fail(err, OPIML_ECORRUPT, "no NIfTI file: its header has another size");
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
