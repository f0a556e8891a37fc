/* Records of fixed size, one after the other, in one file or several in order of name. Numbers are
 * little-endian; each record holds the declared fields without gaps. */
#include "dataset/fields.h"
#include "dataset/format.h"

struct raw_params {
    struct opiml_text_list fields;
    uint64_t header_bytes;
};

static const struct opiml_param raw_params[] = {
    {"fields", NULL,
     "What a record holds, in order: name:dtype:shape each, such as [\"image:u8:32x32x3\", "
     "\"label:i32\"]",
     offsetof(struct raw_params, fields), OPIML_PARAM_TEXT_LIST},
    {"header_bytes", "0", "Bytes before the first record of each file (bytes)",
     offsetof(struct raw_params, header_bytes), OPIML_PARAM_U64},
    {NULL},
};

static bool raw_takes(const char *key) {
    static const char *const extensions[] = {"bin", "raw", "dat", NULL};
    return format_has_extension(key, extensions);
}

static int read_fields(const struct raw_params *params, struct opiml_schema *schema,
                       uint64_t *ret_bytes, struct opiml_error *err) {
    uint64_t bytes = 0;
    if (params->fields.count == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "format raw: say what a record holds, which takes a pipeline file: "
                          "dataset: {uri: ..., format: raw, fields: [\"image:u8:32x32x3\", "
                          "\"label:i32\"]}");
    int rc = fields_add(schema, &params->fields, 0, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < schema->count; i++) {
        bytes += schema->fields[i].max_bytes;
        if (bytes > INT32_MAX)
            return opiml_fail(err, OPIML_ELIMIT, "fields: a record of more than 2 GiB");
    }
    *ret_bytes = bytes;
    return 0;
}

static int raw_build(struct source *source, const struct source_listing *listing,
                     const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct raw_params *raw = params;
    int rc = read_fields(raw, &draft->schema, &draft->record_bytes, err);
    if (rc < 0)
        return rc;
    draft->lead_bytes = raw->header_bytes;
    draft->first = base_alloc_array(listing->count, sizeof(*draft->first));
    if (!draft->first)
        return base_fail_memory(err, listing->count * sizeof(*draft->first), "an index");
    for (size_t i = 0; i < listing->count; i++) {
        const struct source_object *object = &listing->objects[i];
        draft->first[i] = draft->like_records;
        if (object->bytes < raw->header_bytes)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "%s%s at offset %" PRIu64 ": the file ends within its header of "
                              "%" PRIu64 " bytes",
                              source->prefix, object->key, object->bytes, raw->header_bytes);
        uint64_t body = object->bytes - raw->header_bytes, stray = body % draft->record_bytes;
        if (stray)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "%s%s at offset %" PRIu64 ": %" PRIu64 " stray bytes after the last "
                              "record of %" PRIu64 " bytes; see fields and header_bytes",
                              source->prefix, object->key, object->bytes - stray, stray,
                              draft->record_bytes);
        draft->like_records +=
            index_alike(object->bytes, raw->header_bytes, draft->record_bytes, draft->record_bytes);
    }
    return 0;
}

static bool raw_check(const struct index *index, const void *params) {
    const struct raw_params *raw = params;
    struct opiml_schema schema = {0};
    uint64_t bytes = 0;
    return read_fields(raw, &schema, &bytes, NULL) == 0 && bytes == index->header->record_bytes &&
           raw->header_bytes == index->header->lead_bytes && schema.count == index->schema.count &&
           memcmp(schema.fields, index->schema.fields, schema.count * sizeof(schema.fields[0])) ==
               0;
}

static int raw_parse(const struct index *index, const void *params, uint64_t record,
                     const struct source_bytes *from, struct opiml_value *values, uint8_t *scratch,
                     struct opiml_error *err) {
    const uint8_t *data = from->at;
    uint32_t bytes = from->bytes;
    uint64_t at = 0;
    if (bytes != index->header->record_bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "a record of %u bytes instead of %" PRIu64, bytes,
                          index->header->record_bytes);
    for (uint32_t i = 0; i < index->schema.count; i++) {
        const struct opiml_field *field = &index->schema.fields[i];
        format_take(field, data + at, field->max_bytes, &scratch, &values[i]);
        at += field->max_bytes;
    }
    return 0;
}

static bool raw_parse_is_light(const void *params) {
    return true;
}

static uint64_t raw_scratch(const struct index *index) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < index->schema.count; i++)
        if (opiml_dtype_bytes(index->schema.fields[i].dtype) > 1)
            bytes += base_align_up(index->schema.fields[i].max_bytes, 8);
    return bytes;
}

const struct format format_raw = {
    .name = "raw",
    .help = "Records of fixed size; the parameters say which fields they hold",
    .params = raw_params,
    .params_bytes = sizeof(struct raw_params),
    .shards = true,
    .takes = raw_takes,
    .build = raw_build,
    .check = raw_check,
    .parse = raw_parse,
    .parse_is_light = raw_parse_is_light,
    .scratch_bytes = raw_scratch,
};
