#include "dataset/order.h"

/* Finaliser of MurmurHash3, of which every output bit depends on every input bit. */
static uint64_t scramble(uint64_t x) {
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

static uint64_t derive(uint64_t key, uint64_t number) {
    return scramble(scramble(key + 0x9e3779b97f4a7c15) ^ (number + 1) * 0xd1342543de82ef95);
}

/* A Feistel network over `bits` bits, split into a low and a high part as equal as can be. Round by
 * round one part is changed by a keyed function of the other. */
struct network {
    uint32_t low_bits, rounds;
    uint64_t low_mask, high_mask, key;
};

static struct network network_for(uint64_t count, uint64_t key) {
    uint32_t bits = count > 1 ? 64 - (uint32_t)__builtin_clzll(count - 1) : 1;
    /* Four rounds suffice for parts of many bits (Luby and Rackoff). The fewer bits a part has, the
     * fewer functions there are to draw from: all orders of six records come equally often from
     * about thirty rounds on. */
    struct network network = {.low_bits = bits / 2,
                              .rounds = bits <= 6    ? 32
                                        : bits <= 12 ? 16
                                                     : 8,
                              .key = key};
    uint32_t high_bits = bits - network.low_bits;
    network.low_mask = ((uint64_t)1 << network.low_bits) - 1;
    network.high_mask = ((uint64_t)1 << high_bits) - 1;
    return network;
}

static uint64_t round_value(const struct network *network, uint32_t i, uint64_t part) {
    return scramble(part ^ (network->key + (i + 1) * 0x9e3779b97f4a7c15));
}

static void apply(const struct network *network, uint32_t i, uint64_t *low, uint64_t *high) {
    if (i % 2 == 0)
        *high ^= round_value(network, i, *low) & network->high_mask;
    else
        *low ^= round_value(network, i, *high) & network->low_mask;
}

/* Cycle walking: the network permutes the next power of two; what falls outside goes round again,
 * fewer than two times on average, and never without end, since the walk follows a cycle that comes
 * back to its start. */
uint64_t order_permute(uint64_t count, uint64_t key, uint64_t i) {
    struct network network = network_for(count, key);
    assert(i < count);
    do {
        uint64_t low = i & network.low_mask, high = i >> network.low_bits;
        for (uint32_t r = 0; r < network.rounds; r++)
            apply(&network, r, &low, &high);
        i = high << network.low_bits | low;
    } while (i >= count);
    return i;
}

uint64_t order_unpermute(uint64_t count, uint64_t key, uint64_t i) {
    struct network network = network_for(count, key);
    assert(i < count);
    do {
        uint64_t low = i & network.low_mask, high = i >> network.low_bits;
        for (uint32_t r = network.rounds; r-- > 0;)
            apply(&network, r, &low, &high);
        i = high << network.low_bits | low;
    } while (i >= count);
    return i;
}

/* Blocks stand in permuted order; `window` neighbours in that order are mixed with one another. The
 * last block may be partial; its place in the order shifts what comes behind it. */
static uint64_t block_at(const struct order *order, uint64_t key, uint64_t position) {
    uint64_t block = order->block ? order->block : 1;
    uint64_t blocks = order->count / block + (order->count % block != 0);
    uint64_t window = order->window ? base_min_u64(order->window, blocks) : 1;
    uint64_t missing = blocks * block - order->count; /* from the partial block */
    uint64_t partial = order_unpermute(blocks, key, blocks - 1);
    /* Position as if the partial block were whole: everything behind it shifts. */
    uint64_t w = partial / window; /* the window that holds it */
    uint64_t full = window * block;
    uint64_t behind = base_min_u64((w + 1) * window, blocks) * block - missing;
    uint64_t shifted = position >= behind ? position + missing : position;
    uint64_t number = shifted / full, begin = number * full;
    uint64_t end = base_min_u64(begin + full, blocks * block);
    uint64_t size = end - begin - (number == w ? missing : 0);
    uint64_t in_window = order_permute(size, derive(key, number), shifted - begin);
    uint64_t place = begin + in_window; /* now as if blocks followed one another whole */
    uint64_t partial_end = (partial + 1) * block - missing;
    if (number == w && place >= partial_end)
        place += missing;
    return order_permute(blocks, key, place / block) * block + place % block;
}

uint64_t order_at(const struct order *order, uint64_t position) {
    uint64_t key = derive(derive(order->seed, 0) ^ 0x6f7264657273, order->epoch);
    assert(position < order->count);
    switch (order->mode) {
    case ORDER_NONE: return position;
    case ORDER_GLOBAL: return order_permute(order->count, key, position);
    case ORDER_BLOCK: return block_at(order, key, position);
    }
    return position;
}
