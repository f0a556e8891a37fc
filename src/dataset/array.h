/* Arrays in files: what a header says of one, and how its elements become a value. */
#ifndef DATASET_ARRAY_H
#define DATASET_ARRAY_H

#include <opiml/op.h>

#include "base/base.h"

struct array {
    uint32_t dtype, ndim; /* of the elements as they are stored */
    int64_t shape[OPIML_MAX_DIMS];
    uint64_t offset;     /* of the first element, from where the header begins */
    bool swapped;        /* big-endian */
    bool fortran;        /* the first dimension varies fastest */
    bool shuffled;       /* first bytes of all elements, then second ones, and so on */
    bool scaled;         /* a value is f32: element × slope + intercept */
    double slope, inter; /* intercept */
};

/* Of the value that array_value makes. */
static inline uint32_t array_dtype(const struct array *array) {
    return array->scaled ? OPIML_F32 : array->dtype;
}
/* Bytes of the elements as they are stored; false for an impossible shape. */
bool array_size(const struct array *array, uint64_t *ret_stored);
/* Bytes of the elements as they are stored, and of the value; false when they are more than 2 GiB
 * or a dimension is negative. */
bool array_bytes(const struct array *array, uint64_t *ret_stored, uint64_t *ret_value);
/* Whether the value is the elements as they are stored. */
static inline bool array_is_plain(const struct array *array) {
    return !array->swapped && !array->scaled && !array->shuffled &&
           (!array->fortran || array->ndim < 2);
}
/* The value of elements at `data`, of which `bytes` are there: borrowed where they are plain and
 * aligned, else made in `room` (64-byte aligned, as many bytes as the value has; NULL: none, which
 * is OPIML_ESTALE). OPIML_ECORRUPT for elements that are missing or that the field cannot hold. */
int array_value(const struct array *array, const struct opiml_field *field, const uint8_t *data,
                uint64_t bytes, uint8_t *room, struct opiml_value *ret_value,
                struct opiml_error *err);

#endif
