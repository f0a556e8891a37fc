/* A file of several arrays, one behind the other, whose rows come together: each array has a buffer
 * of its own, and its bytes go where they belong. */
#ifndef DATASET_WRITE_COLUMNS_H
#define DATASET_WRITE_COLUMNS_H

#include "dataset/write_file.h"
#include "dataset/writer.h"

struct write_column {
    uint64_t offset, bytes; /* where it lies in the file; set by whoever lays the file out */
    uint64_t done;          /* written so far, and in the buffer behind it */
    uint32_t crc;           /* CRC-32 of it */
    uint8_t *buffer;
    size_t filled, room;
};

struct write_columns {
    struct write_file file;
    uint32_t count;
    struct write_column at[OPIML_MAX_FIELDS];
};

/* Bytes of a field's rows, all of the same size. */
uint64_t write_column_bytes(const struct opiml_field *field, uint64_t rows);
/* Make the buffers, once file, count, offsets and bytes are set. */
int write_columns_begin(struct write_columns *columns, struct opiml_error *err);
/* More of a column, at most `bytes` in all. */
int write_columns_add(struct write_columns *columns, uint32_t column, const void *data,
                      size_t bytes, struct opiml_error *err);
int write_columns_flush(struct write_columns *columns, struct opiml_error *err);
void write_columns_release(struct write_columns *columns);

/* The header of a .npy file (version 1.0) of an array: `rows` before the shape, unless it is NULL;
 * padded so that data begin at a multiple of 64 bytes. */
void write_npy_head(struct text *to, uint32_t dtype, uint32_t ndim, const int64_t *shape,
                    const uint64_t *rows);
/* Whether NumPy has such a type. */
bool write_npy_takes(uint32_t dtype);

enum { WRITE_RECORDS_AUTO, WRITE_RECORDS_ROW, WRITE_RECORDS_FILE };
/* What a record is, by the option `records`: a row, where no field varies. OPIML_EINVAL names a
 * field that does, or that NumPy has no type for. */
int write_choose_rows(struct write_plan *plan, const char *format, uint32_t records, bool *ret_rows,
                      struct opiml_error *err);

#endif
