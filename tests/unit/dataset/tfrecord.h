/* TFRecord files made by hand, for tests: frames around tf.train.Example messages. */
#ifndef TESTS_UNIT_DATASET_TFRECORD_H
#define TESTS_UNIT_DATASET_TFRECORD_H

#include "base/hash.h"

struct proto {
    uint8_t at[1 << 16];
    size_t bytes;
};

static inline void proto_raw(struct proto *to, const void *data, size_t bytes) {
    memcpy(to->at + to->bytes, data, bytes);
    to->bytes += bytes;
}

static inline void proto_varint(struct proto *to, uint64_t number) {
    for (; number >= 0x80; number >>= 7)
        to->at[to->bytes++] = (uint8_t)(number | 0x80);
    to->at[to->bytes++] = (uint8_t)number;
}

/* A length-delimited field. */
static inline void proto_field(struct proto *to, uint32_t number, const void *data, size_t bytes) {
    proto_varint(to, number << 3 | 2);
    proto_varint(to, bytes);
    proto_raw(to, data, bytes);
}

/* An entry of Features; list is the content of the list message of that kind. */
static inline void proto_feature(struct proto *features, const char *name, uint32_t kind,
                                 const struct proto *list) {
    static struct proto feature, entry;

    feature.bytes = entry.bytes = 0;
    if (kind)
        proto_field(&feature, kind, list->at, list->bytes);
    proto_field(&entry, 1, name, strlen(name));
    proto_field(&entry, 2, feature.at, feature.bytes);
    proto_field(features, 1, entry.at, entry.bytes);
}

static inline void proto_bytes(struct proto *features, const char *name, const void *data,
                               size_t bytes) {
    static struct proto list;

    list.bytes = 0;
    proto_field(&list, 1, data, bytes);
    proto_feature(features, name, 1, &list);
}

static inline void proto_floats(struct proto *features, const char *name, const float *numbers,
                                size_t count) {
    static struct proto list;

    list.bytes = 0;
    proto_field(&list, 1, numbers, count * sizeof(*numbers));
    proto_feature(features, name, 2, &list);
}

static inline void proto_ints(struct proto *features, const char *name, const int64_t *numbers,
                              size_t count) {
    static struct proto list, packed;

    list.bytes = packed.bytes = 0;
    for (size_t i = 0; i < count; i++)
        proto_varint(&packed, (uint64_t)numbers[i]);
    proto_field(&list, 1, packed.at, packed.bytes);
    proto_feature(features, name, 3, &list);
}

static inline void proto_crc(struct proto *to, const void *data, size_t bytes) {
    uint32_t crc = hash_crc32c(data, bytes);

    crc = (crc >> 15 | crc << 17) + 0xa282ead8u;
    proto_raw(to, &crc, 4);
}

/* A frame around any data. */
static inline void proto_frame(struct proto *file, const void *data, uint64_t bytes) {
    proto_raw(file, &bytes, 8);
    proto_crc(file, &bytes, 8);
    proto_raw(file, data, bytes);
    proto_crc(file, data, bytes);
}

/* ... and around an Example of these features, which are empty afterwards. */
static inline void proto_record(struct proto *file, struct proto *features) {
    static struct proto example;

    example.bytes = 0;
    proto_field(&example, 1, features->at, features->bytes);
    proto_frame(file, example.at, example.bytes);
    features->bytes = 0;
}

#endif
