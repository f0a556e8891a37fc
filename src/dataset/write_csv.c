/* CSV with a heading (RFC 4180; see format_csv.c): cells are numbers and texts. */
#include "dataset/csv.h"
#include "dataset/write_file.h"
#include "dataset/write_number.h"
#include "dataset/writer.h"

enum { COMMA, TAB, SEMICOLON };

struct csv_options {
    uint32_t delimiter;
};

static const struct opiml_param csv_options[] = {
    {"delimiter", "comma", "What stands between cells", offsetof(struct csv_options, delimiter),
     OPIML_PARAM_CHOICE, "comma|tab|semicolon"},
    {NULL},
};

struct csv {
    const struct opiml_schema *schema;
    char delimiter;
    struct write_file file;
    struct text row;
};

static char delimiter_of(const struct write_plan *plan) {
    const struct csv_options *options = plan->params;
    return ",\t;"[options->delimiter];
}

static int csv_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    struct csv_options *options = params;
    if (plan->single && text_ends(plan->root, ".tsv"))
        options->delimiter = TAB; /* as it will be read */
    if (plan->schema->count > CSV_CELLS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "format csv: more than %d columns", CSV_CELLS_MAX);
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        bool number = field->dtype == OPIML_I32 || field->dtype == OPIML_I64 ||
                      field->dtype == OPIML_F32 || field->dtype == OPIML_F64;
        if (!write_is_text(field) && (field->ndim > 0 || !number))
            return write_unfit_of("csv", plan->schema, field,
                                  "a cell is one i32, i64, f32, f64 or a text; jsonl takes arrays "
                                  "and other integers",
                                  err);
        if (field->name[0] == ' ' || strpbrk(field->name, "\r\n\t"))
            return write_unfit("csv", field,
                               "a heading without blanks before it is wanted; rename it with "
                               "--fields new=old",
                               err);
    }
    return write_check_fields(plan->schema, "csv", false, err);
}

static void csv_describe(const struct write_plan *plan, struct text *to) {
    char delimiter = delimiter_of(plan);
    text_printf(to, ", delimiter: \"%s\", header: yes, types: [",
                delimiter == '\t'  ? "tab"
                : delimiter == ',' ? ","
                                   : ";");
    for (uint32_t i = 0; i < plan->schema->count; i++) {
        const struct opiml_field *field = &plan->schema->fields[i];
        char type[OPIML_NAME_BYTES + 8];
        snprintf(type, sizeof(type), "%s:%s", field->name,
                 write_is_text(field) ? "text" : opiml_dtype_text(field->dtype));
        text_add(to, i ? ", " : "");
        write_quoted(to, type);
    }
    text_add(to, "]");
}

/* Quoted unless it reads back as it is: an empty cell might be a row without cells. */
static void add_cell(struct csv *csv, const uint8_t *at, uint64_t bytes) {
    bool quoted = bytes == 0 || at[0] == ' ' || at[bytes - 1] == ' ' || at[0] == 0xef;
    for (uint64_t i = 0; !quoted && i < bytes; i++)
        quoted = at[i] == (uint8_t)csv->delimiter || at[i] == '"' || at[i] < 0x20;
    if (!quoted) {
        text_add_bytes(&csv->row, at, bytes);
        return;
    }
    text_add(&csv->row, "\"");
    for (uint64_t i = 0; i < bytes; i++)
        text_add_bytes(&csv->row, at[i] == '"' ? (const uint8_t *)"\"\"" : at + i,
                       at[i] == '"' ? 2 : 1);
    text_add(&csv->row, "\"");
}

static int add_row(struct csv *csv, struct opiml_error *err) {
    text_add(&csv->row, "\n");
    if (csv->row.failed)
        return base_fail_memory(err, csv->row.count, "a row");
    return write_file_add(&csv->file, csv->row.at, csv->row.count, err);
}

static int csv_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct csv *csv = state;
    csv->schema = shard->plan->schema;
    csv->delimiter = delimiter_of(shard->plan);
    AUTO_FREE char *path = write_shard_path(shard, csv->delimiter == '\t' ? ".tsv" : ".csv");
    int rc = path ? write_file_open(&csv->file, path, err) : base_fail_memory(err, 0, "a path");
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < csv->schema->count; i++) {
        const char *name = csv->schema->fields[i].name;
        text_add_bytes(&csv->row, &csv->delimiter, i > 0);
        add_cell(csv, (const uint8_t *)name, strlen(name));
    }
    return add_row(csv, err);
}

/* Other programs read a table as text, and the schema has but one type for texts and for bytes. */
static bool is_cell_text(const struct opiml_value *value) {
    return value->bytes == 0 ||
           (write_reads_as_text(value) && !memchr(value->data, 0, value->bytes));
}

/* The row that append writes. */
static int csv_admit(void *state, const struct opiml_value *values, struct opiml_error *err) {
    struct csv *csv = state;
    bool finite;
    csv->row.count = 0;
    for (uint32_t i = 0; i < csv->schema->count; i++) {
        const struct opiml_field *field = &csv->schema->fields[i];
        text_add_bytes(&csv->row, &csv->delimiter, i > 0);
        if (write_is_text(field) && !is_cell_text(&values[i]))
            return write_unfit_of(NULL, csv->schema, field,
                                  "bytes that are no text (UTF-8 without zeros); jsonl, tfrecord "
                                  "and npz take them",
                                  err);
        if (write_is_text(field))
            add_cell(csv, values[i].data, values[i].bytes);
        else if (write_plain_float(field->dtype, values[i].data, &finite))
            write_number(&csv->row, field->dtype, values[i].data);
        else
            return write_refuse(field, "text knows one NaN only, and this is another", err);
    }
    if (csv->row.count >= CSV_ROW_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "a row of more than 16 MiB");
    return 0;
}

static int csv_append(void *state, uint64_t record, const struct opiml_value *values,
                      struct opiml_error *err) {
    return add_row(state, err);
}

static int csv_finish(void *state, struct opiml_error *err) {
    struct csv *csv = state;
    return write_file_commit(&csv->file, true, err);
}

static void csv_release(void *state) {
    struct csv *csv = state;
    text_release(&csv->row);
    write_file_release(&csv->file);
}

const struct writer writer_csv = {
    .name = "csv",
    .help = "Tables as text, with a heading; numbers in the fewest digits",
    .params = csv_options,
    .params_bytes = sizeof(struct csv_options),
    .state_bytes = sizeof(struct csv),
    .check = csv_check,
    .describe = csv_describe,
    .begin = csv_begin,
    .admit = csv_admit,
    .append = csv_append,
    .finish = csv_finish,
    .release = csv_release,
};
