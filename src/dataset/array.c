/* Arrays. */
#include "dataset/array.h"

#include "batch/schema.h"

bool array_size(const struct array *array, uint64_t *ret_stored) {
    uint64_t bytes = opiml_dtype_bytes(array->dtype);
    for (uint32_t d = 0; d < array->ndim; d++)
        if (array->shape[d] < 0 || __builtin_mul_overflow(bytes, (uint64_t)array->shape[d], &bytes))
            return false;
    *ret_stored = bytes;
    return bytes <= INT64_MAX;
}

bool array_bytes(const struct array *array, uint64_t *ret_stored, uint64_t *ret_value) {
    uint64_t stored = 0, value;
    if (!array_size(array, &stored) || stored > INT32_MAX)
        return false;
    value = stored / opiml_dtype_bytes(array->dtype) * opiml_dtype_bytes(array_dtype(array));
    if (value > INT32_MAX)
        return false;
    *ret_stored = stored;
    *ret_value = value;
    return true;
}

/* Elements of `each` bytes from the order in which the first dimension varies fastest. */
static void reorder(const struct array *array, const uint8_t *from, uint8_t *to, size_t each) {
    uint64_t stride[OPIML_MAX_DIMS], step = each, at[OPIML_MAX_DIMS] = {0}, offset = 0;
    uint32_t last = array->ndim - 1;
    for (uint32_t d = 0; d < array->ndim; d++) {
        stride[d] = step;
        step *= (uint64_t)array->shape[d];
    }
    if (step == 0)
        return;
    for (;;) {
        for (int64_t i = 0; i < array->shape[last]; i++, to += each)
            memcpy(to, from + offset + (uint64_t)i * stride[last], each);
        uint32_t d = last;
        while (d-- > 0) {
            offset += stride[d];
            if (++at[d] < (uint64_t)array->shape[d])
                break;
            offset -= at[d] * stride[d];
            at[d] = 0;
        }
        if (d == UINT32_MAX)
            return;
    }
}

/* In place or not. */
static void swap(const uint8_t *from, uint8_t *to, uint64_t bytes, size_t each) {
    for (uint64_t i = 0; i < bytes; i += each) {
        if (each == 2) {
            uint16_t x;
            memcpy(&x, from + i, each);
            x = __builtin_bswap16(x);
            memcpy(to + i, &x, each);
        } else if (each == 4) {
            uint32_t x;
            memcpy(&x, from + i, each);
            x = __builtin_bswap32(x);
            memcpy(to + i, &x, each);
        } else if (each == 8) {
            uint64_t x;
            memcpy(&x, from + i, each);
            x = __builtin_bswap64(x);
            memcpy(to + i, &x, each);
        } else {
            to[i] = from[i];
        }
    }
}

/* One element of any type, of this machine's byte order or the other. */
static double element(const uint8_t *at, uint32_t dtype, bool swapped) {
    uint8_t bytes[8];
    size_t each = opiml_dtype_bytes(dtype);
    if (swapped)
        swap(at, bytes, each, each);
    else
        memcpy(bytes, at, each);
#define ELEMENT(OPIML_TYPE, type)                                                                  \
    case OPIML_TYPE: {                                                                             \
        type x;                                                                                    \
        memcpy(&x, bytes, sizeof(x));                                                              \
        return (double)x;                                                                          \
    }
    switch (dtype) {
        ELEMENT(OPIML_U8, uint8_t)
        ELEMENT(OPIML_I8, int8_t)
        ELEMENT(OPIML_U16, uint16_t)
        ELEMENT(OPIML_I16, int16_t)
        ELEMENT(OPIML_I32, int32_t)
        ELEMENT(OPIML_I64, int64_t)
        ELEMENT(OPIML_F32, float)
        ELEMENT(OPIML_F64, double)
    default: return 0;
    }
#undef ELEMENT
}

static void scale(const struct array *array, const uint8_t *from, float *to, uint64_t count) {
    size_t each = opiml_dtype_bytes(array->dtype);
    for (uint64_t i = 0; i < count; i++)
        to[i] = (float)(element(from + i * each, array->dtype, array->swapped) * array->slope +
                        array->inter);
}

static void unshuffle(const uint8_t *from, uint8_t *to, uint64_t count, size_t each) {
    for (size_t b = 0; b < each; b++)
        for (uint64_t i = 0; i < count; i++)
            to[i * each + b] = from[b * count + i];
}

static void convert(const struct array *array, const uint8_t *data, uint64_t stored,
                    uint8_t *room) {
    size_t each = opiml_dtype_bytes(array->dtype);
    if (array->scaled) {
        scale(array, data, (float *)(void *)room, stored / each);
        return;
    }
    if (array->shuffled)
        unshuffle(data, room, stored / each, each);
    else if (array->fortran && array->ndim > 1)
        reorder(array, data, room, each);
    else
        memcpy(room, data, stored);
    if (array->swapped)
        swap(room, room, stored, each);
}

int array_value(const struct array *array, const struct opiml_field *field, const uint8_t *data,
                uint64_t bytes, uint8_t *room, struct opiml_value *ret_value,
                struct opiml_error *err) {
    uint64_t stored, value;
    if (!array_bytes(array, &stored, &value))
        return opiml_fail(err, OPIML_ELIMIT, "an array of more than 2 GiB");
    if (array_dtype(array) != field->dtype || array->ndim != field->ndim ||
        !schema_field_holds(field, array->shape, value))
        return opiml_fail(err, OPIML_ESTALE, "an array of another type or shape than was indexed");
    if (bytes < stored)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "%" PRIu64 " bytes of elements, and fewer are there: it is cut short",
                          stored);
    *ret_value = (struct opiml_value){.data = (uint8_t *)data, .bytes = value};
    memcpy(ret_value->shape, array->shape, sizeof(ret_value->shape));
    if (array_is_plain(array) && (uintptr_t)data % opiml_dtype_bytes(array->dtype) == 0)
        return 0;
    if (!room)
        return opiml_fail(err, OPIML_ESTALE, "stored in another way than was indexed");
    convert(array, data, stored, room);
    ret_value->data = room;
    return 0;
}
