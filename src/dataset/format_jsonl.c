/* JSON lines (jsonlines.org): a row is an object, its members are fields: numbers and booleans,
 * texts as bytes, and arrays of numbers. Which fields there are is declared, or what the first rows
 * have; members that are objects, or lists of other things, are left out. */
#include "dataset/fields.h"
#include "dataset/format.h"
#include "dataset/jsonl.h"
#include "dataset/parallel.h"

#include "base/hash.h"
#include "base/text.h"

#define ROW_BYTES_MAX MIB(16)
#define CHUNK_BYTES MIB(1)
#define INFER_ROWS 1000
#define INFER_BYTES MIB(16)

struct jsonl_params {
    struct opiml_text_list fields;
};

static const struct opiml_param jsonl_params[] = {
    {"fields", "",
     "Members to take, in order: name:dtype:shape each, such as [\"text:u8:*\", \"label:i32\"]; "
     "none: those of the first 1000 rows",
     offsetof(struct jsonl_params, fields), OPIML_PARAM_TEXT_LIST},
    {NULL},
};

static bool jsonl_takes(const char *key) {
    static const char *const extensions[] = {"jsonl", "ndjson", NULL};
    return format_has_extension(key, extensions);
}

/* ---- lines ---- */

struct scan {
    struct source *source;
    const struct source_listing *listing;
    struct index_rows *rows; /* per object */
    uint64_t *hashes;        /* of their content */
};

/* The lines of a buffer whose first byte is byte `begin` of the file; the bytes of whole ones. */
static int64_t add_lines(struct scan *scan, size_t object, const uint8_t *data, size_t bytes,
                         uint64_t begin, bool last, struct opiml_error *err) {
    size_t first = 0;
    while (first < bytes) {
        const uint8_t *stop = memchr(data + first, '\n', bytes - first);
        if (!stop && !last)
            break;
        size_t end = stop ? (size_t)(stop - data) : bytes, row = end;
        while (row > first && strchr(" \t\r", data[row - 1]) && data[row - 1])
            row--;
        const struct index_record record = {
            .offset = begin + first, .bytes = (uint32_t)(row - first), .object = (uint32_t)object};
        int rc = row > first ? index_rows_add(&scan->rows[object], &record, NULL, NULL, 0, err) : 0;
        if (rc < 0)
            return rc;
        first = end + (stop != NULL);
    }
    return (int64_t)first;
}

static int scan_lines(struct scan *scan, size_t i, uint8_t *buffer, struct opiml_error *err) {
    const struct source_object *object = &scan->listing->objects[i];
    uint64_t at = 0;
    size_t filled = 0;
    while (at + filled < object->bytes) {
        size_t ask = base_min_u64(CHUNK_BYTES, object->bytes - at - filled);
        int64_t got = scan->source->ops->read(scan->source, object->key, buffer + filled, ask,
                                              at + filled, err);
        if (got <= 0)
            return got < 0 ? (int)got
                           : opiml_fail(err, OPIML_ESTALE, "%s%s: it has become shorter",
                                        scan->source->prefix, object->key);
        scan->hashes[i] = hash_64(buffer + filled, (size_t)got, scan->hashes[i]);
        filled += (size_t)got;
        int64_t used = add_lines(scan, i, buffer, filled, at, at + filled >= object->bytes, err);
        if (used < 0)
            return (int)used;
        filled -= (size_t)used;
        if (filled > ROW_BYTES_MAX)
            return opiml_fail(err, OPIML_ELIMIT,
                              "%s%s at offset %" PRIu64 ": a row of more than 16 MiB",
                              scan->source->prefix, object->key, at + (uint64_t)used);
        memmove(buffer, buffer + used, filled);
        at += (uint64_t)used;
    }
    return 0;
}

static int scan_file(void *context, size_t i, struct opiml_error *err) {
    struct scan *scan = context;
    uint64_t room = base_min_u64(scan->listing->objects[i].bytes, ROW_BYTES_MAX + CHUNK_BYTES);
    AUTO_FREE uint8_t *buffer = base_realloc(NULL, room + 1);
    return buffer ? scan_lines(scan, i, buffer, err) : base_fail_memory(err, room, "rows");
}

/* ---- fields ---- */

struct found {
    char name[OPIML_NAME_BYTES]; /* first, for fields_by_name */
    bool text, numbers, other, whole;
    struct jsonl_shape shape;
    bool varies[OPIML_MAX_DIMS];
};

struct finding {
    struct found at[OPIML_MAX_FIELDS];
    uint32_t count;
    bool sound;             /* a row was an object to its end */
    struct opiml_error bad; /* of the first that was none; code 0: all were */
    struct index_record bad_at;
    locale_t locale;
};

static struct found *find_name(struct finding *finding, const struct jsonl_value *key) {
    for (uint32_t i = 0; i < finding->count; i++)
        if (strlen(finding->at[i].name) == key->bytes &&
            memcmp(finding->at[i].name, key->at, key->bytes) == 0)
            return &finding->at[i];
    if (finding->count == OPIML_MAX_FIELDS || key->bytes >= OPIML_NAME_BYTES || key->bytes == 0 ||
        key->escaped)
        return NULL;
    struct found *found = &finding->at[finding->count++];
    *found = (struct found){.whole = true};
    memcpy(found->name, key->at, key->bytes);
    return found;
}

static void look_at_value(struct finding *finding, struct found *found,
                          const struct jsonl_value *value) {
    struct jsonl_shape shape;
    struct opiml_error ignored;
    if (value->kind == JSONL_NULL)
        return;
    if (value->kind == JSONL_TEXT) {
        found->text = true;
        return;
    }
    if (jsonl_numbers(value, 0, NULL, 0, finding->locale, &shape, &ignored) < 0) {
        found->other = true;
        return;
    }
    if (found->numbers) {
        found->other |= shape.ndim != found->shape.ndim;
        for (uint32_t d = 0; d < shape.ndim; d++)
            found->varies[d] |= shape.size[d] != found->shape.size[d];
    } else {
        found->shape = shape;
    }
    found->numbers = true;
    found->whole &= shape.whole;
}

static void look_at_row(struct finding *finding, const uint8_t *data, uint32_t bytes,
                        const struct index_record *record) {
    struct jsonl_value key, value;
    struct opiml_error why;
    struct jsonl row;
    int rc;
    jsonl_init(&row, data, bytes);
    while ((rc = jsonl_next(&row, &key, &value, &why)) == 1) {
        struct found *found = find_name(finding, &key);
        if (found)
            look_at_value(finding, found, &value);
    }
    finding->sound |= rc == 0;
    if (rc < 0 && !finding->bad.code) {
        finding->bad = why;
        finding->bad_at = *record;
    }
}

/* A number of 8 bytes may stand in two bytes of a row. */
static uint64_t varying_bytes(uint32_t dtype, uint64_t row_bytes) {
    return dtype == OPIML_U8 ? row_bytes : row_bytes * opiml_dtype_bytes(dtype);
}

static int add_found(const struct finding *finding, uint64_t row_bytes, struct opiml_schema *schema,
                     struct opiml_error *err) {
    for (uint32_t i = 0; i < finding->count; i++) {
        const struct found *found = &finding->at[i];
        int64_t shape[OPIML_MAX_DIMS];
        uint32_t ndim = found->text ? 1 : found->shape.ndim, varying = found->text;
        uint32_t dtype = found->text                                  ? OPIML_U8
                         : !found->whole                              ? OPIML_F64
                         : strcmp(found->name, "label") == 0 && !ndim ? OPIML_I32
                                                                      : OPIML_I64;
        for (uint32_t d = 0; d < ndim; d++) {
            shape[d] = found->text || found->varies[d] ? -1 : found->shape.size[d];
            varying += !found->text && found->varies[d];
        }
        if (found->other || found->text == found->numbers || varying > 1)
            continue;
        int rc = opiml_schema_add(schema, found->name, dtype, ndim, shape,
                                  varying_bytes(dtype, row_bytes), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Of rows without fields: are they JSON at all? */
static int fail_found(const struct source *source, const struct source_listing *listing,
                      const struct finding *finding, struct opiml_error *err) {
    if (!finding->sound)
        return opiml_fail(err, finding->bad.code, "%s%s at offset %" PRIu64 ": %s", source->prefix,
                          listing->objects[finding->bad_at.object].key, finding->bad_at.offset,
                          finding->bad.message);
    return opiml_fail(err, OPIML_EINVAL,
                      "%s: its rows have no numbers, texts or arrays of numbers in common; say "
                      "with `fields` what to take",
                      source->uri);
}

static int infer(struct source *source, const struct source_listing *listing,
                 const struct index_rows *rows, uint64_t row_bytes, struct opiml_schema *schema,
                 struct opiml_error *err) {
    AUTO_FREE struct finding *finding = base_alloc(sizeof(*finding));
    AUTO_FREE uint8_t *data = base_realloc(NULL, row_bytes + 1);
    uint64_t total = 0;
    if (!finding || !data)
        return base_fail_memory(err, row_bytes, "a row");
    finding->locale = number_locale();
    for (size_t i = 0; i < rows->count && i < INFER_ROWS && total < INFER_BYTES; i++) {
        const struct index_record *record = &rows->records[i];
        int64_t got = source->ops->read(source, listing->objects[record->object].key, data,
                                        record->bytes, record->offset, err);
        if (got < 0) {
            freelocale(finding->locale);
            return (int)got;
        }
        look_at_row(finding, data, (uint32_t)got, record);
        total += record->bytes;
    }
    freelocale(finding->locale);
    qsort(finding->at, finding->count, sizeof(finding->at[0]), fields_by_name);
    int rc = add_found(finding, row_bytes, schema, err);
    return rc == 0 && schema->count == 0 ? fail_found(source, listing, finding, err) : rc;
}

static int declared(const struct jsonl_params *params, uint64_t row_bytes,
                    struct opiml_schema *schema, struct opiml_error *err) {
    int rc = fields_add_varying(schema, &params->fields, varying_bytes, row_bytes, err);
    for (uint32_t i = 0; rc == 0 && i < schema->count; i++)
        if (schema->fields[i].dtype == OPIML_F16 || schema->fields[i].dtype == OPIML_BF16)
            return opiml_fail(err, OPIML_EINVAL,
                              "fields: \"%s\": %s is not read from text; take f32 and cast",
                              schema->fields[i].name, opiml_dtype_text(schema->fields[i].dtype));
    return rc;
}

static int join_files(struct index_draft *draft, struct scan *scan, struct opiml_error *err) {
    for (size_t i = 0; i < scan->listing->count; i++) {
        int rc = index_draft_add_content(draft, scan->listing, i, scan->hashes[i], err);
        if (rc == 0)
            rc = index_rows_join(&draft->rows, &scan->rows[i], 0, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int jsonl_build(struct source *source, const struct source_listing *listing,
                       const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct jsonl_params *jsonl = params;
    AUTO_FREE struct index_rows *rows = base_alloc_array(listing->count, sizeof(*rows));
    AUTO_FREE uint64_t *hashes = base_alloc_array(listing->count, sizeof(*hashes));
    struct scan scan = {source, listing, rows, hashes};
    uint64_t row_bytes = 0;
    if (!rows || !hashes)
        return base_fail_memory(err, listing->count * sizeof(*rows), "an index");
    int rc = parallel_do(listing->count, 2, scan_file, &scan, err); /* 17 MiB for each thread */
    if (rc == 0)
        rc = join_files(draft, &scan, err);
    for (size_t i = 0; i < listing->count; i++)
        index_rows_release(&rows[i]);
    for (size_t i = 0; i < draft->rows.count; i++)
        row_bytes = base_max_u64(row_bytes, draft->rows.records[i].bytes);
    if (rc < 0 || draft->rows.count == 0)
        return rc;
    return jsonl->fields.count > 0
               ? declared(jsonl, row_bytes, &draft->schema, err)
               : infer(source, listing, &draft->rows, row_bytes, &draft->schema, err);
}

static bool is_text(const struct opiml_field *field) {
    return field->dtype == OPIML_U8 && field->ndim == 1 && field->shape[0] < 0;
}

static bool jsonl_check(const struct index *index, const void *params) {
    const struct jsonl_params *jsonl = params;
    struct opiml_schema wanted = {0};
    if (!index->records || index->header->parts != 0 || index->header->pieces != 0)
        return false;
    for (uint32_t i = 0; i < index->schema.count; i++) {
        const struct opiml_field *field = &index->schema.fields[i];
        if (field->dtype == OPIML_F16 || field->dtype == OPIML_BF16 ||
            (!opiml_field_fixed(field) &&
             field->max_bytes != varying_bytes(field->dtype, index->header->max_read)))
            return false;
    }
    return jsonl->fields.count == 0 ||
           (declared(jsonl, index->header->max_read, &wanted, NULL) == 0 &&
            wanted.count == index->schema.count &&
            memcmp(wanted.fields, index->schema.fields, wanted.count * sizeof(wanted.fields[0])) ==
                0);
}

/* ---- reading ---- */

static int take_text(const struct jsonl_value *from, uint8_t **scratch, struct opiml_value *value,
                     struct opiml_error *err) {
    if (!from->escaped) {
        *value = format_value(from->at, from->bytes);
        return 0;
    }
    int64_t bytes = jsonl_text(from, *scratch, err);
    if (bytes < 0)
        return (int)bytes;
    *value = format_value(*scratch, (uint64_t)bytes);
    *scratch += base_align_up((uint64_t)bytes, 8);
    return 0;
}

static int take_numbers(const struct opiml_field *field, const struct jsonl_value *from,
                        locale_t locale, uint8_t **scratch, struct opiml_value *value,
                        struct opiml_error *err) {
    size_t each = opiml_dtype_bytes(field->dtype);
    struct jsonl_shape shape;
    int rc =
        jsonl_numbers(from, field->dtype, *scratch, field->max_bytes / each, locale, &shape, err);
    if (rc < 0)
        return rc;
    *value = (struct opiml_value){.data = *scratch, .bytes = shape.count * each};
    memcpy(value->shape, shape.size, sizeof(value->shape));
    bool fits = shape.ndim == field->ndim && value->bytes <= field->max_bytes;
    for (uint32_t d = 0; fits && d < shape.ndim; d++)
        fits = field->shape[d] < 0 || field->shape[d] == shape.size[d];
    if (!fits)
        return opiml_fail(err, OPIML_ECORRUPT, "%" PRIu64 " numbers in another shape", shape.count);
    *scratch += base_align_up(value->bytes, 8);
    return 0;
}

static int find_members(const struct opiml_schema *schema, const struct source_bytes *from,
                        struct jsonl_value found[OPIML_MAX_FIELDS], struct opiml_error *err) {
    struct jsonl_value key, value;
    struct jsonl row;
    int rc;
    for (uint32_t i = 0; i < schema->count; i++)
        found[i].kind = JSONL_NULL;
    jsonl_init(&row, from->at, from->bytes);
    while ((rc = jsonl_next(&row, &key, &value, err)) == 1)
        for (uint32_t i = 0; i < schema->count; i++)
            if (strlen(schema->fields[i].name) == key.bytes &&
                memcmp(schema->fields[i].name, key.at, key.bytes) == 0)
                found[i] = value;
    return rc;
}

static int take_fields(const struct opiml_schema *schema, const struct jsonl_value *found,
                       locale_t locale, struct opiml_value *values, uint8_t *scratch,
                       struct opiml_error *err) {
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct opiml_field *field = &schema->fields[i];
        struct opiml_error why;
        int rc;
        if (found[i].kind == JSONL_NULL)
            return opiml_fail(err, OPIML_ECORRUPT, "it has no \"%s\"", field->name);
        if (is_text(field) && found[i].kind == JSONL_TEXT)
            rc = take_text(&found[i], &scratch, &values[i], &why);
        else
            rc = take_numbers(field, &found[i], locale, &scratch, &values[i], &why);
        if (rc < 0)
            return opiml_fail(err, rc, "\"%s\": %s", field->name, why.message);
    }
    return 0;
}

static int jsonl_parse(const struct index *index, const void *params, uint64_t record,
                       const struct source_bytes *from, struct opiml_value *values,
                       uint8_t *scratch, struct opiml_error *err) {
    struct jsonl_value found[OPIML_MAX_FIELDS];
    int rc = find_members(&index->schema, from, found, err);
    if (rc < 0)
        return rc;
    locale_t locale = number_locale();
    rc = take_fields(&index->schema, found, locale, values, scratch, err);
    freelocale(locale);
    return rc;
}

static uint64_t jsonl_scratch(const struct index *index) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < index->schema.count; i++)
        bytes += base_align_up(index->schema.fields[i].max_bytes, 8);
    return bytes;
}

const struct format format_jsonl = {
    .name = "jsonl",
    .help = "JSON lines; members are fields: numbers, texts, arrays of numbers",
    .params = jsonl_params,
    .params_bytes = sizeof(struct jsonl_params),
    .shards = true,
    .found_by_looking = true,
    .takes = jsonl_takes,
    .build = jsonl_build,
    .check = jsonl_check,
    .parse = jsonl_parse,
    .scratch_bytes = jsonl_scratch,
};
