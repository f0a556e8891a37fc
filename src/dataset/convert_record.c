/* Records on their way from one format to another, and their fields. */
#include "dataset/convert_job.h"

#define WINDOW_BYTES KIB(256)

/* A piece from its window, which is filled from there on where it does not have it. */
static int read_small(struct convert_window *window, const struct dataset *dataset,
                      const struct dataset_extent *extent, uint8_t *to, struct opiml_error *err) {
    struct source *source = dataset_source(dataset);
    uint64_t end = extent->offset + extent->bytes;
    if (!window->data && !(window->data = base_realloc(NULL, WINDOW_BYTES)))
        return base_fail_memory(err, WINDOW_BYTES, "records");
    if (window->bytes == 0 || window->object != extent->object || extent->offset < window->offset ||
        end > window->offset + window->bytes) {
        const char *key = source->key(source->key_context, extent->object);
        window->bytes = 0;
        int64_t got =
            source->ops->read(source, key, window->data, WINDOW_BYTES, extent->offset, err);
        if (got < 0) /* perhaps only of what lies behind it */
            got = source->ops->read(source, key, window->data, extent->bytes, extent->offset, err);
        if (got < 0)
            return (int)got;
        if (got < extent->bytes)
            return opiml_fail(err, OPIML_ESTALE, "only %" PRId64 " of %u bytes are there", got,
                              extent->bytes);
        int rc = dataset_check_object(dataset, extent->object, err);
        if (rc < 0)
            return rc;
        *window =
            (struct convert_window){extent->offset, extent->object, (uint32_t)got, window->data};
    }
    memcpy(to, window->data + (extent->offset - window->offset), extent->bytes);
    return 0;
}

/* As dataset_read does it, where all pieces are small. */
static int read_pieces(struct convert_record *record, const struct dataset *dataset,
                       uint64_t number, struct source_bytes *from, struct opiml_error *err) {
    uint8_t *to = record->data;
    if (dataset_max_read(dataset) > WINDOW_BYTES / 4)
        return dataset_read(dataset, number, to, from, err);
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++) {
        struct dataset_extent extent;
        dataset_locate(dataset, number, i, &extent);
        int rc = read_small(&record->windows[i], dataset, &extent, to, err);
        if (rc < 0)
            return rc;
        from[i] = (struct source_bytes){to, extent.bytes};
        to += base_align_up(extent.bytes, 64);
    }
    return 0;
}

int convert_record_fail(const struct dataset *dataset, uint64_t number,
                        const struct opiml_error *why, struct opiml_error *err) {
    char where[1024];
    return opiml_fail(err, why->code, "record %" PRIu64 " (%s): %s", number,
                      dataset_describe(dataset, number, where, sizeof(where)), why->message);
}

int convert_record_read(struct convert_record *record, const struct dataset *dataset,
                        uint64_t number, struct opiml_error *err) {
    struct source_bytes from[OPIML_MAX_FIELDS];
    struct opiml_error why = {0};
    if (!record->data) {
        uint64_t room = dataset_read_room(dataset, 64);
        record->data = base_alloc_aligned(room, 64);
        record->scratch = base_alloc_aligned(dataset_parse_bytes(dataset) + 64, 64);
        if (!record->data || !record->scratch)
            return base_fail_memory(err, room, "a record");
    }
    int rc = read_pieces(record, dataset, number, from, &why);
    if (rc == 0)
        rc = dataset_parse(dataset, number, from, record->values, record->scratch, &why);
    return rc < 0 ? convert_record_fail(dataset, number, &why, err) : 0;
}

void convert_record_release(struct convert_record *record) {
    base_free(record->data);
    base_free(record->scratch);
    for (uint32_t i = 0; i < OPIML_MAX_FIELDS; i++)
        base_free(record->windows[i].data);
    *record = (struct convert_record){0};
}

struct hash128 convert_record_hash(const struct opiml_schema *schema,
                                   const struct opiml_value *values, uint64_t place) {
    struct hash_piece pieces[1 + 2 * OPIML_MAX_FIELDS];
    size_t count = 0;
    pieces[count++] = (struct hash_piece){&place, sizeof(place)};
    for (uint32_t i = 0; i < schema->count; i++) {
        pieces[count++] = (struct hash_piece){values[i].shape,
                                              schema->fields[i].ndim * sizeof(values[i].shape[0])};
        pieces[count++] = (struct hash_piece){values[i].data, values[i].bytes};
    }
    return hash_128_pieces(pieces, count);
}

/* ---- fields ---- */

static int add_field(struct convert_fields *fields, const struct opiml_schema *schema,
                     const char *name, const char *old, struct opiml_error *err) {
    int at = opiml_schema_find(schema, old);
    if (at < 0) {
        AUTO_TEXT struct text names = {0};
        for (uint32_t i = 0; i < schema->count; i++)
            text_printf(&names, "%s%s", i ? ", " : "", schema->fields[i].name);
        return opiml_fail(err, OPIML_EINVAL, "there is no field \"%s\"; there are %s", old,
                          names.at ? names.at : "");
    }
    const struct opiml_field *field = &schema->fields[at];
    fields->from[fields->schema.count] = (uint32_t)at;
    return opiml_schema_add(&fields->schema, name, field->dtype, field->ndim, field->shape,
                            field->max_bytes, err);
}

int convert_fields_choose(struct convert_fields *fields, const struct opiml_schema *schema,
                          const char *text, struct opiml_error *err) {
    AUTO_FREE char *words = base_strdup(text ? text : "");
    char *rest = words;
    int rc = 0;
    *fields = (struct convert_fields){0};
    if (!words)
        return base_fail_memory(err, text ? strlen(text) : 0, "fields");
    for (uint32_t i = 0; !text && rc == 0 && i < schema->count; i++)
        rc = add_field(fields, schema, schema->fields[i].name, schema->fields[i].name, err);
    while (text && rc == 0 && rest) {
        const char *name = strsep(&rest, ",");
        char *old = strchr(name, '=');
        if (old)
            *old++ = '\0';
        rc = add_field(fields, schema, name, old ? old : name, err);
    }
    return rc;
}

int convert_fields_find(struct convert_fields *fields, const struct opiml_schema *wanted,
                        const struct opiml_schema *schema, struct opiml_error *err) {
    *fields = (struct convert_fields){.schema = *wanted};
    for (uint32_t i = 0; i < wanted->count; i++) {
        const struct opiml_field *field = &wanted->fields[i];
        int at = opiml_schema_find(schema, field->name);
        if (at < 0)
            return opiml_fail(err, OPIML_ECORRUPT, "it has no field \"%s\"", field->name);
        if (schema->fields[at].dtype != field->dtype || schema->fields[at].ndim != field->ndim)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "field \"%s\" is %s of %u dimensions instead of %s of %u",
                              field->name, opiml_dtype_text(schema->fields[at].dtype),
                              schema->fields[at].ndim, opiml_dtype_text(field->dtype), field->ndim);
        fields->from[i] = (uint32_t)at;
    }
    return 0;
}
