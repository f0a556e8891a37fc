/* The file behind a cache on disk: a header, a table of where each record's row lies, then rows in
 * no order. Several runs may share it at once: rows are added under a lock, never changed or moved.
 * Nothing is synced: after a power cut some rows are garbage, and their checks say so. */
#ifndef PIPELINE_CACHE_FILE_H
#define PIPELINE_CACHE_FILE_H

#include <stdatomic.h>

#include "base/hash.h"
#include "pipeline/cache.h"

#define CACHE_ALIGNMENT 64

/* A table's entry: where a row lies, both in units of CACHE_ALIGNMENT; 0: nowhere. */
#define CACHE_PLACE_BYTES_BITS 26
/* Nowhere that this run would believe: to be written anew whatever the file says. */
#define CACHE_PLACE_DAMAGED (1ull << CACHE_PLACE_BYTES_BITS)
static inline uint64_t cache_place_pack(struct cache_place place) {
    return place.offset / CACHE_ALIGNMENT << CACHE_PLACE_BYTES_BITS | place.bytes / CACHE_ALIGNMENT;
}
static inline struct cache_place cache_place_unpack(uint64_t entry) {
    return (struct cache_place){(entry >> CACHE_PLACE_BYTES_BITS) * CACHE_ALIGNMENT,
                                (uint32_t)(entry & ((1u << CACHE_PLACE_BYTES_BITS) - 1)) *
                                    CACHE_ALIGNMENT};
}

struct cache_file;

struct cache_file_options {
    const char *folder; /* made when missing */
    struct hash128 key; /* of all that the rows depend on: names the file */
    uint64_t records;
    uint64_t most_bytes;   /* of the file */
    uint64_t folder_bytes; /* of all of the folder's files: those that were written longest ago make
                              room for this one; 0: as many as come */
    uint64_t row_bytes_max;  /* places of larger rows are not believed */
    _Atomic uint64_t *table; /* `records` entries: filled from the file, then as rows are written */
    uint8_t *memory;         /* cache_file_memory_bytes: rows on their way to the file */
    _Atomic uint64_t *written; /* counts this run's rows */
};

uint64_t cache_file_memory_bytes(uint64_t row_bytes_max);
int cache_file_open(const struct cache_file_options *options, struct cache_file **ret_file,
                    struct opiml_error *err);
void cache_file_close(struct cache_file *file); /* writes what is on its way; NULL is fine */
struct source *cache_file_source(const struct cache_file *file);
uint64_t cache_file_bytes(const struct cache_file *file);

/* Room for a row of `bytes` (aligned), waiting for the disk if need be; NULL: the cache is full, or
 * writing has failed. A room that was given has to be given on with cache_file_put. Any thread. */
struct cache_file_room {
    uint8_t *at;
    struct cache_batch *batch;
};
struct cache_file_room cache_file_take(struct cache_file *file, uint64_t record, uint32_t bytes);
void cache_file_put(struct cache_file *file, struct cache_file_room room);

#endif
