#include "dataset/choice.h"

#include "base/hash.h"

/* ---- samples ---- */

/* How many strata so many numbers fall into: one at least, and none of them empty. */
static uint64_t strata_of(const struct choice *choice, uint64_t n) {
    unsigned __int128 share = (unsigned __int128)n * choice->share + CHOICE_WHOLE / 2;
    return base_min_u64(base_max_u64((uint64_t)(share / CHOICE_WHOLE), 1), n);
}

static uint64_t stratum_begin(uint64_t n, uint64_t strata, uint64_t i) {
    return (uint64_t)((unsigned __int128)n * i / strata);
}

/* The number that the draw keeps of a stratum. */
static uint64_t drawn(const struct choice *choice, uint64_t n, uint64_t strata, uint64_t pass,
                      uint64_t i) {
    uint64_t key[] = {choice->seed, choice->per_pass ? pass : 0, i};
    uint64_t begin = stratum_begin(n, strata, i), end = stratum_begin(n, strata, i + 1);
    uint64_t draw = hash_64(key, sizeof(key), 0);
    return begin + (uint64_t)((unsigned __int128)draw * (end - begin) >> 64);
}

/* The i-th of those that no draw keeps: before a stratum there are as many of them as numbers, less
 * one for each stratum. */
static uint64_t left_over(const struct choice *choice, uint64_t n, uint64_t strata, uint64_t pass,
                          uint64_t i) {
    uint64_t low = 0, high = strata - 1;
    while (low < high) { /* the last stratum with at most i of them before it */
        uint64_t middle = low + (high - low + 1) / 2;
        if (stratum_begin(n, strata, middle) - middle <= i)
            low = middle;
        else
            high = middle - 1;
    }
    uint64_t number = i + low; /* as if the draw had kept the stratum's last */
    return number + (number >= drawn(choice, n, strata, pass, low));
}

/* ---- steps ---- */

static uint64_t step_count(const struct choice *choice, uint64_t n) {
    if (n == 0)
        return 0;
    if (choice->kind == CHOICE_TAKE)
        return choice->from < n ? base_min_u64(choice->count, n - choice->from) : 0;
    uint64_t strata = strata_of(choice, n);
    return choice->others ? n - strata : strata;
}

static uint64_t step_at(const struct choice *choice, uint64_t n, uint64_t pass, uint64_t i) {
    if (choice->kind == CHOICE_TAKE)
        return choice->from + i;
    uint64_t strata = strata_of(choice, n);
    return choice->others ? left_over(choice, n, strata, pass, i)
                          : drawn(choice, n, strata, pass, i);
}

uint64_t choices_count(const struct choices *choices, uint64_t records) {
    for (uint32_t s = 0; s < choices->count; s++)
        records = step_count(&choices->step[s], records);
    return records;
}

uint64_t choices_at(const struct choices *choices, uint64_t records, uint64_t pass, uint64_t i) {
    uint64_t n[CHOICES_MAX];
    for (uint32_t s = 0; s < choices->count; s++) {
        n[s] = records;
        records = step_count(&choices->step[s], records);
    }
    assert(i < records);
    for (uint32_t s = choices->count; s-- > 0;)
        i = step_at(&choices->step[s], n[s], pass, i);
    return i;
}
