/* Fields, schemas and values: what a record, a sample and a batch are made of. */
#ifndef OPIML_BATCH_H
#define OPIML_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <opiml/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OPIML_MAX_DIMS 5    /* dimensions of one row of a field, the batch dimension not counted */
#define OPIML_MAX_FIELDS 64 /* fields of a record */
#define OPIML_NAME_BYTES 48 /* a field's name with its closing zero */

/* X(name, number, bytes per element, text) */
#define OPIML_DTYPE_LIST(X)                                                                        \
    X(U8, 1, 1, "u8")                                                                              \
    X(I8, 2, 1, "i8")                                                                              \
    X(U16, 3, 2, "u16")                                                                            \
    X(I16, 4, 2, "i16")                                                                            \
    X(I32, 5, 4, "i32")                                                                            \
    X(I64, 6, 8, "i64")                                                                            \
    X(F16, 7, 2, "f16")                                                                            \
    X(BF16, 8, 2, "bf16")                                                                          \
    X(F32, 9, 4, "f32")                                                                            \
    X(F64, 10, 8, "f64")

enum opiml_dtype {
#define OPIML_X(name, number, bytes, text) OPIML_##name = (number),
    OPIML_DTYPE_LIST(OPIML_X)
#undef OPIML_X
};

/* Bytes of one element, 0 for an unknown dtype. */
OPIML_API size_t opiml_dtype_bytes(uint32_t dtype);
/* "f32"; "?" for an unknown dtype. */
OPIML_API const char *opiml_dtype_text(uint32_t dtype);
/* The dtype of a text such as "f32", 0 when there is none. */
OPIML_API uint32_t opiml_dtype_parse(const char *text);

/* One named, typed column. Elements are little-endian and dense in C order. Text and encoded files
 * are u8 with one varying dimension. A scalar has ndim 0. */
struct opiml_field {
    char name[OPIML_NAME_BYTES];
    uint32_t dtype;
    uint32_t ndim;
    int64_t shape[OPIML_MAX_DIMS]; /* elements; -1 varies from row to row */
    uint64_t max_bytes;            /* most bytes of one row; exact when no dimension varies */
};

struct opiml_schema {
    uint32_t count;
    struct opiml_field fields[OPIML_MAX_FIELDS];
};

/* The index of a field by name, -1 when there is none. */
OPIML_API int opiml_schema_find(const struct opiml_schema *schema, const char *name);
/* Append a field; shape is read for ndim entries; max_bytes is computed when no dimension varies
 * and taken from the argument otherwise. OPIML_EINVAL for a bad or taken name or shape,
 * OPIML_ELIMIT when the schema is full. */
OPIML_API int opiml_schema_add(struct opiml_schema *schema, const char *name, uint32_t dtype,
                               uint32_t ndim, const int64_t *shape, uint64_t max_bytes,
                               struct opiml_error *err);
/* 1 when no dimension of the field varies. */
OPIML_API int opiml_field_fixed(const struct opiml_field *field);

/* One row of one field. `data` is borrowed: from the read buffer, a scratch buffer or the batch. */
struct opiml_value {
    uint8_t *data;
    uint64_t bytes;                /* in use */
    uint64_t capacity;             /* may be written, for outputs; 0 for inputs */
    int64_t shape[OPIML_MAX_DIMS]; /* this row's, ndim entries */
};

/* What became of a row. Holes keep their place: they are marked, never refilled. */
enum opiml_row_status {
    OPIML_ROW_EMPTY = 0, /* not filled yet; never delivered */
    OPIML_ROW_OK = 1,
    OPIML_ROW_DROPPED = 2, /* a filter said no */
    OPIML_ROW_FAILED = 3,  /* a bad record; see the feed's error list */
};

#ifdef __cplusplus
}
#endif
#endif
