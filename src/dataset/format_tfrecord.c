/* TFRecord files of tf.train.Example messages (TensorFlow's guide "TFRecord and tf.train.Example",
 * tensorflow/core/lib/io/record_writer.h). Each record is framed by its length and two masked
 * CRC-32Cs, so a shard is indexed by going from length to length, or by the index file beside it
 * ("offset length" lines, as NVIDIA DALI's tfrecord2idx writes them). */
#include "dataset/format.h"

#include "base/hash.h"
#include "base/text.h"
#include "dataset/example.h"
#include "dataset/fields.h"
#include "dataset/parallel.h"
#include "dataset/peek.h"

#define HEADER_BYTES 12 /* the length, and its CRC */
#define FRAME_BYTES 16  /* and the data's CRC behind them */
#define INDEX_BYTES_MAX MIB(256)
#define INFER_RECORDS 100

struct tfrecord_params {
    struct opiml_text_list fields;
    bool crc;
};

static const struct opiml_param tfrecord_params[] = {
    {"fields", "",
     "Features to take, in order: name:dtype:shape each, such as [\"image:u8:*\", \"label:i32\"]; "
     "none: all that the first sound record has",
     offsetof(struct tfrecord_params, fields), OPIML_PARAM_TEXT_LIST},
    {"crc", "true", "Check each record's CRC", offsetof(struct tfrecord_params, crc),
     OPIML_PARAM_BOOL},
    {NULL},
};

static bool tfrecord_takes(const char *key) {
    static const char *const extensions[] = {"tfrecord", "tfrecords", "tfrec", NULL};
    return format_has_extension(key, extensions);
}

static uint32_t masked_crc(const uint8_t *data, uint64_t bytes) {
    uint32_t crc = hash_crc32c(data, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static bool crc_fits(const uint8_t *data, uint64_t bytes, const uint8_t *crc) {
    uint32_t wanted;
    memcpy(&wanted, crc, sizeof(wanted));
    return masked_crc(data, bytes) == wanted;
}

static int check_frame(const struct tfrecord_params *params, const uint8_t *data, uint32_t bytes,
                       struct opiml_error *err) {
    uint64_t length;
    if (bytes < FRAME_BYTES)
        return opiml_fail(err, OPIML_ECORRUPT, "a record of %u bytes", bytes);
    memcpy(&length, data, sizeof(length));
    if (length != bytes - FRAME_BYTES)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "the record's length is %" PRIu64 "; by its index it is %u", length,
                          bytes - FRAME_BYTES);
    if (params->crc && !crc_fits(data + HEADER_BYTES, length, data + HEADER_BYTES + length))
        return opiml_fail(err, OPIML_ECORRUPT, "the record's CRC is wrong");
    return 0;
}

/* ---- indexing ---- */

struct scan {
    struct source *source;
    const struct source_listing *listing;
    struct index_rows *rows; /* per object */
};

static int add_record(struct scan *scan, size_t object, uint64_t offset, uint64_t bytes,
                      struct opiml_error *err) {
    const struct index_record record = {
        .offset = offset, .bytes = (uint32_t)bytes, .object = (uint32_t)object};
    if (bytes > INT32_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "at offset %" PRIu64 ": a record of more than 2 GiB",
                          offset);
    return index_rows_add(&scan->rows[object], &record, NULL, NULL, 0, err);
}

/* What stands where a record's length should. */
static int fail_length(const uint8_t *header, uint64_t offset, struct opiml_error *err) {
    bool gzip = header[0] == 0x1f && header[1] == 0x8b;
    bool zlib = header[0] == 0x78 && (header[0] << 8 | header[1]) % 31 == 0;
    if (offset == 0 && (gzip || zlib))
        return opiml_fail(err, OPIML_ENOTSUP,
                          "at offset 0: a compressed file, which cannot be read at random; "
                          "uncompress it");
    return opiml_fail(err, OPIML_ECORRUPT,
                      "at offset %" PRIu64 ": the CRC of the record's length is wrong", offset);
}

/* From length to length. */
static int walk_records(struct scan *scan, size_t i, struct opiml_error *err) {
    const struct source_object *object = &scan->listing->objects[i];
    struct peek_object at = {scan->source, object->key};
    CLEANUP(peek_release) struct peek peek;
    int rc = peek_init(&peek, peek_object, &at, err);
    for (uint64_t offset = 0, length; rc == 0 && offset < object->bytes;
         offset += FRAME_BYTES + length) {
        const uint8_t *header = peek_at(&peek, offset, HEADER_BYTES, err);
        if (!header)
            return err->code;
        memcpy(&length, header, sizeof(length));
        if (!crc_fits(header, sizeof(length), header + sizeof(length)))
            return fail_length(header, offset, err);
        if (length > object->bytes - offset || length + FRAME_BYTES > object->bytes - offset)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "at offset %" PRIu64 ": a record of %" PRIu64
                              " bytes, of which the file has %" PRIu64,
                              offset, length + FRAME_BYTES, object->bytes - offset);
        rc = add_record(scan, i, offset, length + FRAME_BYTES, err);
    }
    return rc;
}

/* "offset length" lines that cover the file without a gap; anything else is not its index, and the
 * file itself will be asked. */
static bool read_lines(struct scan *scan, size_t i, char *text) {
    uint64_t offset = 0, bytes = scan->listing->objects[i].bytes;
    struct opiml_error ignored;
    for (char *line = text, *end; *line; line = end) {
        uint64_t from = strtoull(line, &end, 10),
                 length = *end == ' ' ? strtoull(end, &end, 10) : 0;
        if (from != offset || length < FRAME_BYTES || length > bytes - offset)
            return false;
        end += strspn(end, "\r\n");
        offset += length;
        if (add_record(scan, i, from, length, &ignored) < 0)
            return false;
    }
    return offset == bytes;
}

static bool read_index(struct scan *scan, size_t i, const char *key) {
    struct source_object object;
    struct opiml_error ignored;
    const struct source_ops *ops = scan->source->ops;
    if (ops->stat(scan->source, key, &object, &ignored) < 0 || object.bytes > INDEX_BYTES_MAX)
        return false;
    AUTO_FREE char *text = base_alloc(object.bytes + 1);
    if (!text ||
        ops->read(scan->source, key, text, object.bytes, 0, &ignored) != (int64_t)object.bytes)
        return false;
    if (read_lines(scan, i, text))
        return true;
    index_rows_release(&scan->rows[i]);
    return false;
}

/* "a.tfrecord.idx", or "a.idx". */
static bool has_index(struct scan *scan, size_t i) {
    const char *key = scan->listing->objects[i].key, *dot = strrchr(key, '.');
    AUTO_FREE char *behind = base_printf("%s.idx", key);
    AUTO_FREE char *instead = base_printf("%.*s.idx", dot ? (int)(dot - key) : 0, key);
    return (behind && read_index(scan, i, behind)) || (instead && read_index(scan, i, instead));
}

static int scan_shard(void *context, size_t i, struct opiml_error *err) {
    struct scan *scan = context;
    const struct peek_object at = {scan->source, scan->listing->objects[i].key};
    struct opiml_error why = {0};
    int rc = has_index(scan, i) ? 0 : walk_records(scan, i, &why);
    return rc < 0 ? peek_fail(&at, rc, &why, err) : 0;
}

/* ---- fields ---- */

/* Most bytes of a varying value, of which a record of so many holds no more: of an integer's type a
 * varint of one byte may stand for each. */
static uint64_t varying_bytes(uint32_t dtype, uint64_t record_bytes) {
    bool integer = dtype == OPIML_I8 || dtype == OPIML_U16 || dtype == OPIML_I16 ||
                   dtype == OPIML_I32 || dtype == OPIML_I64;
    return integer ? record_bytes * opiml_dtype_bytes(dtype) : record_bytes;
}

static int declared(const struct tfrecord_params *params, uint64_t record_bytes,
                    struct opiml_schema *schema, struct opiml_error *err) {
    return fields_add_varying(schema, &params->fields, varying_bytes, record_bytes, err);
}

struct found {
    char name[OPIML_NAME_BYTES]; /* first, for fields_by_name */
    uint32_t dtype;
    int64_t count; /* of values; -1 varies */
};

static int look_at(const struct example_feature *feature, struct found *found,
                   struct opiml_error *err) {
    snprintf(found->name, sizeof(found->name), "%.*s", (int)base_min_u64(feature->name_bytes, 100),
             (const char *)feature->name);
    if (feature->name_bytes >= sizeof(found->name))
        return opiml_fail(err, OPIML_ELIMIT, "feature \"%s...\" has a name of more than %d bytes",
                          found->name, OPIML_NAME_BYTES - 1);
    found->count = -1;
    switch (feature->kind) {
    case EXAMPLE_BYTES:
        found->dtype = OPIML_U8;
        if (example_get_bytes(feature, NULL, 0, err) > 1)
            return opiml_fail(err, OPIML_ENOTSUP,
                              "feature \"%s\" has several byte strings; say with `fields` which "
                              "others to take",
                              found->name);
        return 0;
    case EXAMPLE_FLOATS:
        found->dtype = OPIML_F32;
        found->count = example_get_floats(feature, NULL, 0, err);
        break;
    case EXAMPLE_INTS:
        found->dtype = strcmp(found->name, "label") == 0 ? OPIML_I32 : OPIML_I64;
        found->count = example_get_ints(feature, found->dtype, NULL, 0, err);
        break;
    case EXAMPLE_NONE: return 0;
    }
    return found->count < 0 ? (int)found->count : 0;
}

static int infer(const uint8_t *data, uint64_t bytes, uint64_t record_bytes,
                 struct opiml_schema *schema, struct opiml_error *err) {
    struct found found[OPIML_MAX_FIELDS];
    struct example_feature feature;
    struct example example;
    uint32_t count = 0;
    int rc;
    example_init(&example, data, bytes);
    while ((rc = example_next(&example, &feature, err)) == 1) {
        if (feature.kind == EXAMPLE_NONE)
            continue;
        if (count == OPIML_MAX_FIELDS)
            return opiml_fail(err, OPIML_ELIMIT,
                              "more than %d features; say with `fields` which to take",
                              OPIML_MAX_FIELDS);
        if ((rc = look_at(&feature, &found[count++], err)) < 0)
            return rc;
    }
    qsort(found, count, sizeof(found[0]), fields_by_name);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        int64_t shape[1] = {found[i].count == 0 ? -1 : found[i].count};
        rc = opiml_schema_add(schema, found[i].name, found[i].dtype, found[i].count != 1, shape,
                              varying_bytes(found[i].dtype, record_bytes), err);
    }
    if (rc == 0 && schema->count == 0)
        return opiml_fail(err, OPIML_EINVAL, "a tf.train.Example without features");
    return rc;
}

static int infer_from(struct source *source, const struct source_listing *listing,
                      const struct tfrecord_params *params, const struct index_record *record,
                      uint64_t record_bytes, struct opiml_schema *schema, struct opiml_error *err) {
    const char *key = listing->objects[record->object].key;
    AUTO_FREE uint8_t *data = base_alloc(record->bytes);
    struct opiml_error why;
    if (!data)
        return base_fail_memory(err, record->bytes, "a record");
    int64_t got = source->ops->read(source, key, data, record->bytes, record->offset, err);
    if (got < 0)
        return (int)got;
    int rc = check_frame(params, data, (uint32_t)got, &why);
    if (rc == 0)
        rc = infer(data + HEADER_BYTES, (uint64_t)got - FRAME_BYTES, record_bytes, schema, &why);
    return rc < 0 ? opiml_fail(err, rc, "%s%s at offset %" PRIu64 ": %s", source->prefix, key,
                               record->offset, why.message)
                  : 0;
}

/* The fields that the first record has, or when it is damaged the first sound one of some. */
static int infer_fields(struct source *source, const struct source_listing *listing,
                        const struct tfrecord_params *params, const struct index_rows *rows,
                        uint64_t record_bytes, struct opiml_schema *schema,
                        struct opiml_error *err) {
    struct opiml_error why;
    int rc = infer_from(source, listing, params, &rows->records[0], record_bytes, schema, err);
    for (size_t i = 1; rc == OPIML_ECORRUPT && i < rows->count && i < INFER_RECORDS; i++) {
        *schema = (struct opiml_schema){0};
        if (infer_from(source, listing, params, &rows->records[i], record_bytes, schema, &why) == 0)
            return 0;
    }
    return rc;
}

static int tfrecord_build(struct source *source, const struct source_listing *listing,
                          const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct tfrecord_params *tfrecord = params;
    struct scan scan = {source, listing, base_alloc_array(listing->count, sizeof(*scan.rows))};
    if (!scan.rows)
        return base_fail_memory(err, listing->count * sizeof(*scan.rows), "an index");
    int rc = parallel_do(listing->count, 0, scan_shard, &scan, err);
    uint64_t record_bytes = 0;
    for (size_t i = 0; i < listing->count; i++) {
        if (rc == 0)
            rc = index_rows_join(&draft->rows, &scan.rows[i], 0, err);
        index_rows_release(&scan.rows[i]);
    }
    base_free(scan.rows);
    for (size_t i = 0; i < draft->rows.count; i++)
        record_bytes = base_max_u64(record_bytes, draft->rows.records[i].bytes);
    if (rc < 0 || draft->rows.count == 0)
        return rc;
    return tfrecord->fields.count > 0 ? declared(tfrecord, record_bytes, &draft->schema, err)
                                      : infer_fields(source, listing, tfrecord, &draft->rows,
                                                     record_bytes, &draft->schema, err);
}

static bool tfrecord_check(const struct index *index, const void *params) {
    const struct tfrecord_params *tfrecord = params;
    const struct opiml_schema *schema = &index->schema;
    struct opiml_schema wanted = {0};
    if (!index->records || index->header->parts != 0)
        return false;
    if (tfrecord->fields.count > 0)
        return declared(tfrecord, index->header->max_read, &wanted, NULL) == 0 &&
               wanted.count == schema->count &&
               memcmp(wanted.fields, schema->fields, wanted.count * sizeof(wanted.fields[0])) == 0;
    for (uint32_t i = 0; i < schema->count; i++)
        if (schema->fields[i].ndim > 1 ||
            (!opiml_field_fixed(&schema->fields[i]) &&
             schema->fields[i].max_bytes !=
                 varying_bytes(schema->fields[i].dtype, index->header->max_read)))
            return false;
    return true;
}

/* ---- reading ---- */

static bool is_bytes(const struct opiml_field *field) {
    return field->dtype == OPIML_U8 && !opiml_field_fixed(field);
}

static int wrong_count(const struct opiml_field *field, int64_t count, const char *what,
                       struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT,
                      "feature \"%s\" has %" PRId64 " %s, which are no %s of its shape",
                      field->name, count, what, opiml_dtype_text(field->dtype));
}

/* Numbers into the scratch; their count comes first, since they may not fit. */
static int take_numbers(const struct opiml_field *field, const struct example_feature *feature,
                        uint8_t **scratch, struct opiml_value *value, struct opiml_error *err) {
    bool ints = feature->kind == EXAMPLE_INTS;
    size_t each = opiml_dtype_bytes(field->dtype);
    uint64_t room = field->max_bytes / each;
    struct opiml_error why;
    int64_t count;
    if (is_bytes(field) || (ints ? field->dtype == OPIML_F16 || field->dtype == OPIML_BF16 ||
                                       field->dtype == OPIML_F32 || field->dtype == OPIML_F64
                                 : field->dtype != OPIML_F32))
        return opiml_fail(err, OPIML_ECORRUPT, "feature \"%s\" holds %s, not %s", field->name,
                          ints ? "integers" : "floats", opiml_dtype_text(field->dtype));
    count = ints ? example_get_ints(feature, field->dtype, *scratch, room, &why)
                 : example_get_floats(feature, (float *)(void *)*scratch, room, &why);
    if (count < 0)
        return opiml_fail(err, (int)count, "feature \"%s\": %s", field->name, why.message);
    *value = (struct opiml_value){.data = *scratch, .bytes = (uint64_t)count * each};
    if ((uint64_t)count > room || !format_fit(field, (uint64_t)count, value->shape))
        return wrong_count(field, count, ints ? "integers" : "floats", err);
    *scratch += base_align_up(value->bytes, 8);
    return 0;
}

static int take_feature(const struct opiml_field *field, const struct example_feature *feature,
                        uint8_t **scratch, struct opiml_value *value, struct opiml_error *err) {
    struct example_bytes bytes;
    struct opiml_error why;
    int64_t count;
    if (feature->kind == EXAMPLE_NONE)
        return opiml_fail(err, OPIML_ECORRUPT, "it has no feature \"%s\"", field->name);
    if (feature->kind != EXAMPLE_BYTES)
        return take_numbers(field, feature, scratch, value, err);
    count = example_get_bytes(feature, &bytes, 1, &why);
    if (count < 0)
        return opiml_fail(err, (int)count, "feature \"%s\": %s", field->name, why.message);
    if (count != 1)
        return opiml_fail(err, OPIML_ECORRUPT,
                          "feature \"%s\" has %" PRId64 " byte strings instead of one", field->name,
                          count);
    return format_take(field, bytes.at, bytes.bytes, scratch, value)
               ? 0
               : wrong_count(field, (int64_t)bytes.bytes, "bytes", err);
}

/* The features by field. They come in any order, mostly the same in each record. */
static int find_features(const struct opiml_schema *schema, const uint8_t *data, uint64_t bytes,
                         struct example_feature found[OPIML_MAX_FIELDS], struct opiml_error *err) {
    struct example_feature feature;
    struct example example;
    uint32_t next = 0;
    int rc;
    for (uint32_t i = 0; i < schema->count; i++)
        found[i].kind = EXAMPLE_NONE;
    example_init(&example, data, bytes);
    while ((rc = example_next(&example, &feature, err)) == 1)
        for (uint32_t i = 0; i < schema->count; i++, next++) {
            const char *name = schema->fields[next % schema->count].name;
            if (strlen(name) != feature.name_bytes ||
                memcmp(name, feature.name, feature.name_bytes) != 0)
                continue;
            found[next++ % schema->count] = feature;
            break;
        }
    return rc;
}

static int tfrecord_parse(const struct index *index, const void *params, uint64_t record,
                          const struct source_bytes *from, struct opiml_value *values,
                          uint8_t *scratch, struct opiml_error *err) {
    const uint8_t *data = from->at;
    uint32_t bytes = from->bytes;
    struct example_feature found[OPIML_MAX_FIELDS];
    const struct opiml_schema *schema = &index->schema;
    int rc = check_frame(params, data, bytes, err);
    if (rc == 0)
        rc = find_features(schema, data + HEADER_BYTES, bytes - FRAME_BYTES, found, err);
    for (uint32_t i = 0; rc == 0 && i < schema->count; i++)
        rc = take_feature(&schema->fields[i], &found[i], &scratch, &values[i], err);
    return rc;
}

static bool tfrecord_parse_is_light(const void *params) {
    return !((const struct tfrecord_params *)params)->crc;
}

static uint64_t tfrecord_scratch(const struct index *index) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < index->schema.count; i++)
        if (!is_bytes(&index->schema.fields[i]))
            bytes += base_align_up(index->schema.fields[i].max_bytes, 8);
    return bytes;
}

const struct format format_tfrecord = {
    .name = "tfrecord",
    .help = "TFRecord files of tf.train.Example messages; features are fields",
    .params = tfrecord_params,
    .params_bytes = sizeof(struct tfrecord_params),
    .shards = true,
    .found_by_looking = true,
    .takes = tfrecord_takes,
    .build = tfrecord_build,
    .check = tfrecord_check,
    .parse = tfrecord_parse,
    .parse_is_light = tfrecord_parse_is_light,
    .scratch_bytes = tfrecord_scratch,
};
