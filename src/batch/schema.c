/* Data types, fields and schemas. */
#include "batch/schema.h"

static const struct {
    size_t bytes;
    const char *text;
} dtypes[] = {
#define OPIML_X(name, number, bytes, text) [number] = {bytes, text},
    OPIML_DTYPE_LIST(OPIML_X)
#undef OPIML_X
};

size_t opiml_dtype_bytes(uint32_t dtype) {
    return dtype < COUNT_OF(dtypes) ? dtypes[dtype].bytes : 0;
}

const char *opiml_dtype_text(uint32_t dtype) {
    return dtype < COUNT_OF(dtypes) && dtypes[dtype].text ? dtypes[dtype].text : "?";
}

uint32_t opiml_dtype_parse(const char *text) {
    for (uint32_t i = 1; i < COUNT_OF(dtypes); i++)
        if (strcmp(dtypes[i].text, text) == 0)
            return i;
    return 0;
}

int opiml_schema_find(const struct opiml_schema *schema, const char *name) {
    for (uint32_t i = 0; i < schema->count; i++)
        if (strcmp(schema->fields[i].name, name) == 0)
            return (int)i;
    return -1;
}

int opiml_field_fixed(const struct opiml_field *field) {
    for (uint32_t d = 0; d < field->ndim; d++)
        if (field->shape[d] < 0)
            return 0;
    return 1;
}

static bool is_name(const char *name) {
    const char *at = name;

    while ((unsigned char)*at >= ' ' && *at != 0x7f)
        at++;
    return at > name && *at == 0;
}

/* Bytes of a row, its varying dimensions not counted; false when they overflow or a dimension is
 * impossible. */
static bool row_bytes(const struct opiml_field *field, uint64_t *ret_bytes) {
    uint64_t bytes = opiml_dtype_bytes(field->dtype);

    for (uint32_t d = 0; d < field->ndim; d++) {
        if (field->shape[d] < -1)
            return false;
        if (field->shape[d] >= 0 &&
            (__builtin_mul_overflow(bytes, (uint64_t)field->shape[d], &bytes) || bytes > INT64_MAX))
            return false;
    }
    *ret_bytes = bytes;
    return true;
}

int opiml_schema_add(struct opiml_schema *schema, const char *name, uint32_t dtype, uint32_t ndim,
                     const int64_t *shape, uint64_t max_bytes, struct opiml_error *err) {
    struct opiml_field field = {.dtype = dtype, .ndim = ndim};
    size_t length = strlen(name);
    uint64_t bytes;

    if (schema->count == OPIML_MAX_FIELDS)
        return opiml_fail(err, OPIML_ELIMIT, "more than %d fields", OPIML_MAX_FIELDS);
    if (length >= sizeof(field.name) || !is_name(name))
        return opiml_fail(err, OPIML_EINVAL,
                          "\"%.60s\" is no field name: 1 to %zu bytes without control characters",
                          name, sizeof(field.name) - 1);
    if (opiml_schema_find(schema, name) >= 0)
        return opiml_fail(err, OPIML_EINVAL, "two fields are named \"%s\"", name);
    if (opiml_dtype_bytes(dtype) == 0 || ndim > OPIML_MAX_DIMS)
        return opiml_fail(err, OPIML_EINVAL, "field \"%s\": no dtype %u with %u dimensions", name,
                          dtype, ndim);
    memcpy(field.name, name, length);
    for (uint32_t d = 0; d < ndim; d++)
        field.shape[d] = shape[d];
    if (!row_bytes(&field, &bytes))
        return opiml_fail(err, OPIML_EINVAL, "field \"%s\": impossible shape", name);
    field.max_bytes = opiml_field_fixed(&field) ? bytes : max_bytes;
    schema->fields[schema->count++] = field;
    return 0;
}

bool schema_field_holds(const struct opiml_field *field, const int64_t *shape, uint64_t bytes) {
    uint64_t expected = opiml_dtype_bytes(field->dtype);

    for (uint32_t d = 0; d < field->ndim; d++)
        if (shape[d] < 0 || (field->shape[d] >= 0 && field->shape[d] != shape[d]) ||
            __builtin_mul_overflow(expected, (uint64_t)shape[d], &expected))
            return false;
    return expected == bytes && bytes <= field->max_bytes;
}

int64_t schema_read_int(uint32_t dtype, const uint8_t *at) {
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        int64_t i64;
    } x;

    assert(schema_is_int(dtype));
    memcpy(&x, at, opiml_dtype_bytes(dtype));
    switch (dtype) {
    case OPIML_U8: return x.u8;
    case OPIML_I8: return x.i8;
    case OPIML_U16: return x.u16;
    case OPIML_I16: return x.i16;
    case OPIML_I32: return x.i32;
    default: return x.i64;
    }
}
