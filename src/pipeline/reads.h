/* Memory for reads in flight: a ring from which pieces are taken in order and given back in any, by
 * all that share them. */
#ifndef PIPELINE_READS_H
#define PIPELINE_READS_H

#include <stdatomic.h>

#include "base/base.h"

struct reads {
    uint8_t *at;
    uint64_t bytes, head, tail; /* head and tail count on and on */
    struct reads_piece {
        uint64_t end;
        _Atomic uint32_t users; /* who have not given it back */
    } * pieces;
    uint32_t alignment, capacity, first, count;
};

/* A ring over `bytes` at `at` (4096-byte aligned) for at most `capacity` pieces at once, each
 * aligned (4096 for direct reads, 64 otherwise, so that small records pack). */
int reads_init(struct reads *reads, void *at, uint64_t bytes, uint32_t alignment, uint32_t capacity,
               struct opiml_error *err);
void reads_release(struct reads *reads);
/* An aligned piece for so many users, and its number; NULL when the ring is full for now. One
 * thread. A ring of at least twice the largest piece never blocks for good. */
uint8_t *reads_take(struct reads *reads, uint64_t bytes, uint32_t users, uint32_t *ret_piece);
void reads_give(struct reads *reads, uint32_t piece); /* any thread, once per user */

#endif
