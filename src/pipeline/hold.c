/* Who holds which records. */
#include "pipeline/hold.h"

#include <math.h>

#define MASKS ((size_t)1 << HOLD_NODES_MAX)

/* ---- counting ---- */

int hold_count(const struct opiml_pipeline *pipeline, struct hold *ret_hold,
               struct opiml_error *err) {
    AUTO_FREE uint64_t *records = NULL;
    struct hold hold = {0};

    for (uint32_t d = 0; d < pipeline->datasets; d++) {
        hold.spread |= dataset_is_spread(pipeline->dataset[d]);
        hold.records += dataset_count(pipeline->dataset[d]);
    }
    *ret_hold = hold;
    if (!hold.spread)
        return 0;
    records = base_alloc_array(MASKS, sizeof(*records));
    if (!records)
        return base_fail_memory(err, MASKS * sizeof(*records), "a count of records");
    for (uint32_t d = 0; d < pipeline->datasets; d++)
        for (uint64_t r = 0; r < dataset_count(pipeline->dataset[d]); r++)
            records[dataset_holders(pipeline->dataset[d], r) % MASKS]++;
    for (size_t m = 0; m < MASKS; m++)
        hold.sets += records[m] > 0;
    hold.set = base_alloc_array(hold.sets, sizeof(*hold.set));
    if (!hold.set)
        return base_fail_memory(err, hold.sets * sizeof(*hold.set), "a count of records");
    hold.sets = 0;
    for (size_t m = 0; m < MASKS; m++)
        if (records[m] > 0)
            hold.set[hold.sets++] = (struct hold_set){(uint32_t)m, records[m]};
    *ret_hold = hold;
    return 0;
}

void hold_release(struct hold *hold) {
    base_free(hold->set);
    *hold = (struct hold){0};
}

/* ---- sets that are told apart ---- */

static uint32_t size_of(const struct hold_set *set) {
    return (uint32_t)__builtin_popcount(set->nodes);
}

static int larger_first(const void *a, const void *b) {
    const struct hold_set *x = a, *y = b;

    if (size_of(x) != size_of(y))
        return size_of(x) > size_of(y) ? -1 : 1;
    return (x->nodes > y->nodes) - (x->nodes < y->nodes);
}

static struct hold_set *find_set(struct hold_sets *sets, uint32_t nodes) {
    for (uint32_t s = 0; s < sets->count; s++)
        if (sets->set[s].nodes == nodes)
            return &sets->set[s];
    return NULL;
}

/* The records of a set, as far as the nodes that are there hold them: all sets that are the same
 * then together. */
static uint64_t count_set(const struct hold *hold, uint32_t there, uint32_t nodes) {
    uint64_t records = 0;

    for (uint32_t s = 0; s < hold->sets; s++)
        records += (hold->set[s].nodes & there) == nodes ? hold->set[s].records : 0;
    return records;
}

/* The set of several nodes with the most records that is not listed yet; 0: there is none. */
static uint32_t next_set(const struct hold *hold, struct hold_sets *sets) {
    uint64_t most = 0;
    uint32_t best = 0;

    for (uint32_t s = 0; s < hold->sets; s++) {
        const struct hold_set set = {.nodes = hold->set[s].nodes & sets->nodes};
        uint64_t records;

        if (size_of(&set) < 2 || find_set(sets, set.nodes))
            continue;
        records = count_set(hold, sets->nodes, set.nodes);
        if (records > most) {
            most = records;
            best = set.nodes;
        }
    }
    return best;
}

/* Count each record in the set that it is seen as. */
static void count_records(const struct hold *hold, struct hold_sets *sets) {
    for (uint32_t m = 0; m < hold->sets; m++) {
        uint32_t s = 0;

        while (s < sets->count && (sets->set[s].nodes & ~hold->set[m].nodes) != 0)
            s++;
        if (s < sets->count)
            sets->set[s].records += hold->set[m].records;
        else
            sets->nobody += hold->set[m].records;
    }
}

void hold_find(const struct hold *hold, uint32_t nodes, struct hold_sets *ret_sets) {
    struct hold_sets *sets = ret_sets;
    uint32_t held = 0, next;

    *sets = (struct hold_sets){.spread = hold->spread, .nodes = nodes};
    if (!hold->spread) {
        if (nodes)
            sets->set[sets->count++] = (struct hold_set){nodes, hold->records};
        else
            sets->nobody = hold->records;
        return;
    }
    for (uint32_t s = 0; s < hold->sets; s++)
        held |= hold->set[s].nodes & nodes;
    for (uint32_t n = 0; n < HOLD_NODES_MAX; n++)
        if (held >> n & 1)
            sets->set[sets->count++].nodes = 1u << n;
    while (sets->count < HOLD_SETS_MAX && (next = next_set(hold, sets)) != 0)
        sets->set[sets->count++].nodes = next;
    qsort(sets->set, sets->count, sizeof(sets->set[0]), larger_first);
    count_records(hold, sets);
}

/* ---- shares ---- */

/* How full all of the set's nodes are when its records are poured into the emptiest of them. */
static double level_of(const struct hold_set *set, const double full[HOLD_NODES_MAX]) {
    double level = 0;

    for (;;) { /* each round has one node more below the level, or is the last */
        double sum = (double)set->records, next = INFINITY;
        uint32_t count = 0;

        for (uint32_t n = 0; n < HOLD_NODES_MAX; n++) {
            if (!(set->nodes >> n & 1))
                continue;
            next = full[n] > level ? fmin(next, full[n]) : next;
            sum += full[n] <= level ? full[n] : 0;
            count += full[n] <= level;
        }
        if (count > 0 && sum / count <= next)
            return sum / count;
        level = next;
    }
}

static void share_set(const struct hold_sets *sets, uint32_t s, double full[HOLD_NODES_MAX],
                      struct share shares[HOLD_NODES_MAX + 1]) {
    const struct hold_set *set = &sets->set[s];
    double level = level_of(set, full), all = 0, done = 0;
    uint32_t at = 0, last = 31 - (uint32_t)__builtin_clz(set->nodes);

    for (uint32_t n = 0; n < HOLD_NODES_MAX; n++)
        if (set->nodes >> n & 1)
            all += fmax(0, level - full[n]);
    for (uint32_t n = 0; n < HOLD_NODES_MAX; n++) {
        struct share_class *class = &shares[n].class[s];

        if (!(set->nodes >> n & 1))
            continue;
        done += fmax(0, level - full[n]);
        full[n] = fmax(full[n], level);
        class->first = at;
        class->end = n == last ? SHARE_WHOLE
                     : all > 0 ? (uint32_t)lround(SHARE_WHOLE * done / all)
                               : at;
        at = class->end;
    }
}

void hold_share(const struct hold_sets *sets, struct share ret_shares[HOLD_NODES_MAX + 1]) {
    double full[HOLD_NODES_MAX] = {0};

    for (uint32_t n = 0; n <= HOLD_NODES_MAX; n++) {
        struct share *share = &ret_shares[n];

        *share = (struct share){.classes = sets->count + (sets->nobody > 0)};
        for (uint32_t c = 0; c < share->classes; c++)
            share->class[c] = (struct share_class){
                .bytes_max = UINT64_MAX,
                .holders = sets->spread && c < sets->count ? sets->set[c].nodes : 0};
    }
    if (sets->nobody > 0)
        ret_shares[HOLD_NODES_MAX].class[sets->count].end = SHARE_WHOLE;
    for (uint32_t s = sets->count; s-- > 0;) /* those that have the least choice first */
        share_set(sets, s, full, ret_shares);
}

bool hold_is_empty(const struct share *share) {
    for (uint32_t c = 0; c < share->classes; c++)
        if (share->class[c].end > share->class[c].first)
            return false;
    return true;
}
