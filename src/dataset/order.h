/* Orders: which record stands at a position. Pure functions of (seed, epoch, position), O(1), no
 * memory per record. */
#ifndef DATASET_ORDER_H
#define DATASET_ORDER_H

#include "base/base.h"

enum order_mode { ORDER_NONE, ORDER_GLOBAL, ORDER_BLOCK };

struct order {
    enum order_mode mode;
    uint64_t count;
    uint64_t block;  /* records read together, in ORDER_BLOCK */
    uint64_t window; /* blocks mixed with one another, in ORDER_BLOCK */
    uint64_t seed, epoch;
};

/* The record at a position below order->count. A bijection for every seed and epoch. */
uint64_t order_at(const struct order *order, uint64_t position);
/* A keyed permutation of [0, count) (Feistel network with cycle walking) and its inverse. */
uint64_t order_permute(uint64_t count, uint64_t key, uint64_t i);
uint64_t order_unpermute(uint64_t count, uint64_t key, uint64_t i);

#endif
