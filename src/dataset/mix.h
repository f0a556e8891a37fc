/* Mixing several datasets by weight: which dataset and record stand at a position of an epoch. */
#ifndef DATASET_MIX_H
#define DATASET_MIX_H

#include "dataset/choice.h"
#include "dataset/order.h"

#define MIX_MAX 16

struct mix {
    uint32_t datasets;
    uint64_t records[MIX_MAX]; /* each one's size */
    struct choices choices;    /* of the records of each ... */
    uint64_t chosen[MIX_MAX];  /* ... those that are gone through: so many */
    uint64_t quota[MIX_MAX];   /* positions that it gets in an epoch; their sum is `positions` */
    uint64_t positions;
    enum order_mode mode;
    uint64_t block, window, seed;
};

struct mix_at {
    uint32_t dataset;
    uint64_t record;
    uint64_t sample; /* identity for random draws: differs when a record comes twice in an epoch;
                        equals `record` for a single dataset passed once */
};

/* Weights (sum need not be 1) and the epoch's positions (0: the sum of all chosen records for a
 * single dataset or equal treatment; see docs) → quotas by largest remainder. `choices` may be
 * NULL: all records. */
int mix_init(struct mix *mix, uint32_t datasets, const uint64_t *records,
             const struct choices *choices, const double *weights, uint64_t positions,
             enum order_mode mode, uint64_t block, uint64_t window, uint64_t seed,
             struct opiml_error *err);
void mix_find(const struct mix *mix, uint64_t epoch, uint64_t position, struct mix_at *ret_at);

#endif
