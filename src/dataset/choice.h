/* Choices: of which of its records a data set consists, by their numbers alone. Pure functions, the
 * same on every machine, that take no memory for a record. */
#ifndef DATASET_CHOICE_H
#define DATASET_CHOICE_H

#include "base/base.h"

enum choice_kind { CHOICE_TAKE, CHOICE_SAMPLE };

/* One step: numbers [0, n) of what came before it become [0, fewer). */
struct choice {
    enum choice_kind kind;
    /* CHOICE_TAKE: `count` numbers from `from` on, or as many as there are. */
    uint64_t from, count;
    /* CHOICE_SAMPLE: the numbers fall into strata of one size, or two that differ by one; of each
     * stratum a draw keeps one number, or all others. */
    uint64_t share, seed; /* share: CHOICE_WHOLE is all */
    bool others, per_pass;
};
#define CHOICE_WHOLE (UINT64_C(1) << 32)

#define CHOICES_MAX 4
struct choices {
    uint32_t count; /* 0: all records */
    struct choice step[CHOICES_MAX];
};

/* How many of so many records are chosen; the same in each pass. */
uint64_t choices_count(const struct choices *choices, uint64_t records);
/* The number among all records of the i-th chosen one, i below choices_count. It grows with i. */
uint64_t choices_at(const struct choices *choices, uint64_t records, uint64_t pass, uint64_t i);

#endif
