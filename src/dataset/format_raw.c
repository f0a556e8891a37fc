/* Records of fixed size, one after the other, in one file or several in order of name. Numbers are
 * little-endian; each record holds the declared fields without gaps. */
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

/* "32x32x3": false when it is no shape. */
static bool read_shape(const char *text, int64_t shape[OPIML_MAX_DIMS], uint32_t *ret_ndim) {
    uint32_t ndim = 0;
    while (*text) {
        char *end;
        if (*text < '1' || *text > '9' || ndim == OPIML_MAX_DIMS)
            return false;
        long long size = strtoll(text, &end, 10);
        if (size > INT32_MAX || (*end != '\0' && *end != 'x') || (*end == 'x' && !end[1]))
            return false;
        shape[ndim++] = size;
        text = *end ? end + 1 : end;
    }
    *ret_ndim = ndim;
    return true;
}

static int add_field(struct opiml_schema *schema, const char *text, struct opiml_error *err) {
    char name[OPIML_NAME_BYTES], dtype[8] = "";
    int64_t shape[OPIML_MAX_DIMS];
    uint32_t ndim = 0;
    const char *colon = strchr(text, ':');
    const char *second = colon ? strchr(colon + 1, ':') : NULL;
    if (!colon || colon == text)
        return opiml_fail(err, OPIML_EINVAL,
                          "fields: \"%s\" is not name:dtype:shape, such as image:u8:32x32x3", text);
    size_t dtype_bytes = second ? (size_t)(second - colon - 1) : strlen(colon + 1);
    snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
    if (dtype_bytes < sizeof(dtype))
        memcpy(dtype, colon + 1, dtype_bytes);
    uint32_t type = opiml_dtype_parse(dtype);
    if (type == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "fields: \"%s\": \"%.*s\" is no dtype; there are u8, i8, u16, i16, i32, "
                          "i64, f16, bf16, f32, f64",
                          text, (int)dtype_bytes, colon + 1);
    if (second && !read_shape(second + 1, shape, &ndim))
        return opiml_fail(
            err, OPIML_EINVAL,
            "fields: \"%s\": \"%s\" is no shape of 1 to %d dimensions, such as 32x32x3", text,
            second + 1, OPIML_MAX_DIMS);
    return opiml_schema_add(schema, name, type, ndim, shape, 0, err);
}

static int read_fields(const struct raw_params *params, struct opiml_schema *schema,
                       uint64_t *ret_bytes, struct opiml_error *err) {
    uint64_t bytes = 0;
    if (params->fields.count == 0)
        return opiml_fail(err, OPIML_EINVAL,
                          "format raw: say what a record holds, such as fields: "
                          "[\"image:u8:32x32x3\", \"label:i32\"]");
    for (uint32_t i = 0; i < params->fields.count; i++) {
        int rc = add_field(schema, params->fields.at[i], err);
        if (rc < 0)
            return rc;
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
        draft->like_records += body / draft->record_bytes;
    }
    return 0;
}

static bool raw_check(const struct index *index, const void *params) {
    const struct raw_params *raw = params;
    struct opiml_schema schema = {0};
    uint64_t bytes;
    return read_fields(raw, &schema, &bytes, NULL) == 0 && bytes == index->header->record_bytes &&
           raw->header_bytes == index->header->lead_bytes && schema.count == index->schema.count &&
           memcmp(schema.fields, index->schema.fields, schema.count * sizeof(schema.fields[0])) ==
               0;
}

static int raw_parse(const struct index *index, const void *params, uint64_t record,
                     const uint8_t *data, uint32_t bytes, struct opiml_value *values,
                     uint8_t *scratch, struct opiml_error *err) {
    uint64_t at = 0;
    if (bytes != index->header->record_bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "a record of %u bytes instead of %" PRIu64, bytes,
                          index->header->record_bytes);
    for (uint32_t i = 0; i < index->schema.count; i++) {
        const struct opiml_field *field = &index->schema.fields[i];
        const uint8_t *from = data + at;
        /* Numbers are handed out where they may be read as such. */
        if ((uintptr_t)from % opiml_dtype_bytes(field->dtype) != 0) {
            memcpy(scratch, from, field->max_bytes);
            from = scratch;
            scratch += base_align_up(field->max_bytes, 8);
        }
        values[i] = (struct opiml_value){.data = (uint8_t *)from, .bytes = field->max_bytes};
        memcpy(values[i].shape, field->shape, sizeof(field->shape));
        at += field->max_bytes;
    }
    return 0;
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
    .scratch_bytes = raw_scratch,
};
