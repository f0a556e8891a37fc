/* An index lies beside the data, so it may come from anyone. The hash is set right first: it stands
 * against accidents, and the checks behind it against intent. What passes is used. */
#include "dataset/index.h"

#include "dataset/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct index *index) {
    volatile uint64_t sum = 0;

    for (uint64_t i = 0; i < index->header->objects; i++)
        sum += strlen(index_object_key(index, (uint32_t)i));
    for (uint64_t i = 0; i < index->header->classes; i++)
        sum += strlen(index->pool + index->classes[i]);
    for (uint64_t i = 0; i < index->header->folders; i++)
        sum += strlen(index->pool + index->folders[i].key);
    for (uint64_t i = 0; i < index->header->records && i < 1000; i++) {
        struct index_place place = index_find(index, i);

        if (place.object >= index->header->objects || place.bytes > index->header->max_read ||
            place.offset + place.bytes > index->objects[place.object].bytes)
            __builtin_trap();
        for (uint32_t r = 0; r < index_ranges(index); r++)
            if (index_range(index, i, r).object >= index->header->objects)
                __builtin_trap();
        if (index->records && index->records[i].key_bytes > 0)
            sum += (uint8_t)index->pool[index->records[i].key + index->records[i].key_bytes - 1];
    }
    (void)sum;
}

/* Each format reads the records of an index that it finds fit, of bytes that come from elsewhere.
 */
static void parse(const struct index *index, const uint8_t *data, size_t size) {
    for (const struct format *const *kind = format_kinds(); *kind; kind++) {
        AUTO_FREE void *params = base_alloc((*kind)->params_bytes);
        struct opiml_value values[OPIML_MAX_FIELDS];

        if (!params || index->header->max_read > 65536 || !(*kind)->check(index, params))
            continue;
        AUTO_FREE uint8_t *scratch = base_alloc((*kind)->scratch_bytes(index));

        for (uint64_t i = 0; scratch && i < index->header->records && i < 100; i++) {
            struct source_bytes from[OPIML_MAX_FIELDS];

            for (uint32_t r = 0; r < index_ranges(index); r++) {
                struct index_place place = index_range(index, i, r);
                uint8_t *bytes = base_alloc(place.bytes);

                if (!bytes)
                    abort();
                for (uint32_t k = 0; k < place.bytes; k++)
                    bytes[k] = data[(place.offset + k) % size];
                from[r] = (struct source_bytes){bytes, place.bytes};
            }
            (*kind)->parse(index, params, i, from, values, scratch, NULL);
            for (uint32_t r = 0; r < index_ranges(index); r++)
                base_free((void *)from[r].at);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct index index;
    AUTO_FREE uint8_t *copy = base_alloc(size);

    if (!copy)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    if (size >= sizeof(struct index_header)) {
        ((struct index_header *)copy)->file_bytes = size;
        index_seal(copy, size);
    }
    if (index_check(copy, size, &index, NULL) == 0) {
        use(&index);
        parse(&index, data, size);
    }
    return 0;
}
