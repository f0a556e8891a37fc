/* cast: another element type, scaled if asked for. */
#include "base/base.h"
#include "op/field.h"
#include "op/half.h"

#define CHUNK 256 /* elements held as doubles at once */

struct params {
    char field[OPIML_TEXT_MAX];
    uint32_t to;
    double scale;
    /* derived */
    uint32_t index, dtype;
};

/* In the order of enum opiml_dtype, which starts at 1. */
#define DTYPES "u8|i8|u16|i16|i32|i64|f16|bf16|f32|f64"

static const struct opiml_param rows[] = {
    OP_FIELD_PARAM(struct params, "image"),
    {"to", NULL, "Type of the result", offsetof(struct params, to), OPIML_PARAM_CHOICE, DTYPES, 0,
     0},
    {"scale", "1", "Multiply by this before the conversion", offsetof(struct params, scale),
     OPIML_PARAM_F64, NULL, -1e30, 1e30},
    {0},
};

static int check(void *params, const struct opiml_schema *in, struct opiml_op_shape *shape,
                 struct opiml_error *err) {
    struct params *p = params;
    const struct opiml_field *field;
    struct opiml_field *out;
    int rc = op_field_find(in, "field", p->field, &p->index, err);

    if (rc < 0)
        return rc;
    if (!(p->scale > -1e31 && p->scale < 1e31))
        return opiml_fail(err, OPIML_EINVAL, "scale: %g is no usable number", p->scale);
    field = &in->fields[p->index];
    p->dtype = p->to + 1;
    if (p->dtype == field->dtype && p->scale == 1)
        return 0; /* passed on */
    out = &shape->out.fields[p->index];
    out->dtype = p->dtype;
    out->max_bytes =
        field->max_bytes / opiml_dtype_bytes(field->dtype) * opiml_dtype_bytes(p->dtype);
    shape->from[p->index] = OPIML_OP_NEW;
    return 0;
}

/* ---- floats and scaled integers: by way of doubles ---- */

/* A record's fields need not be aligned. */
#define LOAD(type, convert)                                                                        \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
                                                                                                   \
        memcpy(&x, from + i * sizeof(x), sizeof(x));                                               \
        to[i] = convert(x);                                                                        \
    }                                                                                              \
    break

static void load(uint32_t dtype, const uint8_t *from, size_t n, double *to) {
    switch (dtype) {
    case OPIML_U8: LOAD(uint8_t, (double));
    case OPIML_I8: LOAD(int8_t, (double));
    case OPIML_U16: LOAD(uint16_t, (double));
    case OPIML_I16: LOAD(int16_t, (double));
    case OPIML_I32: LOAD(int32_t, (double));
    case OPIML_I64: LOAD(int64_t, (double));
    case OPIML_F32: LOAD(float, (double));
    case OPIML_F64: LOAD(double, (double));
    case OPIML_F16: LOAD(uint16_t, half_to_f32);
    case OPIML_BF16: LOAD(uint16_t, bf16_to_f32);
    }
}

/* To the nearest whole number, ties to even. Past 2^52 every double is whole; below, adding 2^52
 * makes the processor round. */
static double round_even(double x) {
    const double big = 4503599627370496.0;

    if (!(x > -big && x < big))
        return x;
    return x < 0 ? (x - big) + big : (x + big) - big;
}

/* Clamped to the type's range, a NaN gives 0. `above` is the first double past the range. */
#define STORE(type, least, most, above)                                                            \
    for (size_t i = 0; i < n; i++) {                                                               \
        double x = round_even(from[i]);                                                            \
                                                                                                   \
        ((type *)to)[at + i] = x != x                ? 0                                           \
                               : x >= (above)        ? (type)(most)                                \
                               : x < (double)(least) ? (type)(least)                               \
                                                     : (type)x;                                    \
    }                                                                                              \
    break

static void store(uint32_t dtype, void *to, size_t at, size_t n, const double *from) {
    switch (dtype) {
    case OPIML_U8: STORE(uint8_t, 0, UINT8_MAX, 256.0);
    case OPIML_I8: STORE(int8_t, INT8_MIN, INT8_MAX, 128.0);
    case OPIML_U16: STORE(uint16_t, 0, UINT16_MAX, 65536.0);
    case OPIML_I16: STORE(int16_t, INT16_MIN, INT16_MAX, 32768.0);
    case OPIML_I32: STORE(int32_t, INT32_MIN, INT32_MAX, 2147483648.0);
    case OPIML_I64: STORE(int64_t, INT64_MIN, INT64_MAX, 9223372036854775808.0);
    case OPIML_F16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[at + i] = half_from_f64(from[i]);
        break;
    case OPIML_BF16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[at + i] = bf16_from_f64(from[i]);
        break;
    case OPIML_F32:
        for (size_t i = 0; i < n; i++)
            ((float *)to)[at + i] = half_clean_nan((float)from[i]);
        break;
    case OPIML_F64:
        for (size_t i = 0; i < n; i++) {
            uint64_t nan = UINT64_C(0x7FF8) << 48;

            memcpy((double *)to + at + i, from[i] == from[i] ? (const void *)&from[i] : &nan, 8);
        }
        break;
    }
}

/* ---- integers to integers without scale: exact, clamped ---- */

static bool is_integer(uint32_t dtype) {
    return dtype <= OPIML_I64;
}

static void load_whole(uint32_t dtype, const uint8_t *from, size_t n, int64_t *to) {
    switch (dtype) {
    case OPIML_U8: LOAD(uint8_t, (int64_t));
    case OPIML_I8: LOAD(int8_t, (int64_t));
    case OPIML_U16: LOAD(uint16_t, (int64_t));
    case OPIML_I16: LOAD(int16_t, (int64_t));
    case OPIML_I32: LOAD(int32_t, (int64_t));
    case OPIML_I64: LOAD(int64_t, (int64_t));
    }
}

#define STORE_WHOLE(type, least, most)                                                             \
    for (size_t i = 0; i < n; i++)                                                                 \
        ((type *)to)[at + i] = (type)(from[i] < (least)  ? (least)                                 \
                                      : from[i] > (most) ? (most)                                  \
                                                         : from[i]);                               \
    break

static void store_whole(uint32_t dtype, void *to, size_t at, size_t n, const int64_t *from) {
    switch (dtype) {
    case OPIML_U8: STORE_WHOLE(uint8_t, 0, UINT8_MAX);
    case OPIML_I8: STORE_WHOLE(int8_t, INT8_MIN, INT8_MAX);
    case OPIML_U16: STORE_WHOLE(uint16_t, 0, UINT16_MAX);
    case OPIML_I16: STORE_WHOLE(int16_t, INT16_MIN, INT16_MAX);
    case OPIML_I32: STORE_WHOLE(int32_t, INT32_MIN, INT32_MAX);
    case OPIML_I64: memcpy((int64_t *)to + at, from, n * sizeof(*from)); break;
    }
}

/* ---- a row, by chunks ---- */

static void chunk_whole(const struct params *p, uint32_t from, const uint8_t *data, size_t at,
                        size_t n, void *out) {
    int64_t some[CHUNK] = {0};

    load_whole(from, data, n, some);
    store_whole(p->dtype, out, at, n, some);
}

static void chunk(const struct params *p, uint32_t from, const uint8_t *data, size_t at, size_t n,
                  void *out) {
    double some[CHUNK] = {0};

    load(from, data, n, some);
    for (size_t i = 0; i < n; i++)
        some[i] *= p->scale;
    store(p->dtype, out, at, n, some);
}

static int run(struct opiml_op_call *call, struct opiml_error *err) {
    const struct params *p = call->params;
    const struct opiml_value *in = &call->in[p->index];
    struct opiml_value *out = &call->out[p->index];
    uint32_t from = call->in_schema->fields[p->index].dtype;
    size_t count = in->bytes / opiml_dtype_bytes(from);
    bool exact = p->scale == 1 && is_integer(from) && is_integer(p->dtype);

    (void)err;
    if (call->shape->from[p->index] != OPIML_OP_NEW)
        return 0;
    for (size_t at = 0; at < count; at += CHUNK) {
        const uint8_t *data = in->data + at * opiml_dtype_bytes(from);
        size_t n = base_min_u64(CHUNK, count - at);

        if (exact)
            chunk_whole(p, from, data, at, n, out->data);
        else
            chunk(p, from, data, at, n, out->data);
    }
    memcpy(out->shape, in->shape, sizeof(out->shape));
    out->bytes = count * opiml_dtype_bytes(p->dtype);
    return 0;
}

const struct opiml_op op_cast = {
    .size = sizeof(struct opiml_op),
    .abi = OPIML_OP_ABI,
    .version = 1,
    .name = "cast",
    .help = "Convert a field to another element type",
    .about =
        "Whole numbers to whole numbers without scale: exact, clamped to the type's range. "
        "All else goes through f64: x × scale is rounded there, then once more to the type, to "
        "nearest even; whole numbers are clamped and a NaN gives 0; floats become infinite "
        "past their range and a NaN the positive quiet NaN. A field that has the type already "
        "is passed on untouched where there is no scale.",
    .params = rows,
    .params_bytes = sizeof(struct params),
    .check = check,
    .run = run,
};
