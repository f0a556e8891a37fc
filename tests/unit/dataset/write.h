/* What the writers' tests share: a folder, a schema, values, and a shard written of them. */
#ifndef TESTS_UNIT_DATASET_WRITE_H
#define TESTS_UNIT_DATASET_WRITE_H

#include "helper.h"

#include "base/conf.h"
#include "base/file.h"
#include "dataset/writer.h"

struct sample {
    char *folder;
    const struct writer *writer;
    void *params;
    struct opiml_schema schema;
    struct write_plan plan;
};

/* By the writer's name; fields are added to sample.schema. */
static inline void sample_init(struct sample *sample, const char *writer) {
    *sample = (struct sample){.folder = test_folder(), .writer = writer_find(writer)};
    assert_non_null(sample->writer);
    sample->params = base_alloc(sample->writer->params_bytes);
    if (sample->writer->params)
        conf_defaults(sample->writer->params, sample->params);
    sample->plan = (struct write_plan){
        .schema = &sample->schema, .params = sample->params, .root = sample->folder};
}

static inline void sample_release(struct sample *sample) {
    test_folder_remove(sample->folder);
    base_free(sample->params);
}

static inline void sample_set(struct sample *sample, const char *key, const char *value) {
    struct opiml_error err = {0};
    if (conf_set(sample->writer->params, sample->params, key, value, &err) < 0)
        fail_msg("%s", err.message);
}

static inline void sample_field(struct sample *sample, const char *name, uint32_t dtype,
                                uint32_t ndim, const int64_t *shape) {
    assert_int_equal(opiml_schema_add(&sample->schema, name, dtype, ndim, shape, 1 << 20, NULL), 0);
}

static inline struct opiml_value sample_value(const void *data, uint64_t bytes, int64_t size) {
    return (struct opiml_value){.data = (uint8_t *)data, .bytes = bytes, .shape = {size}};
}

/* As a conversion without a budget does it. */
static inline int sample_append(const struct writer *writer, void *state, uint64_t record,
                                const struct opiml_value *values, struct opiml_error *err) {
    int rc = writer->admit ? writer->admit(state, values, err) : 0;
    return rc < 0 ? rc : writer->append(state, record, values, err);
}

/* The check, then shard 0 of `count` records: values by record, then by field. */
static inline int sample_write(struct sample *sample, const struct opiml_value *values,
                               uint64_t count, struct opiml_error *err) {
    const struct writer *writer = sample->writer;
    const struct write_shard shard = {.plan = &sample->plan, .count = count};
    int rc = writer->check(&sample->plan, sample->params, err);
    if (rc == 0 && writer->prepare)
        rc = writer->prepare(&sample->plan, err);
    if (rc < 0)
        return rc;
    void *state = base_alloc(writer->state_bytes);
    if (!state)
        return base_fail_memory(err, writer->state_bytes, "a shard");
    rc = writer->begin(state, &shard, err);
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = sample_append(writer, state, i, values + i * sample->schema.count, err);
    if (rc == 0)
        rc = writer->finish(state, err);
    writer->release(state);
    base_free(state);
    return rc;
}

static inline void sample_written(struct sample *sample, const struct opiml_value *values,
                                  uint64_t count) {
    struct opiml_error err = {0};
    if (sample_write(sample, values, count, &err) < 0)
        fail_msg("%s", err.message);
}

/* The check says no, and why. */
static inline void sample_refused(struct sample *sample, const char *what) {
    struct opiml_error err = {0};
    int rc = sample->writer->check(&sample->plan, sample->params, &err);
    if (rc == 0 || !strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\"", err.message, what);
    assert_int_equal(rc, OPIML_EINVAL);
}

/* A file of the folder; the caller frees *ret_data. */
static inline size_t sample_file(struct sample *sample, const char *name, char **ret_data) {
    AUTO_FREE char *path = base_printf("%s/%s", sample->folder, name);
    struct opiml_error err = {0};
    size_t bytes = 0;
    if (file_read(path, MIB(16), ret_data, &bytes, &err) < 0)
        fail_msg("%s", err.message);
    return bytes;
}

static inline void assert_file(struct sample *sample, const char *name, const void *data,
                               size_t bytes) {
    AUTO_FREE char *got = NULL;
    assert_int_equal(sample_file(sample, name, &got), bytes);
    assert_memory_equal(got, data, bytes);
}

/* Let each allocation fail in turn: memory that is out is told, and nothing is left behind. */
static inline void sample_torture(struct sample *sample, const struct opiml_value *values,
                                  uint64_t count) {
    for (uint64_t n = 1;; n++) {
        struct opiml_error err = {0};
        uint64_t before = base_alloc_count();
        base_alloc_fail_at(n);
        int rc = sample_write(sample, values, count, &err);
        base_alloc_fail_at(0);
        if (base_alloc_count() - before < n) {
            assert_int_equal(rc, 0);
            return;
        }
        assert_int_equal(rc, OPIML_ENOMEM);
        assert_true(err.message[0]);
    }
}

/* The same records come out of the reader, byte for byte; with `more` before what describes them.
 */
static inline void sample_reads_back(struct sample *sample, const struct opiml_value *values,
                                     uint64_t count) {
    AUTO_TEXT struct text text = {0};
    text_printf(&text, "{uri: \".\", format: %s", sample->writer->name);
    if (sample->writer->describe)
        sample->writer->describe(&sample->plan, &text);
    text_add(&text, "}");
    struct dataset *dataset = test_opened(sample->folder, text.at);
    const struct opiml_schema *schema = dataset_schema(dataset);
    assert_int_equal(dataset_count(dataset), count);
    assert_int_equal(schema->count, sample->schema.count);
    for (uint64_t i = 0; i < count; i++) {
        struct test_record record;
        assert_int_equal(test_fetch(dataset, i, &record), 0);
        for (uint32_t f = 0; f < schema->count; f++) {
            const struct opiml_value *wanted = &values[i * sample->schema.count + f];
            int at = opiml_schema_find(schema, sample->schema.fields[f].name);
            assert_true(at >= 0);
            assert_int_equal(schema->fields[at].dtype, sample->schema.fields[f].dtype);
            assert_int_equal(record.values[at].bytes, wanted->bytes);
            assert_memory_equal(record.values[at].data, wanted->data, wanted->bytes);
            assert_memory_equal(record.values[at].shape, wanted->shape,
                                schema->fields[at].ndim * sizeof(wanted->shape[0]));
        }
        test_record_release(&record);
    }
    dataset_close(dataset);
}

#endif
