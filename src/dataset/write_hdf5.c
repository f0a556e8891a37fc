/* HDF5 files (see hdf5.h): a dataset for each field, whose rows are a shard's records. libhdf5
 * makes the file; bytes of contiguous datasets are written as all others are, and chunks, of one
 * row each, are compressed here, so that its lock is held for as little as can be. */
#include "base/deflate.h"
#include "dataset/hdf5.h"
#include "dataset/write_columns.h"

#define CHUNK_BYTES_LEAST 64 /* rows of fewer bytes are not worth a chunk each */

struct hdf5_options {
    uint32_t deflate;
    bool shuffle;
};

static const struct opiml_param hdf5_options[] = {
    {"deflate", "0", "Compress rows, from 1 (fast) to 3 (dense); 0: not",
     offsetof(struct hdf5_options, deflate), OPIML_PARAM_U32, NULL, 0, DEFLATE_LEVEL_MAX},
    {"shuffle", "true", "Sort the bytes of what is compressed by their place in a number",
     offsetof(struct hdf5_options, shuffle), OPIML_PARAM_BOOL},
    {NULL},
};

struct hdf5_shard {
    const struct opiml_schema *schema;
    const struct hdf5_options *options;
    struct hdf5 *hdf5;
    struct hdf5_column described[OPIML_MAX_FIELDS];
    struct write_columns columns;     /* of the contiguous ones */
    uint32_t place[OPIML_MAX_FIELDS]; /* of a field among them */
    uint64_t row;
    uint8_t *shuffled, *packed;
    uint64_t most; /* bytes of the largest row in chunks */
};

static int hdf5_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        if (!opiml_field_fixed(field) || field->ndim == OPIML_MAX_DIMS)
            return write_unfit_of("hdf5", plan->schema, field,
                                  "records of one size, of at most 4 dimensions, are wanted, as "
                                  "rows of a dataset; npz takes others",
                                  err);
        if (field->dtype == OPIML_BF16)
            return write_unfit("hdf5", field,
                               "HDF5 has no such type; safetensors and tfrecord take it", err);
        if (field->name[0] == '/' || text_ends(field->name, "/") || strstr(field->name, "//") ||
            strcmp(field->name, ".") == 0 || strstr(field->name, "./"))
            return write_unfit("hdf5", field,
                               "its name is no path of groups; rename it with --fields new=old",
                               err);
    }
    return plan->schema->count > OPIML_LIST_MAX
               ? opiml_fail(err, OPIML_EINVAL, "format hdf5: %u fields; there are at most %d",
                            plan->schema->count, OPIML_LIST_MAX)
               : 0;
}

static void describe_columns(struct hdf5_shard *self) {
    for (uint32_t i = 0; i < self->schema->count; i++) {
        const struct opiml_field *field = &self->schema->fields[i];
        bool chunked = self->options->deflate && field->max_bytes >= CHUNK_BYTES_LEAST;
        bool shuffle = self->options->shuffle && opiml_dtype_bytes(field->dtype) > 1;
        self->described[i] = (struct hdf5_column){
            .name = field->name,
            .dtype = field->dtype,
            .ndim = field->ndim,
            .shape = field->shape,
            .chunked = chunked,
            .filters = chunked ? HDF5_DEFLATE | (shuffle ? HDF5_SHUFFLE : 0) : 0};
        if (chunked)
            self->most = base_max_u64(self->most, field->max_bytes);
    }
}

static int hdf5_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct hdf5_shard *self = state;
    struct opiml_error why;
    self->schema = shard->plan->schema;
    self->options = shard->plan->params;
    AUTO_FREE char *path = write_shard_path(shard, ".h5");
    int rc =
        path ? write_file_open(&self->columns.file, path, err) : base_fail_memory(err, 0, "a path");
    if (rc < 0)
        return rc;
    describe_columns(self);
    rc = hdf5_create(self->columns.file.partial, self->described, self->schema->count, shard->count,
                     &self->hdf5, &why);
    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", path, why.message);
    for (uint32_t i = 0; i < self->schema->count; i++) {
        struct write_column *column = &self->columns.at[self->columns.count];
        if (self->described[i].chunked)
            continue;
        column->offset = self->described[i].offset;
        column->bytes = write_column_bytes(&self->schema->fields[i], shard->count);
        self->place[i] = self->columns.count++;
    }
    self->shuffled = base_realloc(NULL, self->most + 1);
    self->packed = base_realloc(NULL, deflate_bound(self->most));
    if (!self->shuffled || !self->packed)
        return base_fail_memory(err, self->most, "a compressed row");
    return write_columns_begin(&self->columns, err);
}

static int put_row(struct hdf5_shard *self, uint32_t i, const struct opiml_value *value,
                   struct opiml_error *err) {
    size_t each = opiml_dtype_bytes(self->schema->fields[i].dtype);
    uint64_t count = value->bytes / each;
    struct deflate_piece piece = {value->data, value->bytes};
    if (self->described[i].filters & HDF5_SHUFFLE) {
        for (size_t b = 0; b < each; b++)
            for (uint64_t n = 0; n < count; n++)
                self->shuffled[b * count + n] = value->data[n * each + b];
        piece.data = self->shuffled;
    }
    int64_t got = deflate_all(INFLATE_ZLIB, self->options->deflate, &piece, 1, self->packed,
                              deflate_bound(self->most), err);
    return got < 0 ? (int)got
                   : hdf5_put_row(self->hdf5, i, self->row, self->packed, (size_t)got, err);
}

static int hdf5_append(void *state, uint64_t record, const struct opiml_value *values,
                       struct opiml_error *err) {
    struct hdf5_shard *self = state;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < self->schema->count; i++)
        rc = self->described[i].chunked ? put_row(self, i, &values[i], err)
                                        : write_columns_add(&self->columns, self->place[i],
                                                            values[i].data, values[i].bytes, err);
    self->row++;
    return rc;
}

/* The library writes what it has, and cuts the file where it thinks that it ends: then our bytes.
 */
static int hdf5_finish_shard(void *state, struct opiml_error *err) {
    struct hdf5_shard *self = state;
    struct opiml_error why;
    int rc = hdf5_finish(TAKE(self->hdf5), &why);
    if (rc < 0)
        return opiml_fail(err, rc, "%s: %s", self->columns.file.path, why.message);
    rc = write_columns_flush(&self->columns, err);
    return rc < 0 ? rc : write_file_commit(&self->columns.file, true, err);
}

static void hdf5_release(void *state) {
    struct hdf5_shard *self = state;
    struct opiml_error ignored;
    if (self->hdf5)
        hdf5_finish(self->hdf5, &ignored);
    base_free(self->shuffled);
    base_free(self->packed);
    write_columns_release(&self->columns);
}

const struct writer writer_hdf5 = {
    .name = "hdf5",
    .help = "HDF5 files, a dataset for each field, with records as rows",
    .params = hdf5_options,
    .params_bytes = sizeof(struct hdf5_options),
    .state_bytes = sizeof(struct hdf5_shard),
    .check = hdf5_check,
    .describe = write_describe_names,
    .begin = hdf5_begin,
    .append = hdf5_append,
    .finish = hdf5_finish_shard,
    .release = hdf5_release,
};
