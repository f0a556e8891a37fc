#include "dataset/write_columns.h"

#include "base/inflate.h"

#define BUFFER_BYTES KIB(256)
#define NPY_ALIGNMENT 64
#define NPY_LEAD_BYTES 10 /* magic, version, length */

uint64_t write_column_bytes(const struct opiml_field *field, uint64_t rows) {
    return rows * field->max_bytes;
}

int write_columns_begin(struct write_columns *columns, struct opiml_error *err) {
    for (uint32_t i = 0; i < columns->count; i++) {
        struct write_column *column = &columns->at[i];
        column->room = base_min_u64(BUFFER_BYTES, column->bytes);
        column->buffer = base_realloc(NULL, column->room + 1);
        if (!column->buffer)
            return base_fail_memory(err, column->room, "a file's buffer");
    }
    return 0;
}

static int put(struct write_columns *columns, struct write_column *column, const void *data,
               size_t bytes, struct opiml_error *err) {
    int rc = write_file_put(&columns->file, column->offset + column->done, data, bytes, err);
    column->crc = inflate_crc32_more(column->crc, data, bytes);
    column->done += rc == 0 ? bytes : 0;
    return rc;
}

static int flush(struct write_columns *columns, struct write_column *column,
                 struct opiml_error *err) {
    int rc = put(columns, column, column->buffer, column->filled, err);
    column->filled = 0;
    return rc;
}

int write_columns_add(struct write_columns *columns, uint32_t at, const void *data, size_t bytes,
                      struct opiml_error *err) {
    struct write_column *column = &columns->at[at];
    assert(column->done + column->filled + bytes <= column->bytes);
    int rc = column->filled + bytes > column->room ? flush(columns, column, err) : 0;
    if (rc < 0)
        return rc;
    if (bytes > column->room)
        return put(columns, column, data, bytes, err);
    memcpy(column->buffer + column->filled, data, bytes);
    column->filled += bytes;
    return 0;
}

int write_columns_flush(struct write_columns *columns, struct opiml_error *err) {
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < columns->count; i++)
        rc = flush(columns, &columns->at[i], err);
    return rc;
}

void write_columns_release(struct write_columns *columns) {
    for (uint32_t i = 0; i < columns->count; i++)
        base_free(TAKE(columns->at[i].buffer));
    write_file_release(&columns->file);
}

/* ---- NumPy ---- */

static const char *npy_type(uint32_t dtype) {
    static const char *const types[] = {
        [OPIML_U8] = "|u1",  [OPIML_I8] = "|i1",  [OPIML_U16] = "<u2",
        [OPIML_I16] = "<i2", [OPIML_I32] = "<i4", [OPIML_I64] = "<i8",
        [OPIML_F16] = "<f2", [OPIML_F32] = "<f4", [OPIML_F64] = "<f8",
    };
    return dtype < COUNT_OF(types) ? types[dtype] : NULL;
}

bool write_npy_takes(uint32_t dtype) {
    return npy_type(dtype);
}

void write_npy_head(struct text *to, uint32_t dtype, uint32_t ndim, const int64_t *shape,
                    const uint64_t *rows) {
    AUTO_TEXT struct text words = {0};
    uint32_t dims = ndim + (rows != NULL);
    text_printf(&words, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_type(dtype));
    if (rows)
        text_printf(&words, "%" PRIu64 "%s", *rows, dims == 1 ? "," : ndim ? ", " : "");
    for (uint32_t d = 0; d < ndim; d++)
        text_printf(&words, "%" PRId64 "%s", shape[d], dims == 1 ? "," : d + 1 == ndim ? "" : ", ");
    text_add(&words, "), }");
    size_t bytes = base_align_up(NPY_LEAD_BYTES + words.count + 1, NPY_ALIGNMENT) - NPY_LEAD_BYTES;
    const uint8_t lead[NPY_LEAD_BYTES] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)bytes, (uint8_t)(bytes >> 8)};
    text_add_bytes(to, lead, sizeof(lead));
    text_add_bytes(to, words.at, words.count);
    for (size_t i = words.count + 1; i < bytes; i++)
        text_add(to, " ");
    text_add(to, "\n");
    to->failed |= words.failed;
}

int write_choose_rows(struct write_plan *plan, const char *format, uint32_t records, bool *ret_rows,
                      struct opiml_error *err) {
    const struct opiml_field *varying = NULL;
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        if (!write_npy_takes(field->dtype))
            return write_unfit(format, field,
                               "NumPy has no such type; safetensors and tfrecord take it", err);
        if (!opiml_field_fixed(field))
            varying = field;
        else if (field->ndim == OPIML_MAX_DIMS && records == WRITE_RECORDS_AUTO)
            varying = field; /* rows of it would have a dimension too many */
    }
    if (varying && records == WRITE_RECORDS_ROW)
        return write_unfit(format, varying,
                           "its records differ in size, so that they are no rows of an array; set "
                           "records=file",
                           err);
    *ret_rows = records == WRITE_RECORDS_ROW || (records == WRITE_RECORDS_AUTO && !varying);
    plan->loose = !*ret_rows;
    return 0;
}
