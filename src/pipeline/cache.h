/* The cache station: rows as they are before one operator, kept in memory from the first epoch on.
 * What lies before it is the same in every epoch, so what comes out is as if there were no cache.
 */
#ifndef PIPELINE_CACHE_H
#define PIPELINE_CACHE_H

#include "pipeline/pipeline.h"

struct cache;
struct cache_row;

/* A cache of pipeline->cache's rows in at most `bytes`, its table included. */
int cache_create(const struct opiml_pipeline *pipeline, uint64_t bytes, struct cache **ret_cache,
                 struct opiml_error *err);
void cache_destroy(struct cache *cache); /* NULL is fine */
/* The row of a record, NULL when it is not there. Any thread. */
const struct cache_row *cache_find(const struct cache *cache, uint32_t dataset, uint64_t record);
/* The row's values, borrowed for as long as the cache lives. Returns 0. */
int cache_get(const struct cache *cache, const struct cache_row *row, struct opiml_value *values);
/* Keep a row if there is room: rows are never thrown out, since every epoch wants each of them
 * once. */
void cache_put(struct cache *cache, uint32_t dataset, uint64_t record,
               const struct opiml_value *values);
uint64_t cache_rows(const struct cache *cache);
uint64_t cache_used_bytes(const struct cache *cache);

#endif
