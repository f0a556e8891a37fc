/* JSON lines (see format_jsonl.c): fields are members in their order. Bytes of varying length that
 * are UTF-8 become a text, others a list of numbers; both read back as the same bytes. */
#include "dataset/write_file.h"
#include "dataset/write_number.h"
#include "dataset/writer.h"

#define ROW_BYTES_MAX MIB(16) /* that reading takes */

struct jsonl {
    const struct opiml_schema *schema;
    struct write_file file;
    struct text row;
};

static int jsonl_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        if (field->dtype == OPIML_F16 || field->dtype == OPIML_BF16)
            return write_unfit("jsonl", field,
                               "it is not read from text; tfrecord and safetensors take it", err);
        if (strpbrk(field->name, "\"\\")) /* reading compares keys as they stand in the file */
            return write_unfit("jsonl", field,
                               "its name has a quote or a backslash; rename it with --fields "
                               "new=old",
                               err);
    }
    return write_check_fields(plan->schema, "jsonl", false, err);
}

static int jsonl_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct jsonl *jsonl = state;
    jsonl->schema = shard->plan->schema;
    AUTO_FREE char *path = write_shard_path(shard, ".jsonl");
    return path ? write_file_open(&jsonl->file, path, err) : base_fail_memory(err, 0, "a path");
}

/* Characters that need no escape go in runs. */
static void add_text(struct text *to, const uint8_t *at, uint64_t bytes) {
    uint64_t first = 0;
    text_add(to, "\"");
    for (uint64_t i = 0; i < bytes; i++) {
        if (at[i] >= 0x20 && at[i] != '"' && at[i] != '\\' && at[i] != 0x7f)
            continue;
        text_add_bytes(to, at + first, i - first);
        first = i + 1;
        if (at[i] == '"' || at[i] == '\\')
            text_printf(to, "\\%c", at[i]);
        else
            text_printf(to, "\\u%04x", at[i]);
    }
    text_add_bytes(to, at + first, bytes - first);
    text_add(to, "\"");
}

/* Numbers of the dimensions from d on; *at moves on. */
static void add_numbers(struct text *to, const struct opiml_field *field, const int64_t *shape,
                        uint32_t d, const uint8_t **at) {
    if (d == field->ndim) {
        write_number(to, field->dtype, *at);
        *at += opiml_dtype_bytes(field->dtype);
        return;
    }
    text_add(to, "[");
    for (int64_t i = 0; i < shape[d]; i++) {
        text_add(to, i ? "," : "");
        add_numbers(to, field, shape, d + 1, at);
    }
    text_add(to, "]");
}

static int add_member(struct jsonl *jsonl, const struct opiml_field *field,
                      const struct opiml_value *value, struct opiml_error *err) {
    const uint8_t *at = value->data;
    size_t each = opiml_dtype_bytes(field->dtype);
    bool finite;
    write_quoted(&jsonl->row, field->name);
    text_add(&jsonl->row, ":");
    if (write_is_text(field) && write_reads_as_text(value)) {
        add_text(&jsonl->row, at, value->bytes);
        return 0;
    }
    for (uint64_t i = 0; i < value->bytes; i += each) {
        write_plain_float(field->dtype, at + i, &finite);
        if (!finite)
            return write_refuse(field, "JSON has no NaN or infinity; csv and the binary formats do",
                                err);
    }
    add_numbers(&jsonl->row, field, value->shape, 0, &at);
    return 0;
}

/* The row that append writes. */
static int jsonl_admit(void *state, const struct opiml_value *values, struct opiml_error *err) {
    struct jsonl *jsonl = state;
    int rc = 0;
    jsonl->row.count = 0;
    text_add(&jsonl->row, "{");
    for (uint32_t i = 0; rc == 0 && i < jsonl->schema->count; i++) {
        text_add(&jsonl->row, i ? "," : "");
        rc = add_member(jsonl, &jsonl->schema->fields[i], &values[i], err);
    }
    if (rc < 0)
        return rc;
    text_add(&jsonl->row, "}\n");
    if (jsonl->row.failed)
        return base_fail_memory(err, jsonl->row.count, "a row");
    if (jsonl->row.count > ROW_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a row of more than 16 MiB; tfrecord takes it");
    return 0;
}

static int jsonl_append(void *state, uint64_t record, const struct opiml_value *values,
                        struct opiml_error *err) {
    struct jsonl *jsonl = state;
    return write_file_add(&jsonl->file, jsonl->row.at, jsonl->row.count, err);
}

static int jsonl_finish(void *state, struct opiml_error *err) {
    struct jsonl *jsonl = state;
    return write_file_commit(&jsonl->file, true, err);
}

static void jsonl_release(void *state) {
    struct jsonl *jsonl = state;
    text_release(&jsonl->row);
    write_file_release(&jsonl->file);
}

const struct writer writer_jsonl = {
    .name = "jsonl",
    .help = "JSON lines; bytes that are no UTF-8 become lists of numbers",
    .state_bytes = sizeof(struct jsonl),
    .check = jsonl_check,
    .describe = write_describe_fields,
    .begin = jsonl_begin,
    .admit = jsonl_admit,
    .append = jsonl_append,
    .finish = jsonl_finish,
    .release = jsonl_release,
};
