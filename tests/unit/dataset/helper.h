/* What the dataset module's tests share: tar archives made by hand, datasets opened and read. */
#ifndef TESTS_UNIT_DATASET_HELPER_H
#define TESTS_UNIT_DATASET_HELPER_H

#include "../test.h"

#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "base/base.h"
#include "dataset/dataset.h"

/* Set a path's times a minute back, so that an index of it is not too fresh to be trusted. */
static inline void test_age(const char *folder, const char *name) {
    char path[4096];
    struct timeval times[2];

    gettimeofday(&times[0], NULL);
    times[0].tv_sec -= 60;
    times[1] = times[0];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (utimes(path, times) != 0)
        abort();
}

static inline void test_mkdir(const char *folder, const char *name) {
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (mkdir(path, 0755) != 0)
        abort();
}

static inline void test_text(const char *folder, const char *name, const char *text) {
    test_write(folder, name, text, strlen(text));
}

static inline void test_remove(const char *folder, const char *name) {
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (remove(path) != 0)
        abort();
}

/* ---- tar ---- */

struct tar_file {
    uint8_t at[1 << 17];
    size_t bytes;
};

/* A header with its checksum; type 0 is an old file. */
static inline uint8_t *tar_header(struct tar_file *tar, const char *name, char type,
                                  uint64_t bytes) {
    uint8_t *header = tar->at + tar->bytes;
    char octal[32];
    unsigned sum = 0;

    memset(header, 0, 512);
    memcpy(header, name, strlen(name) > 100 ? 100 : strlen(name));
    memcpy(header + 100, "0000644\0", 8);
    snprintf(octal, sizeof(octal), "%011llo", (unsigned long long)bytes);
    memcpy(header + 124, octal, 12);
    header[156] = (uint8_t)type;
    memcpy(header + 257, "ustar\00000", 8);
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += header[i];
    snprintf(octal, sizeof(octal), "%06o", sum);
    memcpy(header + 148, octal, 7);
    tar->bytes += 512;
    return header;
}

static inline void tar_reseal(uint8_t *header) {
    char octal[32];
    unsigned sum = 0;

    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += header[i];
    snprintf(octal, sizeof(octal), "%06o", sum);
    memcpy(header + 148, octal, 7);
}

static inline void tar_data(struct tar_file *tar, const void *data, size_t bytes) {
    memset(tar->at + tar->bytes, 0, (bytes + 511) / 512 * 512);
    memcpy(tar->at + tar->bytes, data, bytes);
    tar->bytes += (bytes + 511) / 512 * 512;
}

static inline void tar_add(struct tar_file *tar, const char *name, const char *text) {
    tar_header(tar, name, '0', strlen(text));
    tar_data(tar, text, strlen(text));
}

static inline void tar_end(struct tar_file *tar) {
    memset(tar->at + tar->bytes, 0, 1024);
    tar->bytes += 1024;
}

/* ---- datasets ---- */

static inline struct dataset *test_open(const char *uri, const char *format) {
    struct dataset *dataset = NULL;
    struct opiml_error err = {0};

    if (dataset_open_uri(uri, &(struct dataset_ask){.format = format}, &dataset, &err) < 0)
        fail_msg("%s: %s", uri, err.message);
    return dataset;
}

/* Expects a failure; the message in err. */
static inline int test_open_fails(const char *uri, const char *format, struct opiml_error *err) {
    struct dataset *dataset = NULL;
    int rc = dataset_open_uri(uri, &(struct dataset_ask){.format = format}, &dataset, err);

    assert_null(dataset);
    return rc;
}

/* By the text of a mapping; the folder is the base of relative URIs. */
static inline int test_open_yaml(const char *folder, const char *text, struct dataset **ret_dataset,
                                 struct opiml_error *err) {
    AUTO_FREE char *name = base_printf("%s/p.yaml", folder);
    AUTO_YAML struct yaml *yaml = NULL;
    int rc = yaml_parse(text, strlen(text), name, &yaml, err);

    return rc < 0 ? rc : dataset_open(yaml, yaml->root, ret_dataset, err);
}

static inline struct dataset *test_opened(const char *folder, const char *yaml) {
    struct dataset *dataset = NULL;
    struct opiml_error err = {0};

    if (test_open_yaml(folder, yaml, &dataset, &err) < 0)
        fail_msg("%s", err.message);
    return dataset;
}

/* It cannot be opened, and the message says that. */
static inline void test_refused(const char *folder, const char *yaml, int code, const char *what) {
    struct dataset *dataset = NULL;
    struct opiml_error err = {0};
    int rc = test_open_yaml(folder, yaml, &dataset, &err);

    if (rc == 0 || !strstr(err.message, what))
        fail_msg("%s: \"%s\" lacks \"%s\"", yaml, err.message, what);
    assert_int_equal(rc, code);
}

/* A record read and parsed. Its memory lies here. */
struct test_record {
    uint8_t *memory, *scratch;
    struct source_read read;
    struct opiml_value values[OPIML_MAX_FIELDS];
    struct opiml_error err;
};

/* One read through a queue; the bytes it brought in *ret_bytes. */
static inline int test_read(struct dataset *dataset, const struct dataset_extent *extent,
                            uint8_t *to, struct test_record *record,
                            struct source_bytes *ret_bytes) {
    struct source *source = dataset_source(dataset);
    struct source_queue *queue;
    struct source_read *read = &record->read, *done = NULL;
    bool direct = dataset_direct(dataset);
    uint32_t room = source_room(extent->bytes, direct);

    *read = (struct source_read){.object = extent->object,
                                 .bytes = extent->bytes,
                                 .offset = extent->offset,
                                 .to = to,
                                 .room = room,
                                 .whole = extent->whole,
                                 .result = 1};
    if (source_queue_open(source, 1, direct, to, room, &queue, &record->err) < 0)
        fail_msg("%s", record->err.message);
    assert_int_equal(source->ops->submit(queue, &read, 1), 1);
    assert_int_equal(source->ops->wait(queue, &done, 1, UINT64_MAX), 1);
    assert_ptr_equal(done, read);
    source->ops->queue_close(queue);
    *ret_bytes = (struct source_bytes){to + read->skip, extent->bytes};
    return read->result;
}

static inline int test_fetch(struct dataset *dataset, uint64_t record, struct test_record *to) {
    struct source_bytes from[OPIML_MAX_FIELDS];
    uint8_t *at;

    memset(to, 0, sizeof(*to));
    at = to->memory = base_alloc_aligned(dataset_read_room(dataset, 4096), 4096);
    to->scratch = base_alloc_aligned(dataset_parse_bytes(dataset), 64);
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++) {
        struct dataset_extent extent;
        int rc;

        dataset_locate(dataset, record, i, &extent);
        if ((rc = test_read(dataset, &extent, at, to, &from[i])) < 0)
            return rc;
        at += base_align_up(to->read.room, 4096);
    }
    return dataset_parse(dataset, record, from, to->values, to->scratch, &to->err);
}

static inline void test_record_release(struct test_record *record) {
    base_free(record->memory);
    base_free(record->scratch);
}

static inline void assert_key(struct dataset *dataset, uint64_t record, const char *key) {
    char text[256];

    assert_string_equal(dataset_key(dataset, record, text, sizeof(text)), key);
}

/* The value of a field as text. */
static inline void assert_bytes(const struct opiml_value *value, const char *text) {
    assert_int_equal(value->bytes, strlen(text));
    assert_int_equal(value->shape[0], strlen(text));
    assert_memory_equal(value->data, text, strlen(text));
}

static inline void assert_i32(const struct opiml_value *value, int32_t number) {
    int32_t got;

    assert_int_equal(value->bytes, 4);
    memcpy(&got, value->data, 4);
    assert_int_equal(got, number);
}

/* Data of a fixed stream that looks random. */
static inline void test_noise(uint8_t *to, size_t bytes, uint32_t seed) {
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (uint8_t)(seed >> 24);
    }
}

#endif
