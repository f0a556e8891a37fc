/* tf.train.Example, through as much of protobuf's encoding as its messages use. */
#include "dataset/example.h"

#include "dataset/format.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* protobuf's wire types */

struct item {
    uint64_t number; /* of the field */
    uint32_t type;
    uint64_t varint;
    const uint8_t *data; /* BYTES, FIXED32, FIXED64 */
    uint64_t bytes;
};

static int corrupt(struct opiml_error *err) {
    return opiml_fail(err, OPIML_ECORRUPT, "no tf.train.Example: its protobuf encoding is broken");
}

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 70 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* 1: *item is set; 0: the end of the message; OPIML_ECORRUPT. */
static int next_item(const uint8_t **at, const uint8_t *end, struct item *item,
                     struct opiml_error *err) {
    uint64_t tag;
    if (*at == end)
        return 0;
    if (!read_varint(at, end, &tag))
        return corrupt(err);
    *item = (struct item){.number = tag >> 3, .type = (uint32_t)(tag & 7), .data = *at};
    if (item->type == VARINT)
        return read_varint(at, end, &item->varint) ? 1 : corrupt(err);
    if (item->type == BYTES && !read_varint(at, end, &item->bytes))
        return corrupt(err);
    if (item->type == FIXED32 || item->type == FIXED64)
        item->bytes = item->type == FIXED32 ? 4 : 8;
    else if (item->type != BYTES)
        return corrupt(err); /* groups have gone out of use before these messages were made */
    if (item->bytes > (uint64_t)(end - *at))
        return corrupt(err);
    item->data = *at;
    *at += item->bytes;
    return 1;
}

/* Feature: the last list counts, as in any oneof. */
static int read_feature(const struct item *from, struct example_feature *feature,
                        struct opiml_error *err) {
    const uint8_t *at = from->data, *end = at + from->bytes;
    struct item item = {0};
    int rc;
    feature->kind = EXAMPLE_NONE;
    while ((rc = next_item(&at, end, &item, err)) == 1) {
        if (item.type != BYTES || item.number < EXAMPLE_BYTES || item.number > EXAMPLE_INTS)
            continue;
        feature->kind = (enum example_kind)item.number;
        feature->list = item.data;
        feature->list_bytes = item.bytes;
    }
    return rc;
}

/* An entry of the map: a key and a Feature. */
static int read_entry(const struct item *from, struct example_feature *feature,
                      struct opiml_error *err) {
    const uint8_t *at = from->data, *end = at + from->bytes;
    struct item item = {0};
    int rc;
    *feature = (struct example_feature){.name = at, .list = at};
    while ((rc = next_item(&at, end, &item, err)) == 1) {
        if (item.type != BYTES)
            continue;
        if (item.number == 1) {
            feature->name = item.data;
            feature->name_bytes = item.bytes;
        } else if (item.number == 2 && (rc = read_feature(&item, feature, err)) < 0)
            return rc;
    }
    return rc < 0 ? rc : 1;
}

void example_init(struct example *example, const uint8_t *data, uint64_t bytes) {
    *example = (struct example){data, data + bytes, data, data};
}

int example_next(struct example *example, struct example_feature *ret_feature,
                 struct opiml_error *err) {
    struct item item = {0};
    int rc;
    for (;;) {
        while ((rc = next_item(&example->entry, example->entry_end, &item, err)) == 1)
            if (item.number == 1 && item.type == BYTES)
                return read_entry(&item, ret_feature, err);
        if (rc < 0 || (rc = next_item(&example->at, example->end, &item, err)) <= 0)
            return rc;
        if (item.number == 1 && item.type == BYTES) {
            example->entry = item.data;
            example->entry_end = item.data + item.bytes;
        }
    }
}

int64_t example_get_bytes(const struct example_feature *feature, struct example_bytes *to,
                          uint64_t room, struct opiml_error *err) {
    const uint8_t *at = feature->list, *end = at + feature->list_bytes;
    uint64_t count = 0;
    struct item item = {0};
    int rc;
    while ((rc = next_item(&at, end, &item, err)) == 1) {
        if (item.number != 1 || item.type != BYTES)
            continue;
        if (count < room)
            to[count] = (struct example_bytes){item.data, item.bytes};
        count++;
    }
    return rc < 0 ? rc : (int64_t)count;
}

int64_t example_get_floats(const struct example_feature *feature, float *to, uint64_t room,
                           struct opiml_error *err) {
    const uint8_t *at = feature->list, *end = at + feature->list_bytes;
    uint64_t count = 0;
    struct item item = {0};
    int rc;
    while ((rc = next_item(&at, end, &item, err)) == 1) {
        if (item.number != 1 || (item.type != BYTES && item.type != FIXED32))
            continue;
        if (item.bytes % sizeof(float) != 0)
            return corrupt(err);
        uint64_t more = item.bytes / sizeof(float);
        if (count < room)
            memcpy(to + count, item.data, base_min_u64(more, room - count) * sizeof(float));
        count += more;
    }
    return rc < 0 ? rc : (int64_t)count;
}

static int take_int(uint64_t number, uint32_t dtype, void *to, uint64_t i, uint64_t room,
                    struct opiml_error *err) {
    if (i >= room ||
        format_put_int(dtype, (uint8_t *)to + i * opiml_dtype_bytes(dtype), (int64_t)number))
        return 0;
    return opiml_fail(err, OPIML_ECORRUPT, "%" PRId64 " does not fit into %s", (int64_t)number,
                      opiml_dtype_text(dtype));
}

int64_t example_get_ints(const struct example_feature *feature, uint32_t dtype, void *to,
                         uint64_t room, struct opiml_error *err) {
    const uint8_t *at = feature->list, *end = at + feature->list_bytes;
    uint64_t count = 0, number;
    struct item item = {0};
    int rc;
    while ((rc = next_item(&at, end, &item, err)) == 1) {
        if (item.number != 1 || (item.type != BYTES && item.type != VARINT))
            continue;
        const uint8_t *packed = item.data, *stop = packed + item.bytes;
        if (item.type == VARINT && (rc = take_int(item.varint, dtype, to, count++, room, err)) < 0)
            return rc;
        while (packed < stop) {
            if (!read_varint(&packed, stop, &number))
                return corrupt(err);
            if ((rc = take_int(number, dtype, to, count++, room, err)) < 0)
                return rc;
        }
    }
    return rc < 0 ? rc : (int64_t)count;
}
