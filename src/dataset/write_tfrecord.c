/* TFRecord files of tf.train.Example messages (see format_tfrecord.c): f32 are float lists, scalar
 * and signed integers int64 lists, everything else one byte string of its little-endian elements.
 */
#include "base/hash.h"
#include "base/protobuf.h"
#include "batch/schema.h"
#include "dataset/write_file.h"
#include "dataset/writer.h"

#define MASK_DELTA 0xa282ead8u
#define FEATURE_BYTES_LIST 1
#define FEATURE_FLOAT_LIST 2
#define FEATURE_INT64_LIST 3

struct tfrecord_options {
    bool index;
};

static const struct opiml_param tfrecord_options[] = {
    {"index", "false",
     "Write an index beside each file: a line \"offset length\" a record, as tfrecord2idx does",
     offsetof(struct tfrecord_options, index), OPIML_PARAM_BOOL},
    {NULL},
};

struct tfrecord {
    const struct opiml_schema *schema;
    bool index;
    struct write_file file, lines;
    struct text example, feature, list;
};

static int tfrecord_check(struct write_plan *plan, void *params, struct opiml_error *err) {
    return write_check_fields(plan->schema, "tfrecord", false, err);
}

static bool is_wide_float(const struct opiml_field *field) {
    return field->dtype == OPIML_F64 || field->dtype == OPIML_F16 || field->dtype == OPIML_BF16;
}

/* Float lists are f32, which would change most numbers of other types. */
static void tfrecord_note(const struct write_plan *plan, struct text *to) {
    const struct opiml_field *first = NULL;
    uint32_t count = 0;
    for (uint32_t i = plan->schema->count; i-- > 0;)
        if (is_wide_float(&plan->schema->fields[i])) {
            first = &plan->schema->fields[i];
            count++;
        }
    if (count == 0)
        return;
    write_quoted(to, first->name);
    text_printf(to, " of type %s", opiml_dtype_text(first->dtype));
    if (count > 1)
        text_printf(to, " and %u more of types wider or narrower than f32", count - 1);
    text_printf(to,
                " went as raw bytes, since float lists are f32: tf.io.decode_raw reads "
                "them; f32 goes as float lists, as types: [\"NAME:f32\"] makes columns of csv\n");
}

static int tfrecord_begin(void *state, const struct write_shard *shard, struct opiml_error *err) {
    struct tfrecord *self = state;
    const struct tfrecord_options *options = shard->plan->params;
    self->schema = shard->plan->schema;
    self->index = options->index;
    AUTO_FREE char *path = write_shard_path(shard, ".tfrecord");
    AUTO_FREE char *lines = path ? base_printf("%s.idx", path) : NULL;
    if (!lines)
        return base_fail_memory(err, 0, "a path");
    int rc = write_file_open(&self->file, path, err);
    return rc < 0 || !self->index ? rc : write_file_open(&self->lines, lines, err);
}

/* ---- examples ---- */

/* A Feature: its one list. */
static void make_feature(struct tfrecord *self, const struct opiml_field *field,
                         const struct opiml_value *value) {
    size_t each = opiml_dtype_bytes(field->dtype);
    bool ints = field->dtype == OPIML_I8 || field->dtype == OPIML_U16 ||
                field->dtype == OPIML_I16 || field->dtype == OPIML_I32 ||
                field->dtype == OPIML_I64 || (field->dtype == OPIML_U8 && field->ndim == 0);
    self->feature.count = self->list.count = 0;
    if (field->dtype == OPIML_F32) {
        protobuf_add_head(&self->feature, 1, value->bytes);
        protobuf_add_head(&self->list, FEATURE_FLOAT_LIST, self->feature.count + value->bytes);
        text_add_bytes(&self->list, self->feature.at, self->feature.count);
        text_add_bytes(&self->list, value->data, value->bytes);
    } else if (ints) {
        AUTO_TEXT struct text numbers = {0};
        for (uint64_t i = 0; i < value->bytes; i += each)
            protobuf_add_varint(&numbers, (uint64_t)schema_read_int(field->dtype, value->data + i));
        protobuf_add_bytes(&self->feature, 1, numbers.at, numbers.count);
        protobuf_add_bytes(&self->list, FEATURE_INT64_LIST, self->feature.at, self->feature.count);
        self->feature.failed |= numbers.failed;
    } else {
        protobuf_add_head(&self->feature, 1, value->bytes);
        protobuf_add_head(&self->list, FEATURE_BYTES_LIST, self->feature.count + value->bytes);
        text_add_bytes(&self->list, self->feature.at, self->feature.count);
        text_add_bytes(&self->list, value->data, value->bytes);
    }
}

/* An entry of the Features' map into self->example, which has their fields only. */
static void add_entry(struct tfrecord *self, const char *name) {
    AUTO_TEXT struct text head = {0};
    protobuf_add_bytes(&head, 1, name, strlen(name));
    protobuf_add_head(&head, 2, self->list.count);
    protobuf_add_head(&self->example, 1, head.count + self->list.count);
    text_add_bytes(&self->example, head.at, head.count);
    text_add_bytes(&self->example, self->list.at, self->list.count);
    self->example.failed |= head.failed;
}

/* ---- records ---- */

static uint32_t masked(const void *data, size_t bytes) {
    uint32_t crc = hash_crc32c(data, bytes);
    return (crc >> 15 | crc << 17) + MASK_DELTA;
}

/* The message that append writes, in `feature`. */
static int tfrecord_admit(void *state, const struct opiml_value *values, struct opiml_error *err) {
    struct tfrecord *self = state;
    struct text *message = &self->feature;
    self->example.count = 0;
    for (uint32_t i = 0; i < self->schema->count; i++) {
        make_feature(self, &self->schema->fields[i], &values[i]);
        add_entry(self, self->schema->fields[i].name);
    }
    message->count = 0;
    protobuf_add_bytes(message, 1, self->example.at, self->example.count);
    if (message->failed || self->example.failed || self->list.failed)
        return base_fail_memory(err, self->example.count, "a record");
    return message->count + 16 > INT32_MAX ? opiml_fail(err, OPIML_ELIMIT, "more than 2 GiB") : 0;
}

static int tfrecord_append(void *state, uint64_t record, const struct opiml_value *values,
                           struct opiml_error *err) {
    struct tfrecord *self = state;
    const struct text *message = &self->feature;
    uint64_t offset = write_file_bytes(&self->file), length = message->count;
    uint32_t crc = masked(&length, sizeof(length)), data_crc = masked(message->at, length);
    int rc = write_file_add(&self->file, &length, sizeof(length), err);
    if (rc == 0)
        rc = write_file_add(&self->file, &crc, sizeof(crc), err);
    if (rc == 0)
        rc = write_file_add(&self->file, message->at, length, err);
    if (rc == 0)
        rc = write_file_add(&self->file, &data_crc, sizeof(data_crc), err);
    if (rc < 0 || !self->index)
        return rc;
    char line[64];
    int n = snprintf(line, sizeof(line), "%" PRIu64 " %" PRIu64 "\n", offset, length + 16);
    return write_file_add(&self->lines, line, (size_t)n, err);
}

static int tfrecord_finish(void *state, struct opiml_error *err) {
    struct tfrecord *self = state;
    int rc = write_file_commit(&self->file, true, err);
    return rc < 0 || !self->index ? rc : write_file_commit(&self->lines, true, err);
}

static void tfrecord_release(void *state) {
    struct tfrecord *self = state;
    text_release(&self->example);
    text_release(&self->feature);
    text_release(&self->list);
    write_file_release(&self->file);
    write_file_release(&self->lines);
}

const struct writer writer_tfrecord = {
    .name = "tfrecord",
    .help = "TFRecord files of tf.train.Example messages",
    .params = tfrecord_options,
    .params_bytes = sizeof(struct tfrecord_options),
    .state_bytes = sizeof(struct tfrecord),
    .check = tfrecord_check,
    .describe = write_describe_fields,
    .note = tfrecord_note,
    .begin = tfrecord_begin,
    .admit = tfrecord_admit,
    .append = tfrecord_append,
    .finish = tfrecord_finish,
    .release = tfrecord_release,
};
