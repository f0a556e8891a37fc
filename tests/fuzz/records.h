/* What the targets for formats share: a data set in memory, indexed and read as from a disk. */
#ifndef TESTS_FUZZ_RECORDS_H
#define TESTS_FUZZ_RECORDS_H

#include "base/conf.h"
#include "dataset/format.h"

#define RECORDS_OBJECTS 64

struct records {
    struct source source;
    struct source_object objects[RECORDS_OBJECTS];
    const uint8_t *data[RECORDS_OBJECTS];
    size_t count;
};

static inline int64_t records_read(struct source *source, const char *key, void *to, size_t bytes,
                                   uint64_t offset, struct opiml_error *err) {
    const struct records *records = (const struct records *)source;

    for (size_t i = 0; i < records->count; i++) {
        if (strcmp(records->objects[i].key, key) != 0)
            continue;
        if (offset >= records->objects[i].bytes)
            return 0;
        bytes = base_min_u64(bytes, records->objects[i].bytes - offset);
        memcpy(to, records->data[i] + offset, bytes);
        return (int64_t)bytes;
    }
    return opiml_fail(err, OPIML_ENOENT, "%s", key);
}

static inline int records_stat(struct source *source, const char *key,
                               struct source_object *ret_object, struct opiml_error *err) {
    const struct records *records = (const struct records *)source;

    for (size_t i = 0; i < records->count; i++)
        if (strcmp(records->objects[i].key, key) == 0) {
            *ret_object = records->objects[i];
            return 0;
        }
    return opiml_fail(err, OPIML_ENOENT, "%s", key);
}

static inline void records_init(struct records *records) {
    static const struct source_ops ops = {
        .name = "memory", .read = records_read, .stat = records_stat};

    *records =
        (struct records){.source = {.ops = &ops, .uri = "memory://", .prefix = "memory:///"}};
}

/* One object more; keys come in order. */
static inline void records_add(struct records *records, const char *key, const uint8_t *data,
                               size_t bytes) {
    records->data[records->count] = data;
    records->objects[records->count++] = (struct source_object){.key = key, .bytes = bytes};
}

/* A value lies in what was read or in the scratch. */
static inline void records_look(const struct opiml_value *value, const struct source_bytes *from,
                                uint32_t pieces, const uint8_t *scratch, uint64_t scratch_bytes) {
    volatile uint8_t sum = 0;
    bool fits = value->bytes == 0 ||
                (value->data >= scratch && value->data + value->bytes <= scratch + scratch_bytes);

    for (uint32_t i = 0; i < pieces; i++)
        fits |=
            value->data >= from[i].at && value->data + value->bytes <= from[i].at + from[i].bytes;
    if (!fits)
        __builtin_trap();
    for (uint64_t i = 0; i < value->bytes; i++)
        sum = (uint8_t)(sum + value->data[i]);
}

/* A copy of what lies there, which ends where it does. */
static inline struct source_bytes records_copy(const struct records *records,
                                               struct index_place place) {
    uint8_t *copy = base_alloc(place.bytes);

    if (place.offset + place.bytes > records->objects[place.object].bytes)
        __builtin_trap();
    if (!copy)
        abort();
    if (place.bytes > 0)
        memcpy(copy, records->data[place.object] + place.offset, place.bytes);
    return (struct source_bytes){copy, place.bytes};
}

static inline void records_parse(const struct records *records, const struct format *format,
                                 const void *params, const struct index *index) {
    uint64_t scratch_bytes = format->scratch_bytes(index);

    if (scratch_bytes > MIB(256))
        return; /* fields of sizes that no pool has room for: a plan refuses them */
    AUTO_FREE uint8_t *scratch = base_alloc_aligned(base_align_up(scratch_bytes + 1, 64), 64);
    struct opiml_value values[OPIML_MAX_FIELDS];
    uint32_t pieces = index_ranges(index);

    for (uint64_t r = 0; scratch && r < index->header->records && r < 500; r++) {
        struct source_bytes from[OPIML_MAX_FIELDS];

        for (uint32_t i = 0; i < pieces; i++)
            from[i] = records_copy(records, index_range(index, r, i));
        if (format->parse(index, params, r, from, values, scratch, NULL) == 0)
            for (uint32_t f = 0; f < index->schema.count; f++)
                records_look(&values[f], from, pieces, scratch, scratch_bytes);
        for (uint32_t i = 0; i < pieces; i++)
            base_free((void *)from[i].at);
    }
}

/* Index all objects; what was built must pass as an index of its format. */
static inline void records_use(struct records *records, const struct format *format,
                               const void *params, struct source_listing *listing) {
    CLEANUP(index_draft_release) struct index_draft draft = {0};
    AUTO_FREE void *data = NULL;
    struct index index;
    size_t bytes;

    listing->objects = records->objects;
    listing->count = records->count;
    if (records->count == 0 || index_draft_init(&draft, listing, NULL) < 0)
        return;
    draft.format = format->name;
    if (format->build(&records->source, listing, params, &draft, NULL) < 0 ||
        (draft.record_bytes ? draft.like_records : draft.rows.count) == 0 ||
        index_draft_finish(&draft, listing, &data, &bytes, NULL) < 0)
        return;
    if (index_check(data, bytes, &index, NULL) < 0 || !format->check(&index, params))
        __builtin_trap();
    records_parse(records, format, params, &index);
}

/* Lines KEY=VALUE at the beginning set parameters, up to an empty line; returns what follows. */
static inline const uint8_t *records_params(const struct format *format, void *params,
                                            const uint8_t *data, const uint8_t *end) {
    conf_defaults(format->params, params);
    while (data < end) {
        const uint8_t *stop = memchr(data, '\n', (size_t)(end - data));
        char line[1024];
        size_t bytes = (size_t)((stop ? stop : end) - data);

        data += bytes + (stop != NULL);
        if (bytes == 0 || bytes >= sizeof(line))
            break;
        memcpy(line, data - bytes - (stop != NULL), bytes);
        line[bytes] = '\0';
        char *equals = strchr(line, '=');
        if (!equals)
            continue;
        *equals = '\0';
        conf_set(format->params, params, line, equals + 1, NULL);
    }
    return data;
}

/* Up to ten files, with a separator (\x1e) between them. */
static inline void records_split(struct records *records, const char *const keys[10],
                                 const uint8_t *data, const uint8_t *end) {
    for (size_t i = 0; i < 10; i++) {
        const uint8_t *stop = data < end ? memchr(data, 0x1e, (size_t)(end - data)) : NULL;

        records_add(records, keys[i], data, (size_t)((stop ? stop : end) - data));
        if (!stop)
            return;
        data = stop + 1;
    }
}

/* A format whose input is parameters, then up to ten files as they are. */
static inline void records_fuzz(const char *name, const char *const keys[10], const uint8_t *data,
                                size_t size) {
    const struct format *format = format_find(name);
    const uint8_t *end = data + size;
    AUTO_FREE void *params = base_alloc(format->params_bytes);
    struct source_listing listing = {0};
    struct records records;

    if (!params)
        return;
    data = records_params(format, params, data, end);
    records_init(&records);
    records_split(&records, keys, data, end);
    records_use(&records, format, params, &listing);
}

#endif
