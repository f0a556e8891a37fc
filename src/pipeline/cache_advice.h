/* Where a cache would pay: rows that are the same in every epoch are kept as they are at one place,
 * in memory or, where that is too small, on disk, and from the second epoch on nothing before it is
 * done. */
#ifndef PIPELINE_CACHE_ADVICE_H
#define PIPELINE_CACHE_ADVICE_H

#include "pipeline/place.h"

#define CACHE_ADVICE_GAIN 1.1 /* of the rate, that is worth the room */

/* What a cache could have. */
struct cache_room {
    uint64_t memory_bytes, disk_bytes;
    double disk_bytes_per_s; /* as far as is known; 0: there is no disk */
};

struct cache_advice {
    bool worth;    /* it fits, and gains so much */
    uint32_t tier; /* that keeps the rows ... */
    uint32_t cut;  /* ... and of a node, where they leave it; the consumer's makes all */
    uint32_t at;   /* rows are kept as they are before this operator */
    enum cache_where where;
    uint64_t bytes; /* that they take, table included */
    double before,
        rate; /* rows in a second by the best plan without, and from the second epoch on */
};

/* The best place on one tier, against a rate that there is without. */
void cache_advise(const struct opiml_pipeline *pipeline, const struct place_problem *problem,
                  uint32_t tier, const struct cache_room *room, double before,
                  struct cache_advice *ret_advice);
/* A tier as it is when all is kept that its first `at` operators make: they take no time, and what
 * is read comes from the cache; disk_bytes_per_s 0: from memory. */
void cache_profile(const struct profile *from, uint32_t at, double disk_bytes_per_s,
                   struct profile *to);
/* For `cache: auto`, before a feed that runs here alone: measure, or recall, what rows cost, and
 * where it pays take a cache into the pipeline, in at most half of `pool_bytes`. One epoch has no
 * use for it. */
int cache_settle(struct opiml_pipeline *pipeline, uint64_t epochs, uint32_t threads,
                 uint64_t pool_bytes, struct opiml_error *err);

/* There is no memory for the cache that `cache: auto` has chosen: do without. False: none was. */
bool cache_give_up(struct opiml_pipeline *pipeline);

#endif
