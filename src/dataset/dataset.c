#include "dataset/dataset.h"

#include "base/hash.h"
#include "dataset/dataset_inside.h"
#include "dataset/elsewhere.h"

bool dataset_is_elsewhere(const struct dataset *dataset) {
    return elsewhere_is(dataset->source);
}

struct dataset *dataset_ref(struct dataset *dataset) {
    dataset->users++;
    return dataset;
}

const struct index *dataset_index(const struct dataset *dataset) {
    return &dataset->index;
}

void dataset_close(struct dataset *dataset) {
    if (!dataset || --dataset->users > 0)
        return;
    if (dataset->source && dataset->source->abandoned) /* which may still ask for names */
        return;
    index_release(&dataset->index);
    base_free(dataset->stamps);
    source_close(dataset->source);
    base_free(dataset->params);
    base_free(dataset);
}

/* ---- asking ---- */

uint64_t dataset_count(const struct dataset *dataset) {
    return dataset->index.header->records;
}

const struct opiml_schema *dataset_schema(const struct dataset *dataset) {
    return &dataset->index.schema;
}

uint64_t dataset_fingerprint(const struct dataset *dataset) {
    return dataset->index.header->fingerprint;
}

uint64_t dataset_version(const struct dataset *dataset) {
    const struct index *index = &dataset->index;

    return hash_64(index->objects, index->header->objects * sizeof(index->objects[0]),
                   index->header->fingerprint);
}

struct source_stamp dataset_stamp(const struct dataset *dataset, uint32_t object) {
    const struct index_object *at = &dataset->index.objects[object];
    return dataset->stamps ? dataset->stamps[object]
                           : (struct source_stamp){at->bytes, at->modified_ns};
}

bool dataset_is_spread(const struct dataset *dataset) {
    return dataset->index.holders != NULL;
}

uint32_t dataset_holders(const struct dataset *dataset, uint64_t record) {
    const struct index *index = &dataset->index;
    uint32_t holders = DATASET_ANYBODY;

    for (uint32_t i = 0; index->holders && i < index_ranges(index); i++)
        holders &= index->holders[index_range(index, record, i).object];
    return holders;
}

bool dataset_has(const struct dataset *dataset, uint64_t record) {
    for (uint32_t i = 0; dataset->stamps && i < index_ranges(&dataset->index); i++)
        if (dataset->stamps[index_range(&dataset->index, record, i).object].bytes ==
            DATASET_NOT_HERE)
            return false;
    return true;
}

const char *dataset_class(const struct dataset *dataset, uint32_t label) {
    const struct index *index = &dataset->index;
    return label < index->header->classes ? index->pool + index->classes[label] : NULL;
}

uint64_t dataset_left_out(const struct dataset *dataset, const char **ret_names) {
    *ret_names = dataset->index.pool + dataset->index.header->left_out_names;
    return dataset->index.header->left_out;
}

void dataset_hint(const struct dataset *dataset, struct text *to) {
    if (dataset->format->hint)
        dataset->format->hint(&dataset->index, to);
}

const char *dataset_format_name(const struct dataset *dataset) {
    return dataset->format->name;
}

const char *dataset_uri(const struct dataset *dataset) {
    return dataset->source->uri;
}

struct source *dataset_source(const struct dataset *dataset) {
    return dataset->source;
}

uint32_t dataset_objects(const struct dataset *dataset) {
    return (uint32_t)dataset->index.header->objects;
}

bool dataset_direct(const struct dataset *dataset) {
    return dataset->direct;
}

uint32_t dataset_pieces(const struct dataset *dataset) {
    return index_ranges(&dataset->index);
}

void dataset_locate(const struct dataset *dataset, uint64_t record, uint32_t piece,
                    struct dataset_extent *ret_extent) {
    const struct index *index = &dataset->index;
    struct index_place place = index_range(index, record, piece);
    *ret_extent = (struct dataset_extent){
        .object = place.object,
        .bytes = place.bytes,
        .offset = place.offset,
        .whole = place.offset == 0 && place.bytes == index->objects[place.object].bytes,
    };
}

uint64_t dataset_record_bytes(const struct dataset *dataset, uint64_t record) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < dataset_pieces(dataset); i++)
        bytes += index_range(&dataset->index, record, i).bytes;
    return bytes;
}

bool dataset_elements(const struct dataset *dataset, uint64_t record, uint32_t field,
                      struct dataset_extent *ret_extent, int64_t ret_shape[OPIML_MAX_DIMS]) {
    struct index_place place;
    if (!dataset->format->elements ||
        !dataset->format->elements(&dataset->index, record, field, &place, ret_shape))
        return false;
    *ret_extent = (struct dataset_extent){place.object, place.bytes, place.offset, false};
    return true;
}

uint32_t dataset_max_read(const struct dataset *dataset) {
    return (uint32_t)dataset->index.header->max_read;
}

uint64_t dataset_read_room(const struct dataset *dataset, uint32_t alignment) {
    /* A read begins before and ends behind what is wanted. */
    uint64_t rest = source_room(0, dataset->direct) + alignment;
    return dataset_max_read(dataset) + dataset_pieces(dataset) * rest;
}

int dataset_parse(const struct dataset *dataset, uint64_t record, const struct source_bytes *from,
                  struct opiml_value *values, uint8_t *scratch, struct opiml_error *err) {
    return dataset->format->parse(&dataset->index, dataset->params, record, from, values, scratch,
                                  err);
}

int dataset_check_object(const struct dataset *dataset, uint32_t object, struct opiml_error *err) {
    struct source *source = dataset->source;
    const struct source_stamp then = dataset_stamp(dataset, object);
    const char *key = index_object_key(&dataset->index, object);
    struct source_object now;
    int rc = source->ops->stat(source, key, &now, err);
    if (rc < 0 || (now.bytes == then.bytes && now.modified_ns == then.modified_ns))
        return rc;
    return opiml_fail(err, OPIML_ESTALE, "%s%s has changed since it was indexed", source->prefix,
                      key);
}

int dataset_read(const struct dataset *dataset, uint64_t record, uint8_t *to,
                 struct source_bytes *from, struct opiml_error *err) {
    struct source *source = dataset->source;
    char where[1024];
    for (uint32_t i = 0; i < dataset_pieces(dataset); i++) {
        struct dataset_extent extent;
        dataset_locate(dataset, record, i, &extent);
        int64_t got = source->ops->read(source, index_object_key(&dataset->index, extent.object),
                                        to, extent.bytes, extent.offset, err);
        if (got < 0)
            return (int)got;
        if (got != extent.bytes)
            return opiml_fail(err, OPIML_ESTALE, "%s: only %" PRId64 " of %u bytes are there",
                              dataset_describe(dataset, record, where, sizeof(where)), got,
                              extent.bytes);
        int rc = dataset_check_object(dataset, extent.object, err);
        if (rc < 0)
            return rc;
        from[i] = (struct source_bytes){to, extent.bytes};
        to += base_align_up(extent.bytes, 64);
    }
    return 0;
}

bool dataset_parse_is_light(const struct dataset *dataset) {
    return dataset->format->parse_is_light && dataset->format->parse_is_light(dataset->params);
}

uint64_t dataset_parse_bytes(const struct dataset *dataset) {
    return base_align_up(dataset->format->scratch_bytes(&dataset->index), 64);
}

char *dataset_describe(const struct dataset *dataset, uint64_t record, char *to, size_t room) {
    struct index_place place = index_find(&dataset->index, record);
    const char *key = index_object_key(&dataset->index, place.object);
    const char *prefix = dataset->source->prefix;
    size_t used = text_show(to, room, 0, prefix, strlen(prefix));
    char offset[40];
    used = text_show(to, room, used, key, strlen(key));
    if (dataset->format->show)
        dataset->format->show(&dataset->index, dataset->params, record, to, room, used);
    else if (place.bytes != dataset->index.objects[place.object].bytes) {
        int n = snprintf(offset, sizeof(offset), " at offset %" PRIu64, place.offset);
        text_show(to, room, used, offset, (size_t)n);
    }
    return to;
}

char *dataset_line(const struct dataset *dataset, uint64_t record, char *to, size_t room) {
    const struct format *format = dataset->format;
    struct index_place place = index_find(&dataset->index, record);
    const char *key = index_object_key(&dataset->index, place.object);
    const char *prefix = dataset->source->prefix;
    char line[24];
    if (!format->line)
        return dataset_describe(dataset, record, to, room);
    size_t used = text_show(to, room, 0, prefix, strlen(prefix));
    used = text_show(to, room, used, key, strlen(key));
    int n = snprintf(line, sizeof(line), ":%" PRIu64, format->line(&dataset->index, record));
    text_show(to, room, used, line, (size_t)n);
    return to;
}

char *dataset_key(const struct dataset *dataset, uint64_t record, char *to, size_t room) {
    const struct index *index = &dataset->index;
    if (!(index->header->flags & INDEX_KEYS) || !index->records) {
        snprintf(to, room, "row %" PRIu64, record);
        return to;
    }
    const struct index_record *at = &index->records[record];
    text_show(to, room, 0, index->pool + at->key, at->key_bytes);
    return to;
}
