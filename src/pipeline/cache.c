/* The cache station: what a row looks like when it is kept, and where each record's is. */
#include "pipeline/cache.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "batch/arena.h"
#include "batch/schema.h"
#include "pipeline/cache_file.h"
#include "pipeline/disk_speed.h"

/* A row: per field its bytes and shape, then the values, each aligned. */
struct cache_row {
    uint64_t check;  /* XXH3-64 of all behind it; in memory 0 */
    uint64_t record; /* over all datasets */
    struct field_head {
        uint64_t bytes;
        int64_t shape[OPIML_MAX_DIMS];
    } field[];
};

struct cache {
    struct opiml_schema schema;
    uint32_t datasets;
    uint64_t first[MIX_MAX]; /* a dataset's first record in the table */
    uint64_t records;
    struct arena memory;
    _Atomic uint64_t *table;
    uint64_t room;         /* in memory: where rows end */
    _Atomic uint64_t used; /* in memory: where the next one goes */
    _Atomic uint64_t rows;
    struct cache_file *file; /* NULL: in memory */
    bool shared;             /* then, and only in memory: */
    struct hash128 key;
    uint32_t users;
    uint64_t left_ns; /* when the last one went */
    struct cache *next;
};

static _Atomic uint64_t disk_bytes; /* of all caches on disk; 0: as their pipelines say */

static struct {
    pthread_mutex_t lock;
    _Atomic bool on;
    uint64_t linger_ns;
    struct cache *first;
} sharing = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- sizes ---- */

static const struct opiml_schema *kept_schema(const struct opiml_pipeline *pipeline) {
    return pipeline_schema(pipeline, pipeline->cache.at);
}

static uint64_t heads_bytes(const struct opiml_schema *schema) {
    return base_align_up(sizeof(struct cache_row) + schema->count * sizeof(struct field_head),
                         CACHE_ALIGNMENT);
}

static uint64_t table_bytes(const struct opiml_pipeline *pipeline) {
    uint64_t records = 0;

    for (uint32_t d = 0; d < pipeline->datasets; d++)
        records += pipeline->mix.records[d];
    return base_align_up(records * sizeof(uint64_t), CACHE_ALIGNMENT);
}

uint64_t cache_row_bytes_max(const struct opiml_pipeline *pipeline) {
    const struct opiml_schema *schema = kept_schema(pipeline);
    uint64_t bytes = heads_bytes(schema);

    for (uint32_t f = 0; f < schema->count; f++)
        bytes += base_align_up(schema->fields[f].max_bytes, CACHE_ALIGNMENT);
    return bytes;
}

uint64_t cache_memory_bytes(const struct opiml_pipeline *pipeline) {
    if (pipeline->cache.where == CACHE_IN_MEMORY)
        return pipeline->cache.bytes;
    return table_bytes(pipeline) + cache_file_memory_bytes(cache_row_bytes_max(pipeline));
}

/* ---- create ---- */

static int rows_folder(char **ret_folder, struct opiml_error *err) {
    AUTO_FREE char *home = NULL;
    int rc = file_cache_folder(&home, err);

    if (rc < 0)
        return rc;
    *ret_folder = text_path(home, "rows");
    return *ret_folder ? 0 : base_fail_memory(err, strlen(home), "a path");
}

static int open_file(struct cache *cache, const struct opiml_pipeline *pipeline,
                     struct opiml_error *err) {
    AUTO_FREE char *folder = NULL;
    struct cache_file_options options = {.key = pipeline->cache.key,
                                         .records = table_bytes(pipeline) / sizeof(uint64_t),
                                         .most_bytes = pipeline->cache.bytes,
                                         .row_bytes_max = cache_row_bytes_max(pipeline),
                                         .table = cache->table,
                                         .memory = cache->memory.at + table_bytes(pipeline),
                                         .written = &cache->rows};
    int rc = 0;

    if (disk_bytes) {
        options.folder_bytes = disk_bytes;
        options.most_bytes = base_min_u64(options.most_bytes, disk_bytes);
    }
    if (disk_bytes || !pipeline->cache.folder[0])
        rc = rows_folder(&folder, err);
    else if (!(folder = base_strdup(pipeline->cache.folder)))
        rc = base_fail_memory(err, strlen(pipeline->cache.folder), "a path");
    if (rc < 0)
        return rc;
    options.folder = folder;
    return cache_file_open(&options, &cache->file, err);
}

static void destroy(struct cache *cache) {
    if (!cache)
        return;
    cache_file_close(cache->file);
    arena_release(&cache->memory);
    base_free(cache);
}

static int create(const struct opiml_pipeline *pipeline, struct cache **ret_cache,
                  struct opiml_error *err) {
    uint64_t table = table_bytes(pipeline), records = 0;
    struct cache *cache;
    int rc;

    if (table >= pipeline->cache.bytes)
        return opiml_fail(err, OPIML_ELIMIT,
                          "cache: %" PRIu64 " bytes do not even hold a table of %" PRIu64
                          " records: raise cache.bytes",
                          pipeline->cache.bytes, table / sizeof(uint64_t));
    cache = base_alloc(sizeof(*cache));
    if (!cache)
        return base_fail_memory(err, sizeof(*cache), "a cache");
    for (uint32_t d = 0; d < pipeline->datasets; d++) {
        cache->first[d] = records;
        records += pipeline->mix.records[d];
    }
    cache->datasets = pipeline->datasets;
    cache->schema = *kept_schema(pipeline);
    cache->records = records;
    cache->used = table;
    cache->room = pipeline->cache.bytes;
    rc = arena_init_private(&cache->memory, cache_memory_bytes(pipeline), err);
    cache->table = (void *)cache->memory.at;
    if (rc == 0 && pipeline->cache.where == CACHE_ON_DISK)
        rc = open_file(cache, pipeline, err);
    if (rc < 0) {
        destroy(cache);
        return rc;
    }
    *ret_cache = cache;
    return 0;
}

void cache_limit_disk(uint64_t most_bytes) {
    disk_bytes = most_bytes;
}

void cache_disk_room(bool anew, uint64_t *ret_bytes, double *ret_bytes_per_s) {
    AUTO_FREE char *folder = NULL;

    *ret_bytes = disk_bytes;
    *ret_bytes_per_s = 0;
    if (disk_bytes && rows_folder(&folder, NULL) == 0)
        *ret_bytes_per_s = disk_speed_recall(folder, anew);
}

/* ---- sharing ---- */

void cache_share(uint64_t linger_ns) {
    pthread_mutex_lock(&sharing.lock);
    sharing.on = true;
    sharing.linger_ns = linger_ns;
    pthread_mutex_unlock(&sharing.lock);
}

/* Whether it keeps the same rows: the key says so of those before the operator, and the table has
 * to have the same places. */
static bool keeps_rows_of(const struct cache *cache, const struct opiml_pipeline *pipeline) {
    uint64_t records = 0;

    if (memcmp(&cache->key, &pipeline->cache.key, sizeof(cache->key)) != 0 ||
        cache->room != pipeline->cache.bytes || cache->datasets != pipeline->datasets)
        return false;
    for (uint32_t d = 0; d < pipeline->datasets; d++) {
        if (cache->first[d] != records)
            return false;
        records += pipeline->mix.records[d];
    }
    return cache->records == records;
}

/* Give back those without users that have had none for so long. */
static void drop_unused(uint64_t linger_ns) {
    uint64_t now = clock_now_ns();

    for (struct cache **at = &sharing.first; *at;) {
        struct cache *cache = *at;

        if (cache->users > 0 || now - cache->left_ns < linger_ns) {
            at = &cache->next;
            continue;
        }
        *at = cache->next;
        destroy(cache);
    }
}

static int open_shared(const struct opiml_pipeline *pipeline, struct cache **ret_cache,
                       struct opiml_error *err) {
    struct cache *cache = sharing.first;
    int rc;

    while (cache && !keeps_rows_of(cache, pipeline))
        cache = cache->next;
    if (cache) {
        cache->users++;
    } else {
        drop_unused(0); /* their memory is nobody's any more, and may be needed */
        if ((rc = create(pipeline, &cache, err)) < 0)
            return rc;
        cache->shared = true;
        cache->key = pipeline->cache.key;
        cache->users = 1;
        cache->next = sharing.first;
        sharing.first = cache;
    }
    *ret_cache = cache;
    return 0;
}

int cache_open(const struct opiml_pipeline *pipeline, struct cache **ret_cache,
               struct opiml_error *err) {
    int rc;

    if (!sharing.on || pipeline->cache.where != CACHE_IN_MEMORY)
        return create(pipeline, ret_cache, err);
    pthread_mutex_lock(&sharing.lock);
    rc = open_shared(pipeline, ret_cache, err);
    pthread_mutex_unlock(&sharing.lock);
    return rc;
}

void cache_close(struct cache *cache) {
    if (!cache)
        return;
    if (!cache->shared) {
        destroy(cache);
        return;
    }
    pthread_mutex_lock(&sharing.lock);
    if (--cache->users == 0)
        cache->left_ns = clock_now_ns();
    pthread_mutex_unlock(&sharing.lock);
}

void cache_sweep(void) {
    pthread_mutex_lock(&sharing.lock);
    drop_unused(sharing.linger_ns);
    pthread_mutex_unlock(&sharing.lock);
}

/* ---- rows ---- */

struct cache_place cache_find(const struct cache *cache, uint32_t dataset, uint64_t record) {
    return cache_place_unpack(
        atomic_load_explicit(&cache->table[cache->first[dataset] + record], memory_order_acquire));
}

const uint8_t *cache_at(const struct cache *cache, struct cache_place place) {
    return cache->file ? NULL : cache->memory.at + place.offset;
}

struct source *cache_source(const struct cache *cache) {
    return cache->file ? cache_file_source(cache->file) : NULL;
}

void cache_forget(struct cache *cache, uint32_t dataset, uint64_t record) {
    atomic_store_explicit(&cache->table[cache->first[dataset] + record], CACHE_PLACE_DAMAGED,
                          memory_order_relaxed);
}

static uint64_t row_check(const struct cache_row *row, uint64_t bytes) {
    return hash_64(&row->record, bytes - offsetof(struct cache_row, record), 0);
}

int cache_get(const struct cache *cache, uint32_t dataset, uint64_t record, const uint8_t *from,
              uint32_t bytes, struct opiml_value *values) {
    const struct cache_row *row = (const void *)from;
    uint64_t at = heads_bytes(&cache->schema);

    if (cache->file && (bytes < at || row->check != row_check(row, bytes) ||
                        row->record != cache->first[dataset] + record))
        return OPIML_ECORRUPT;
    for (uint32_t f = 0; f < cache->schema.count; f++) {
        const struct field_head *head = &row->field[f];

        /* A check that is right is no promise: anyone can compute it. */
        if (cache->file &&
            (!schema_field_holds(&cache->schema.fields[f], head->shape, head->bytes) ||
             head->bytes > bytes - at))
            return OPIML_ECORRUPT;
        values[f] =
            (struct opiml_value){.data = (uint8_t *)(uintptr_t)from + at, .bytes = head->bytes};
        memcpy(values[f].shape, head->shape, sizeof(values[f].shape));
        at += base_align_up(head->bytes, CACHE_ALIGNMENT);
        if (cache->file && at > bytes)
            return OPIML_ECORRUPT;
    }
    return 0;
}

static uint64_t row_bytes(const struct cache *cache, const struct opiml_value *values) {
    uint64_t bytes = heads_bytes(&cache->schema);

    for (uint32_t f = 0; f < cache->schema.count; f++)
        bytes += base_align_up(values[f].bytes, CACHE_ALIGNMENT);
    return bytes;
}

/* The gaps are zeroed: what lay there before is nobody's to read in the file. */
static void write_row(const struct cache *cache, uint64_t record, const struct opiml_value *values,
                      uint8_t *to, uint64_t bytes) {
    struct cache_row *row = (void *)to;
    uint64_t at = heads_bytes(&cache->schema);

    memset(to, 0, at);
    row->record = record;
    for (uint32_t f = 0; f < cache->schema.count; f++) {
        uint64_t room = base_align_up(values[f].bytes, CACHE_ALIGNMENT);

        row->field[f].bytes = values[f].bytes;
        memcpy(row->field[f].shape, values[f].shape,
               cache->schema.fields[f].ndim * sizeof(row->field[f].shape[0]));
        memcpy(to + at, values[f].data, values[f].bytes);
        memset(to + at + values[f].bytes, 0, room - values[f].bytes);
        at += room;
    }
    if (cache->file)
        row->check = row_check(row, bytes);
}

static void put_in_memory(struct cache *cache, uint64_t record, const struct opiml_value *values,
                          uint64_t bytes) {
    uint64_t offset = atomic_load_explicit(&cache->used, memory_order_relaxed);

    if (cache_place_unpack(atomic_load_explicit(&cache->table[record], memory_order_relaxed))
            .bytes != 0)
        return; /* another user has been here */
    do
        if (bytes > cache->room - offset)
            return; /* the rest is left to smaller rows */
    while (!atomic_compare_exchange_weak_explicit(&cache->used, &offset, offset + bytes,
                                                  memory_order_relaxed, memory_order_relaxed));
    write_row(cache, record, values, cache->memory.at + offset, bytes);
    atomic_fetch_add_explicit(&cache->rows, 1, memory_order_relaxed);
    atomic_store_explicit(&cache->table[record],
                          cache_place_pack((struct cache_place){offset, (uint32_t)bytes}),
                          memory_order_release);
}

void cache_put(struct cache *cache, uint32_t dataset, uint64_t record,
               const struct opiml_value *values) {
    uint64_t bytes = row_bytes(cache, values);
    struct cache_file_room room;

    record += cache->first[dataset];
    if (bytes >= (uint64_t)CACHE_ALIGNMENT << CACHE_PLACE_BYTES_BITS)
        return;
    if (!cache->file) {
        put_in_memory(cache, record, values, bytes);
        return;
    }
    room = cache_file_take(cache->file, record, (uint32_t)bytes);
    if (!room.at)
        return;
    write_row(cache, record, values, room.at, bytes);
    cache_file_put(cache->file, room);
}

uint64_t cache_rows(const struct cache *cache) {
    return atomic_load_explicit(&cache->rows, memory_order_relaxed);
}

uint64_t cache_used_bytes(const struct cache *cache) {
    return cache->file ? cache_file_bytes(cache->file)
                       : atomic_load_explicit(&cache->used, memory_order_relaxed);
}
