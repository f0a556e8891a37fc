/* The cache station in memory: an arena filled from the front, and one pointer per record. */
#include "pipeline/cache.h"

#include <stdatomic.h>

#include "batch/arena.h"

#define ALIGNMENT 64

/* A row: per field its bytes and shape, then the values, each aligned. */
struct cache_row {
    uint64_t fields;
    struct field_head {
        uint64_t bytes;
        int64_t shape[OPIML_MAX_DIMS];
    } field[];
};

struct cache {
    const struct opiml_schema *schema;
    uint64_t first[MIX_MAX]; /* a dataset's first record in the table */
    struct arena memory;
    _Atomic(const struct cache_row *) *table;
    uint64_t data, room; /* where rows start, and their bytes */
    _Atomic uint64_t used, rows;
};

static uint64_t heads_bytes(const struct cache *cache) {
    return base_align_up(
        sizeof(struct cache_row) + cache->schema->count * sizeof(struct field_head), ALIGNMENT);
}

int cache_create(const struct opiml_pipeline *pipeline, uint64_t bytes, struct cache **ret_cache,
                 struct opiml_error *err) {
    struct cache *cache = base_alloc(sizeof(*cache));
    uint64_t records = 0;
    int rc;

    if (!cache)
        return base_fail_memory(err, sizeof(*cache), "a cache");
    for (uint32_t d = 0; d < pipeline->datasets; d++) {
        cache->first[d] = records;
        records += pipeline->mix.records[d];
    }
    cache->schema = pipeline_schema(pipeline, pipeline->cache.at);
    cache->data = base_align_up(records * sizeof(cache->table[0]), ALIGNMENT);
    rc = cache->data >= bytes ? opiml_fail(err, OPIML_ELIMIT,
                                           "cache: %" PRIu64 " bytes do not even hold a table of "
                                           "%" PRIu64 " records: raise cache.bytes",
                                           bytes, records)
                              : arena_init_private(&cache->memory, bytes, err);
    if (rc < 0) {
        base_free(cache);
        return rc;
    }
    cache->table = (void *)cache->memory.at;
    cache->room = bytes - cache->data;
    *ret_cache = cache;
    return 0;
}

void cache_destroy(struct cache *cache) {
    if (!cache)
        return;
    arena_release(&cache->memory);
    base_free(cache);
}

const struct cache_row *cache_find(const struct cache *cache, uint32_t dataset, uint64_t record) {
    return atomic_load_explicit(&cache->table[cache->first[dataset] + record],
                                memory_order_acquire);
}

int cache_get(const struct cache *cache, const struct cache_row *row, struct opiml_value *values) {
    const struct field_head *heads = row->field;
    uint8_t *at = (uint8_t *)(uintptr_t)row + heads_bytes(cache);

    for (uint32_t f = 0; f < cache->schema->count; f++) {
        values[f] = (struct opiml_value){.data = at, .bytes = heads[f].bytes};
        memcpy(values[f].shape, heads[f].shape, sizeof(values[f].shape));
        at += base_align_up(heads[f].bytes, ALIGNMENT);
    }
    return 0;
}

void cache_put(struct cache *cache, uint32_t dataset, uint64_t record,
               const struct opiml_value *values) {
    uint64_t bytes = heads_bytes(cache), offset;
    struct cache_row *row;
    uint8_t *at;

    for (uint32_t f = 0; f < cache->schema->count; f++)
        bytes += base_align_up(values[f].bytes, ALIGNMENT);
    offset = atomic_load_explicit(&cache->used, memory_order_relaxed);
    do
        if (bytes > cache->room - offset)
            return; /* the rest is left to smaller rows */
    while (!atomic_compare_exchange_weak_explicit(&cache->used, &offset, offset + bytes,
                                                  memory_order_relaxed, memory_order_relaxed));
    row = (void *)(cache->memory.at + cache->data + offset);
    row->fields = cache->schema->count;
    at = (uint8_t *)row + heads_bytes(cache);
    for (uint32_t f = 0; f < cache->schema->count; f++) {
        row->field[f].bytes = values[f].bytes;
        memcpy(row->field[f].shape, values[f].shape, sizeof(row->field[f].shape));
        memcpy(at, values[f].data, values[f].bytes);
        at += base_align_up(values[f].bytes, ALIGNMENT);
    }
    atomic_fetch_add_explicit(&cache->rows, 1, memory_order_relaxed);
    atomic_store_explicit(&cache->table[cache->first[dataset] + record], row, memory_order_release);
}

uint64_t cache_rows(const struct cache *cache) {
    return atomic_load_explicit(&cache->rows, memory_order_relaxed);
}

uint64_t cache_used_bytes(const struct cache *cache) {
    return cache->data + atomic_load_explicit(&cache->used, memory_order_relaxed);
}
