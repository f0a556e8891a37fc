/* The cache station: rows as they are before one operator, kept from the first epoch on, in memory
 * or in a file that outlives the run. What lies before it is the same in every epoch, so what comes
 * out is as if there were no cache: a row that is not there, or damaged, is made again. */
#ifndef PIPELINE_CACHE_H
#define PIPELINE_CACHE_H

#include "pipeline/pipeline.h"

struct cache;

/* Where a kept row lies; bytes 0: nowhere. */
struct cache_place {
    uint64_t offset;
    uint32_t bytes;
};

/* Memory that the cache of this pipeline takes, and the bytes of its largest row. */
uint64_t cache_memory_bytes(const struct opiml_pipeline *pipeline);
uint64_t cache_row_bytes_max(const struct opiml_pipeline *pipeline);

/* OPIML_ELIMIT when cache.bytes does not even hold its table. A file that another run made is gone
 * on with; so is memory, where this process shares it. */
int cache_open(const struct opiml_pipeline *pipeline, struct cache **ret_cache,
               struct opiml_error *err);
void cache_close(struct cache *cache); /* NULL is fine. Writes what is on its way to the file */
/* From now on caches in memory are one for all pipelines of this process that keep the same rows in
 * as many bytes, and stay for `linger_ns` behind the last user's end, until cache_sweep. At the
 * start of a program. */
void cache_share(uint64_t linger_ns);
/* From now on caches on disk lie in this program's own folder, and have at most so many bytes
 * together: those that were written longest ago make room. At the start of a program. */
void cache_limit_disk(uint64_t most_bytes);
/* What caches on disk may have in that folder, and how fast it is read (disk_speed.h), measured
 * `anew` or as far as that is known; 0: there is none, or it cannot be told. */
void cache_disk_room(bool anew, uint64_t *ret_bytes, double *ret_bytes_per_s);
/* Give back what nobody has used for so long. */
void cache_sweep(void);

/* All that follow: any thread. */
struct cache_place cache_find(const struct cache *cache, uint32_t dataset, uint64_t record);
/* The row at a place, borrowed for as long as the cache lives; NULL: it has to be read, as object 0
 * of cache_source. */
const uint8_t *cache_at(const struct cache *cache, struct cache_place place);
/* What the file is read through; NULL: the cache is in memory. */
struct source *cache_source(const struct cache *cache);
/* See a row's values in its bytes. OPIML_ECORRUPT when they are not those of this record. */
int cache_get(const struct cache *cache, uint32_t dataset, uint64_t record, const uint8_t *row,
              uint32_t bytes, struct opiml_value *values);
/* Keep a row if there is room; for a file, waits until earlier ones are written. */
void cache_put(struct cache *cache, uint32_t dataset, uint64_t record,
               const struct opiml_value *values);
void cache_forget(struct cache *cache, uint32_t dataset, uint64_t record); /* it is damaged */
uint64_t cache_rows(const struct cache *cache);                            /* kept by this run */
uint64_t cache_used_bytes(const struct cache *cache); /* of cache.bytes, table included */

#endif
