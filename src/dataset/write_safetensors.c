/* Safetensors files (see format_safetensors.c): a tensor for each field, whose rows are a shard's
 * records. */
#include "dataset/write_columns.h"

#define HEADER_ALIGNMENT 8

struct safetensors {
    const struct opiml_schema *schema;
    struct write_columns columns;
};

static int safetensors_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        if (!opiml_field_fixed(field) || field->ndim == OPIML_MAX_DIMS)
            return write_unfit_of("safetensors", plan->schema, field,
                                  "records of one size, of at most 4 dimensions, are wanted, as "
                                  "rows of a tensor; npz takes others",
                                  err);
        if (strcmp(field->name, "__metadata__") == 0)
            return write_unfit("safetensors", field,
                               "that name means something else; rename it with --fields new=old",
                               err);
    }
    return plan->schema->count > OPIML_LIST_MAX
               ? opiml_fail(err, OPIML_EINVAL,
                            "format safetensors: %u fields; there are at most %d",
                            plan->schema->count, OPIML_LIST_MAX)
               : 0;
}

static void safetensors_describe(const struct write_plan *plan, struct text *to) {
    text_add(to, ", records: row");
    write_describe_names(plan, to);
}

static const char *type_text(uint32_t dtype) {
    static const char *const types[] = {
        [OPIML_U8] = "U8",   [OPIML_I8] = "I8",   [OPIML_U16] = "U16", [OPIML_I16] = "I16",
        [OPIML_I32] = "I32", [OPIML_I64] = "I64", [OPIML_F16] = "F16", [OPIML_BF16] = "BF16",
        [OPIML_F32] = "F32", [OPIML_F64] = "F64",
    };
    return types[dtype];
}

/* The JSON, filled up with blanks; columns' offsets are within the data. */
static void make_header(struct safetensors *self, uint64_t rows, struct text *to) {
    uint64_t offset = 0;
    text_add(to, "{");
    for (uint32_t i = 0; i < self->schema->count; i++) {
        const struct opiml_field *field = &self->schema->fields[i];
        struct write_column *column = &self->columns.at[i];
        column->offset = offset;
        column->bytes = write_column_bytes(field, rows);
        offset += column->bytes;
        text_add(to, i ? "," : "");
        write_quoted(to, field->name);
        text_printf(to, ":{\"dtype\":\"%s\",\"shape\":[%" PRIu64, type_text(field->dtype), rows);
        for (uint32_t d = 0; d < field->ndim; d++)
            text_printf(to, ",%" PRId64, field->shape[d]);
        text_printf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", column->offset, offset);
    }
    text_add(to, "}");
    while (to->count % HEADER_ALIGNMENT && !to->failed)
        text_add(to, " ");
}

static int safetensors_begin(void *state, const struct write_shard *shard,
                             struct opiml_error *err) {
    struct safetensors *self = state;
    AUTO_FREE char *path = write_shard_path(shard, ".safetensors");
    AUTO_TEXT struct text header = {0};
    self->schema = shard->plan->schema;
    make_header(self, shard->count, &header);
    if (!path || header.failed)
        return base_fail_memory(err, header.count, "a header");
    uint64_t length = header.count;
    for (uint32_t i = 0; i < self->schema->count; i++)
        self->columns.at[i].offset += sizeof(length) + length;
    self->columns.count = self->schema->count;
    int rc = write_file_open(&self->columns.file, path, err);
    if (rc == 0)
        rc = write_file_add(&self->columns.file, &length, sizeof(length), err);
    if (rc == 0)
        rc = write_file_add(&self->columns.file, header.at, header.count, err);
    return rc < 0 ? rc : write_columns_begin(&self->columns, err);
}

static int safetensors_append(void *state, uint64_t record, const struct opiml_value *values,
                              struct opiml_error *err) {
    struct safetensors *self = state;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < self->columns.count; i++)
        rc = write_columns_add(&self->columns, i, values[i].data, values[i].bytes, err);
    return rc;
}

static int safetensors_finish(void *state, struct opiml_error *err) {
    struct safetensors *self = state;
    int rc = write_columns_flush(&self->columns, err);
    return rc < 0 ? rc : write_file_commit(&self->columns.file, true, err);
}

static void safetensors_release(void *state) {
    struct safetensors *self = state;
    write_columns_release(&self->columns);
}

const struct writer writer_safetensors = {
    .name = "safetensors",
    .help = "Safetensors files, a tensor for each field, with records as rows",
    .state_bytes = sizeof(struct safetensors),
    .check = safetensors_check,
    .describe = safetensors_describe,
    .begin = safetensors_begin,
    .append = safetensors_append,
    .finish = safetensors_finish,
    .release = safetensors_release,
};
