/* Planning: which operators make a stage, and every byte that it will need, before anything starts.
 * Only this file knows where a station runs. */
#ifndef PIPELINE_PLAN_H
#define PIPELINE_PLAN_H

#include "pipeline/pipeline.h"

#define PLAN_SLOTS_MIN 2 /* one with the consumer, one being filled */
#define PLAN_SLOTS_MAX 8
#define PLAN_SLOTS_BYTES MIB(32) /* more slots than the least only up to here */

/* Where one output field of one operator is written. */
struct plan_target {
    int32_t slot_field; /* straight into the batch: this field of it; -1: into scratch */
    uint64_t offset;    /* scratch: where in the worker's memory */
    uint64_t room;
};

/* One stage: the row operators [first, last), from an inlet to slots. */
struct plan {
    const struct opiml_pipeline *pipeline;
    uint32_t first, last; /* both the number of all operators: rows come finished */
    bool delivers;        /* the last stage: dense batches, group operators; else ragged frames */
    bool reads;           /* the first stage: its rows come from the dataset */
    bool caches;          /* ... or from the cache station, which stands in this stage */
    const struct opiml_schema *in, *out;
    uint32_t rank, world;
    bool in_place;          /* a row is its record's bytes, which are read to where it lies */
    bool in_reader;         /* rows are light: their readers take them through the operators */
    uint32_t threads, rows; /* threads: that do, or compute; rows: most of a slice */
    uint32_t slots;
    uint64_t heap_bytes; /* of a slot's frame */
    uint32_t readers;    /* datasets, and a cache's file: each has its share of read_bytes */
    uint32_t pieces;     /* most of a record */
    uint64_t windows;    /* bits: fields of records of which only what is looked at is read */
    uint64_t slot_bytes, worker_bytes, read_bytes, cache_bytes, charge_bytes, total_bytes;
    uint64_t parse_offset, scratch_offset, group_offset; /* in the worker's memory */
    struct plan_target target[PIPELINE_OPS_MAX][OPIML_MAX_FIELDS];
};

/* What a stage is to be. */
struct plan_request {
    uint32_t first, last; /* row operators [first, last) */
    bool reads, delivers; /* is the first stage, the last one; both when nothing is cut */
    bool linked;          /* rows come over links, all or some */
    bool measures;        /* rows are only measured: nothing is cached, and workers take them */
    uint32_t threads;     /* 0: one per usable core */
    uint32_t rank, world;
    uint64_t pool_bytes; /* all that it may take */
    uint32_t slots;      /* at least, as far as the pool has room; 0: PLAN_SLOTS_MIN */
};
/* OPIML_ELIMIT names the pool that would do. */
int plan_create(const struct opiml_pipeline *pipeline, const struct plan_request *request,
                struct plan **ret_plan, struct opiml_error *err);
/* Whether it ends with operators that mix rows. */
static inline bool plan_groups(const struct plan *plan) {
    return plan->delivers && plan->last < plan->pipeline->ops;
}
/* Where reads may begin in memory: so that direct ones can be made, or small ones pack. */
static inline uint32_t plan_read_alignment(bool direct) {
    return direct ? 4096 : 64;
}

#endif
