/* What the conversion's tests share: a table of rows, and a conversion of it. */
#ifndef TESTS_UNIT_DATASET_CONVERT_H
#define TESTS_UNIT_DATASET_CONVERT_H

#include "helper.h"

#include "base/conf.h"
#include "base/file.h"
#include "dataset/convert.h"

#define ROWS 20

/* ROWS lines of JSON in rows.jsonl; with `bad` below ROWS that row is none. */
static inline struct dataset *convert_rows(const char *folder, int bad) {
    AUTO_TEXT struct text text = {0};
    for (int i = 0; i < ROWS; i++)
        text_printf(&text,
                    i == bad ? "{\"label\": %d, \"x\": [0.5, oh]}\n"
                             : "{\"label\": %d, \"x\": [0.5, 1.25]}\n",
                    i);
    test_write(folder, "rows.jsonl", text.at, text.count);
    return test_opened(folder, "{uri: rows.jsonl, fields: [\"label:i32\", \"x:f64:2\"]}");
}

/* Convert into folder/to, or folder/NAME of a single file, in shards of six. */
static inline int convert_into(struct dataset *from, const char *folder, const char *name,
                               const char *writer, const struct convert_ask *more,
                               struct convert_report *ret_report, struct opiml_error *err) {
    AUTO_FREE char *to = base_printf("%s/%s", folder, name);
    struct convert_ask ask = *more;
    ask.writer = writer_find(writer);
    AUTO_FREE void *params = base_alloc(ask.writer->params_bytes);
    if (!to || !params)
        return base_fail_memory(err, 0, "a test");
    if (ask.writer->params)
        conf_defaults(ask.writer->params, params);
    ask.from = from;
    ask.to = to;
    ask.params = params;
    ask.shard_records = ask.shard_records ? ask.shard_records : 6;
    return convert_run(&ask, ret_report, err);
}

static inline void converted(struct dataset *from, const char *folder, const char *name,
                             const char *writer, const struct convert_ask *more,
                             struct convert_report *ret_report) {
    struct opiml_error err = {0};
    if (convert_into(from, folder, name, writer, more, ret_report, &err) < 0)
        fail_msg("%s", err.message);
}

static inline void convert_refused(struct dataset *from, const char *folder, const char *name,
                                   const char *writer, const struct convert_ask *more, int code,
                                   const char *what) {
    struct convert_report report;
    struct opiml_error err = {0};
    int rc = convert_into(from, folder, name, writer, more, &report, &err);
    if (rc == 0 || !strstr(err.message, what))
        fail_msg("\"%s\" lacks \"%s\"", err.message, what);
    assert_int_equal(rc, code);
}

/* The content of a file below the folder; the caller frees. */
static inline char *convert_file(const char *folder, const char *name, size_t *ret_bytes) {
    AUTO_FREE char *path = base_printf("%s/%s", folder, name);
    char *data = NULL;
    struct opiml_error err = {0};
    if (file_read(path, MIB(1), &data, ret_bytes, &err) < 0)
        fail_msg("%s", err.message);
    return data;
}

static inline void assert_same_file(const char *folder, const char *a, const char *b) {
    size_t bytes = 0, more = 0;
    AUTO_FREE char *one = convert_file(folder, a, &bytes);
    AUTO_FREE char *other = convert_file(folder, b, &more);
    assert_int_equal(bytes, more);
    assert_memory_equal(one, other, bytes);
}

#endif
