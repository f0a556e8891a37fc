/* CSV and the like (RFC 4180; cells may be quoted and hold line ends). A row is a record, a column
 * a field: i64, f64, or text as bytes, by what the first rows hold unless `types` says otherwise. A
 * bad cell makes a bad record; what cannot be told apart into rows is an error when the index is
 * built. */
#include "dataset/format.h"

#include "base/hash.h"
#include "dataset/csv.h"
#include "dataset/number.h"
#include "dataset/parallel.h"

#define INFER_ROWS 1000
#define CHUNK_BYTES MIB(1)

enum { HEADER_AUTO, HEADER_YES, HEADER_NO };

struct csv_params {
    char delimiter[OPIML_TEXT_MAX], quote[OPIML_TEXT_MAX];
    uint32_t header;
    struct opiml_text_list columns, types;
};

static const struct opiml_param csv_params[] = {
    {"delimiter", "auto",
     "One character between cells, or tab; auto: tab in .tsv files, else a comma",
     offsetof(struct csv_params, delimiter), OPIML_PARAM_TEXT},
    {"quote", "\"", "The character around cells that hold delimiters or line ends",
     offsetof(struct csv_params, quote), OPIML_PARAM_TEXT},
    {"header", "auto",
     "Whether each file begins with the columns' names; auto: unless `columns` is given",
     offsetof(struct csv_params, header), OPIML_PARAM_CHOICE, "auto|yes|no"},
    {"columns", "", "The columns' names, instead of a header's",
     offsetof(struct csv_params, columns), OPIML_PARAM_TEXT_LIST},
    {"types", "",
     "Types of columns, such as [\"age:i64\", \"name:text\"]: i32, i64, f32, f64 or text; others "
     "are "
     "found by their first 1000 rows",
     offsetof(struct csv_params, types), OPIML_PARAM_TEXT_LIST},
    {NULL},
};

static bool csv_takes(const char *key) {
    static const char *const extensions[] = {"csv", "tsv", NULL};
    return format_has_extension(key, extensions);
}

/* ---- rows of a file ---- */

typedef int (*on_row)(void *context, const uint8_t *row, uint32_t bytes, uint64_t offset,
                      uint64_t line, struct opiml_error *err);

struct rows {
    struct source *source;
    const struct source_object *object;
    struct csv_dialect dialect;
    uint8_t *buffer;
    size_t room, filled;
    uint64_t begin; /* file offset of buffer[0] */
    uint64_t hash;  /* of all that was read */
};

static int row_error(const struct rows *rows, uint64_t offset, uint64_t line, int code,
                     const char *what, struct opiml_error *err) {
    return opiml_fail(err, code, "%s%s at offset %" PRIu64 " (line %" PRIu64 "): %s",
                      rows->source->prefix, rows->object->key, offset, line, what);
}

/* More bytes behind those from `keep` on, which move to the front. 0 at the end of the file, or
 * where it ended when it was listed: what has come since is the next index's. */
static int64_t read_more(struct rows *rows, size_t keep, struct opiml_error *err) {
    if (keep > 0)
        memmove(rows->buffer, rows->buffer + keep, rows->filled - keep);
    rows->filled -= keep;
    rows->begin += keep;
    uint64_t at = rows->begin + rows->filled;
    if (at >= rows->object->bytes)
        return 0;
    size_t ask = base_min_u64(CHUNK_BYTES, rows->object->bytes - at);
    if (rows->room - rows->filled < ask) {
        uint8_t *grown = base_realloc(rows->buffer, rows->room + ask);
        if (!grown)
            return base_fail_memory(err, rows->room + ask, "a CSV row");
        rows->buffer = grown;
        rows->room += ask;
    }
    int64_t got = rows->source->ops->read(rows->source, rows->object->key,
                                          rows->buffer + rows->filled, ask, at, err);
    if (got > 0) {
        rows->hash = hash_64(rows->buffer + rows->filled, (size_t)got, rows->hash);
        rows->filled += (size_t)got;
    }
    return got;
}

static int give_row(struct rows *rows, size_t first, size_t end, uint64_t line, on_row call,
                    void *context, struct opiml_error *err) {
    while (end > first && (rows->buffer[end - 1] == '\n' || rows->buffer[end - 1] == '\r'))
        end--;
    if (end == first)
        return 0; /* an empty line */
    return call(context, rows->buffer + first, (uint32_t)(end - first), rows->begin + first, line,
                err);
}

/* Call for each row of the file that is not empty; a call that returns 1 ends it. */
static int each_row(struct rows *rows, on_row call, void *context, struct opiml_error *err) {
    struct csv_state state = {0};
    uint64_t line = 1, lines = 0;
    size_t first = 0, scanned = 0;
    bool end;
    for (;;) {
        if (scanned == rows->filled) {
            if (scanned - first > CSV_ROW_BYTES_MAX)
                return row_error(rows, rows->begin + first, line, OPIML_ELIMIT,
                                 "a row of more than 16 MiB; is a quote not closed?", err);
            int64_t got = read_more(rows, first, err);
            scanned -= first;
            first = 0;
            if (got < 0)
                return (int)got;
            if (got == 0)
                break;
            if (rows->begin == 0 && rows->filled >= 3 &&
                memcmp(rows->buffer, "\xef\xbb\xbf", 3) == 0)
                first = scanned = 3; /* the mark that some programs put before UTF-8 */
        }
        scanned += csv_scan(rows->dialect, &state, rows->buffer + scanned, rows->filled - scanned,
                            &end, &lines);
        if (!end)
            continue;
        int rc = give_row(rows, first, scanned, line, call, context, err);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        first = scanned;
        line = 1 + lines;
    }
    if (state.at == CSV_QUOTED)
        return row_error(rows, rows->begin + first, line, OPIML_ECORRUPT,
                         "the file ends within a quoted cell of this row", err);
    int rc = give_row(rows, first, scanned, line, call, context, err);
    return rc < 0 ? rc : 0;
}

static void rows_release(struct rows *rows) {
    base_free(rows->buffer);
}

/* ---- columns ---- */

struct column {
    char name[OPIML_NAME_BYTES];
    uint32_t dtype; /* OPIML_U8 for text; 0: to be found */
    bool not_i64, not_f64, empty, filled;
};

struct columns {
    struct column at[CSV_CELLS_MAX];
    uint32_t count;
    bool header;    /* each file begins with one */
    bool named;     /* by `columns`, whatever a header says */
    bool at_header; /* the next row is one */
    bool guessed;   /* the delimiter: nobody said which */
    struct csv_dialect dialect;
    uint64_t rows; /* looked at so far */
    locale_t locale;
    const struct rows *reading; /* for messages */
};

static bool has_controls(const uint8_t *at, uint32_t bytes, char except) {
    for (uint32_t i = 0; i < bytes; i++)
        if ((at[i] < 0x20 || at[i] == 0x7f) && at[i] != (uint8_t)except)
            return true;
    return false;
}

/* What is wrong with the cells of a header, or NULL. What is no text at all is told as such first:
 * its cells are too long and too many as well. */
static const char *wrong_cells(struct csv_cell *cells, int count, int *ret_code) {
    *ret_code = OPIML_ECORRUPT;
    for (int i = 0; i < count && i < CSV_CELLS_MAX; i++) {
        number_trim(&cells[i].at, &cells[i].bytes);
        if (has_controls(cells[i].at, cells[i].bytes, ' '))
            return "a control character in a column's name; is this text in UTF-8, with line "
                   "feeds?";
    }
    *ret_code = OPIML_ELIMIT;
    if (count > CSV_CELLS_MAX)
        return "more than 64 columns";
    for (int i = 0; i < count; i++)
        if (cells[i].bytes >= OPIML_NAME_BYTES || cells[i].bytes == 0)
            return "a column's name is empty or longer than 47 bytes; give other names with "
                   "columns: and header: yes";
    return NULL;
}

static bool is_name_taken(const struct columns *columns, int i) {
    for (int k = 0; k < i; k++)
        if (strcmp(columns->at[k].name, columns->at[i].name) == 0)
            return true;
    return false;
}

/* A header without the delimiter that nobody has named, but with one that others use. `count` as
 * csv_split has it; a name in quotes may have any characters. */
static int check_delimiter(const struct columns *columns, const uint8_t *row, uint32_t bytes,
                           int count, uint64_t offset, uint64_t line, struct opiml_error *err) {
    static const struct {
        char is;
        const char *what, *key;
    } others[] = {{';', "semicolons", "\";\""}, {'\t', "tabs", "tab"}};
    char what[200];
    if (!columns->guessed || count > 1 || memchr(row, columns->dialect.delimiter, bytes) ||
        (count == 1 && row[0] == (uint8_t)columns->dialect.quote) || has_controls(row, bytes, '\t'))
        return 0;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (!memchr(row, others[i].is, bytes))
            continue;
        snprintf(what, sizeof(what),
                 "one column, with %s in its name; if they stand between columns, say so in a "
                 "pipeline file: dataset: {..., delimiter: %s}",
                 others[i].what, others[i].key);
        return row_error(columns->reading, offset, line, OPIML_EINVAL, what, err);
    }
    return 0;
}

static int name_columns(struct columns *columns, const uint8_t *row, uint32_t bytes,
                        uint64_t offset, uint64_t line, struct opiml_error *err) {
    struct csv_cell cells[CSV_CELLS_MAX];
    struct opiml_error why;
    int code, count = csv_split(columns->dialect, row, bytes, cells, CSV_CELLS_MAX, &why);
    int rc = check_delimiter(columns, row, bytes, count, offset, line, err);
    if (rc < 0)
        return rc;
    if (count < 0)
        return row_error(columns->reading, offset, line, count, why.message, err);
    const char *wrong = wrong_cells(cells, count, &code);
    if (wrong)
        return row_error(columns->reading, offset, line, code, wrong, err);
    for (int i = 0; i < count; i++) {
        char *name = columns->at[i].name;
        uint32_t length = csv_unquote(columns->dialect, &cells[i], (uint8_t *)name);
        name[length] = '\0';
        if (is_name_taken(columns, i))
            return row_error(columns->reading, offset, line, OPIML_ECORRUPT,
                             "two columns have the same name; give other names with columns: and "
                             "header: yes",
                             err);
    }
    columns->count = (uint32_t)count;
    return 0;
}

static void look_at_cell(struct columns *columns, struct column *column,
                         const struct csv_cell *cell) {
    const uint8_t *at = cell->at;
    uint32_t bytes = cell->bytes;
    int64_t integer;
    uint64_t bits;
    number_trim(&at, &bytes);
    if (bytes == 0) {
        column->empty = true;
        return;
    }
    column->filled = true;
    column->not_i64 |= !number_i64(at, bytes, &integer);
    column->not_f64 |= !number_float(at, bytes, false, columns->locale, &bits);
}

/* The first rows of the first files: names and types. */
static int look_at_row(void *context, const uint8_t *row, uint32_t bytes, uint64_t offset,
                       uint64_t line, struct opiml_error *err) {
    struct columns *columns = context;
    struct csv_cell cells[CSV_CELLS_MAX];
    if (columns->at_header) {
        columns->at_header = false;
        return columns->count > 0 ? 0 : name_columns(columns, row, bytes, offset, line, err);
    }
    int count = csv_split(columns->dialect, row, bytes, cells, CSV_CELLS_MAX, NULL);
    if (columns->count == 0) { /* neither a header nor `columns`: numbers are the names */
        if (count <= 0 || count > CSV_CELLS_MAX)
            return row_error(columns->reading, offset, line, OPIML_ECORRUPT,
                             "a damaged first row, or more than 64 columns", err);
        for (int i = 0; i < count; i++)
            snprintf(columns->at[i].name, OPIML_NAME_BYTES, "column%d", i + 1);
        columns->count = (uint32_t)count;
    }
    for (uint32_t i = 0; count == (int)columns->count && i < columns->count; i++)
        look_at_cell(columns, &columns->at[i], &cells[i]);
    return ++columns->rows >= INFER_ROWS;
}

static int set_type(struct columns *columns, const char *text, struct opiml_error *err) {
    const char *colon = strrchr(text, ':');
    uint32_t dtype = !colon                           ? 0
                     : strcmp(colon + 1, "text") == 0 ? OPIML_U8
                                                      : opiml_dtype_parse(colon + 1);
    bool fine = colon && (strcmp(colon + 1, "text") == 0 || dtype == OPIML_I32 ||
                          dtype == OPIML_I64 || dtype == OPIML_F32 || dtype == OPIML_F64);
    if (!fine)
        return opiml_fail(err, OPIML_EINVAL,
                          "types: \"%s\" is not column:type with i32, i64, f32, f64 or text", text);
    for (uint32_t i = 0; i < columns->count; i++)
        if (strlen(columns->at[i].name) == (size_t)(colon - text) &&
            memcmp(columns->at[i].name, text, (size_t)(colon - text)) == 0) {
            columns->at[i].dtype = dtype;
            return 0;
        }
    AUTO_TEXT struct text names = {0};
    for (uint32_t i = 0; i < columns->count; i++)
        text_printf(&names, "%s%s", i ? ", " : "", columns->at[i].name);
    return opiml_fail(err, OPIML_EINVAL, "types: there is no column \"%.*s\"; there are %s",
                      (int)(colon - text), text, names.at ? names.at : "none");
}

static uint32_t found_type(const struct column *column) {
    if (column->dtype)
        return column->dtype;
    if (!column->filled)
        return OPIML_U8;
    /* An empty cell is a NaN; whole numbers have none. */
    if (!column->not_i64 && !column->empty)
        return OPIML_I64;
    return column->not_f64 ? OPIML_U8 : OPIML_F64;
}

static int read_dialect(const struct csv_params *params, const struct source_listing *listing,
                        struct csv_dialect *dialect, struct opiml_error *err) {
    static const char *const tabs[] = {"tsv", NULL};
    const char *delimiter = params->delimiter;
    if (strcmp(delimiter, "auto") == 0)
        delimiter = format_has_extension(listing->objects[0].key, tabs) ? "\t" : ",";
    else if (strcmp(delimiter, "tab") == 0 || strcmp(delimiter, "\\t") == 0)
        delimiter = "\t";
    if (strlen(delimiter) != 1 || delimiter[0] == '\n' || delimiter[0] == '\r')
        return opiml_fail(err, OPIML_EINVAL, "delimiter: \"%s\" is not one character", delimiter);
    if (strlen(params->quote) != 1 || params->quote[0] == delimiter[0] || params->quote[0] == '\n')
        return opiml_fail(err, OPIML_EINVAL,
                          "quote: \"%s\" is not one character other than the delimiter",
                          params->quote);
    *dialect = (struct csv_dialect){delimiter[0], params->quote[0]};
    return 0;
}

static int find_columns(struct source *source, const struct source_listing *listing,
                        const struct csv_params *params, struct columns *columns,
                        struct opiml_error *err) {
    columns->named = params->columns.count > 0;
    columns->guessed = strcmp(params->delimiter, "auto") == 0;
    columns->header =
        params->header == HEADER_YES || (params->header == HEADER_AUTO && !columns->named);
    columns->count = params->columns.count;
    for (uint32_t i = 0; i < columns->count; i++)
        text_copy(columns->at[i].name, OPIML_NAME_BYTES, params->columns.at[i]);
    for (size_t i = 0; i < listing->count && columns->rows < INFER_ROWS; i++) {
        CLEANUP(rows_release) struct rows rows = {source, &listing->objects[i], columns->dialect};
        columns->reading = &rows;
        columns->at_header = columns->header;
        int rc = each_row(&rows, look_at_row, columns, err);
        if (rc < 0)
            return rc;
    }
    columns->reading = NULL;
    for (uint32_t i = 0; i < params->types.count; i++) {
        int rc = set_type(columns, params->types.at[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- building ---- */

struct file {
    struct index_rows rows;
    uint64_t max_bytes[CSV_CELLS_MAX];
    uint64_t hash;
};

struct build {
    struct source *source;
    const struct source_listing *listing;
    const struct columns *columns;
    struct file *files;
};

struct file_scan {
    const struct columns *columns;
    const struct rows *rows;
    struct file *file;
    uint32_t object;
    bool at_header;
};

/* Every file's header says the same. */
static int check_header(const struct file_scan *scan, const uint8_t *row, uint32_t bytes,
                        uint64_t offset, uint64_t line, struct opiml_error *err) {
    struct columns here = {.dialect = scan->columns->dialect,
                           .guessed = scan->columns->guessed,
                           .reading = scan->rows};
    if (scan->columns->named)
        return 0;
    int rc = name_columns(&here, row, bytes, offset, line, err);
    if (rc < 0)
        return rc;
    bool same = here.count == scan->columns->count;
    for (uint32_t i = 0; same && i < here.count; i++)
        same = strcmp(here.at[i].name, scan->columns->at[i].name) == 0;
    return same ? 0
                : row_error(scan->rows, offset, line, OPIML_ECORRUPT,
                            "other columns than in the first file", err);
}

static int add_row(void *context, const uint8_t *row, uint32_t bytes, uint64_t offset,
                   uint64_t line, struct opiml_error *err) {
    struct file_scan *scan = context;
    struct csv_cell cells[CSV_CELLS_MAX];
    if (scan->at_header) {
        scan->at_header = false;
        return check_header(scan, row, bytes, offset, line, err);
    }
    int count = csv_split(scan->columns->dialect, row, bytes, cells, CSV_CELLS_MAX, NULL);
    for (uint32_t i = 0; count == (int)scan->columns->count && i < scan->columns->count; i++)
        scan->file->max_bytes[i] = base_max_u64(scan->file->max_bytes[i], cells[i].bytes);
    const struct index_record record = {
        .offset = offset,
        .bytes = bytes,
        .object = scan->object,
        .label = (uint32_t)base_min_u64(line, UINT32_MAX),
    };
    return index_rows_add(&scan->file->rows, &record, NULL, NULL, 0, err);
}

static int scan_file(void *context, size_t i, struct opiml_error *err) {
    struct build *build = context;
    CLEANUP(rows_release)
    struct rows rows = {build->source, &build->listing->objects[i], build->columns->dialect};
    struct file_scan scan = {build->columns, &rows, &build->files[i], (uint32_t)i,
                             build->columns->header};
    int rc = each_row(&rows, add_row, &scan, err);
    build->files[i].hash = rows.hash;
    return rc;
}

static int add_schema(struct index_draft *draft, const struct build *build,
                      struct opiml_error *err) {
    for (uint32_t c = 0; c < build->columns->count; c++) {
        const struct column *column = &build->columns->at[c];
        uint32_t dtype = found_type(column);
        uint64_t max_bytes = 0;
        for (size_t i = 0; i < build->listing->count; i++)
            max_bytes = base_max_u64(max_bytes, build->files[i].max_bytes[c]);
        int rc = opiml_schema_add(&draft->schema, column->name, dtype, dtype == OPIML_U8,
                                  (int64_t[]){-1}, max_bytes, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int join_files(struct index_draft *draft, struct build *build, struct opiml_error *err) {
    for (size_t i = 0; i < build->listing->count; i++) {
        int rc = index_draft_add_content(draft, build->listing, i, build->files[i].hash, err);
        if (rc == 0)
            rc = index_rows_join(&draft->rows, &build->files[i].rows, 0, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int csv_build(struct source *source, const struct source_listing *listing,
                     const void *params, struct index_draft *draft, struct opiml_error *err) {
    AUTO_FREE struct columns *columns = base_alloc(sizeof(*columns));
    struct build build = {source, listing, columns,
                          base_alloc_array(listing->count, sizeof(*build.files))};
    int rc = columns && build.files
                 ? 0
                 : base_fail_memory(err, listing->count * sizeof(*build.files), "an index");
    if (rc == 0)
        rc = read_dialect(params, listing, &columns->dialect, err);
    if (rc == 0) {
        columns->locale = number_locale();
        rc = find_columns(source, listing, params, columns, err);
        freelocale(columns->locale);
    }
    if (rc == 0)
        rc = parallel_do(listing->count, 0, scan_file, &build, err);
    if (rc == 0)
        rc = add_schema(draft, &build, err);
    if (rc == 0)
        rc = join_files(draft, &build, err);
    for (size_t i = 0; build.files && i < listing->count; i++)
        index_rows_release(&build.files[i].rows);
    base_free(build.files);
    return rc;
}

/* ---- reading ---- */

static bool csv_check(const struct index *index, const void *params) {
    if (index->header->parts != 0 || !index->records)
        return false;
    for (uint32_t i = 0; i < index->schema.count; i++) {
        const struct opiml_field *field = &index->schema.fields[i];
        bool number = field->dtype == OPIML_I32 || field->dtype == OPIML_I64 ||
                      field->dtype == OPIML_F32 || field->dtype == OPIML_F64;
        if (number ? field->ndim != 0
                   : field->dtype != OPIML_U8 || field->ndim != 1 || field->shape[0] != -1)
            return false;
    }
    return true;
}

static bool parse_number(const struct csv_cell *cell, uint32_t dtype, locale_t locale,
                         struct opiml_value *value, uint8_t **scratch) {
    int64_t integer;
    uint64_t bits;
    if (dtype == OPIML_I64 || dtype == OPIML_I32) {
        if (!number_i64(cell->at, cell->bytes, &integer) ||
            (dtype == OPIML_I32 && (integer < INT32_MIN || integer > INT32_MAX)))
            return false;
        bits = (uint64_t)integer;
    } else if (!number_float(cell->at, cell->bytes, dtype == OPIML_F32, locale, &bits))
        return false;
    *value = format_scalar(scratch, &bits, opiml_dtype_bytes(dtype)); /* little-endian */
    return true;
}

static int parse_cell(const struct opiml_field *field, struct csv_dialect dialect,
                      const struct csv_cell *cell, locale_t locale, uint64_t line,
                      struct opiml_value *value, uint8_t **scratch, struct opiml_error *err) {
    if (field->dtype != OPIML_U8) {
        if (parse_number(cell, field->dtype, locale, value, scratch))
            return 0;
        return opiml_fail(err, OPIML_ECORRUPT, "line %" PRIu64 ", column \"%s\": \"%.*s\" is no %s",
                          line, field->name, cell->bytes > 40 ? 40 : (int)cell->bytes,
                          (const char *)cell->at, opiml_dtype_text(field->dtype));
    }
    if (cell->bytes > field->max_bytes)
        return opiml_fail(err, OPIML_ESTALE,
                          "line %" PRIu64 ", column \"%s\": longer than when it was indexed", line,
                          field->name);
    if (!cell->doubled) {
        *value = format_value(cell->at, cell->bytes);
        return 0;
    }
    uint32_t bytes = csv_unquote(dialect, cell, *scratch);
    *value = format_value(*scratch, bytes);
    *scratch += base_align_up(bytes, 8);
    return 0;
}

static int csv_parse(const struct index *index, const void *params, uint64_t record,
                     const struct source_bytes *from, struct opiml_value *values, uint8_t *scratch,
                     struct opiml_error *err) {
    const uint8_t *data = from->at;
    uint32_t bytes = from->bytes;
    struct csv_cell cells[CSV_CELLS_MAX];
    uint64_t line = index->records[record].label;
    const struct csv_params *csv = params;
    const char *key = index_object_key(index, 0); /* the first file's, as when it was indexed */
    const struct source_object object = {.key = key};
    const struct source_listing listing = {.objects = (struct source_object *)&object, .count = 1};
    struct csv_dialect dialect;
    struct opiml_error why;
    int rc = read_dialect(csv, &listing, &dialect, err);
    if (rc < 0)
        return rc;
    int count = csv_split(dialect, data, bytes, cells, CSV_CELLS_MAX, &why);
    if (count < 0)
        return opiml_fail(err, count, "line %" PRIu64 ", %s", line, why.message);
    if ((uint32_t)count != index->schema.count)
        return opiml_fail(err, OPIML_ECORRUPT, "line %" PRIu64 " has %d cell%s instead of %u", line,
                          count, text_s((uint64_t)count), index->schema.count);
    locale_t locale = number_locale();
    for (uint32_t i = 0; rc == 0 && i < index->schema.count; i++)
        rc = parse_cell(&index->schema.fields[i], dialect, &cells[i], locale, line, &values[i],
                        &scratch, err);
    freelocale(locale);
    return rc;
}

static uint64_t csv_line(const struct index *index, uint64_t record) {
    return index->records[record].label;
}

static uint64_t csv_scratch(const struct index *index) {
    /* A number each, and texts whose doubled quotes are made single. */
    return index->schema.count * 16 + base_align_up(index->header->max_read, 8);
}

const struct format format_csv = {
    .name = "csv",
    .help = "Tables as text: a row is a record, a column a field",
    .params = csv_params,
    .params_bytes = sizeof(struct csv_params),
    .shards = true,
    .found_by_looking = true,
    .takes = csv_takes,
    .build = csv_build,
    .check = csv_check,
    .parse = csv_parse,
    .scratch_bytes = csv_scratch,
    .line = csv_line,
};
