/* Whether a plan keeps what it promised, and what that says of the tiers, and of the links between
 * them: one that is always
 * busy although it should have time to spare is weaker than it was measured, by as much. That is
 * believed for a time, and then, step by step, less and less, so that a tier that is free again is
 * given rows again, few at first; where that was too soon the time doubles. One that has time to
 * spare although it should be busy is believed at once. */
#ifndef NODE_REVIEW_H
#define NODE_REVIEW_H

#include <opiml/feed.h>

#include "pipeline/place.h"
#include "pipeline/route.h"

#define REVIEW_NS 2000000000ull /* between two looks */
#define REVIEW_GAIN 1.15        /* of the rate, that is worth a move */
#define REVIEW_TIMES 2          /* looks in turn that have to say so */

#define REVIEW_PATIENCE_LEAST_NS 20000000000ull /* that a weakness is believed */
#define REVIEW_PATIENCE_MOST_NS 640000000000ull
#define REVIEW_RISE 1.25 /* of what a tier is taken for, from one look to the next */

/* What a tier, or a link between two, is taken for. */
struct review_tier {
    double cores, link_bytes_per_s; /* as it was measured; cores: a tier's */
    double trust;                   /* of that; 0: nothing was seen yet */
    double planned;                 /* the same when the plan was made */
    uint64_t since_ns, patience_ns;
    bool tried; /* it was taken for more than it had shown, and has not failed since */
};

struct review {
    uint64_t looked_ns;
    uint32_t times;
    struct review_tier tier[PLACE_TIERS_MAX];
    struct review_tier link[PLACE_TIERS_MAX][PLACE_TIERS_MAX]; /* from the one to the other */
    struct opiml_feed_stats *last;                             /* at the last look */
};

int review_open(struct review *review, struct opiml_error *err);
/* Another plan begins: what was counted for the last one is forgotten, what was learned of tiers is
 * not. */
void review_begin(struct review *review);
/* Look, if it is time to: correct the problem's tiers and links by what `stats` say of `plan`, and
 * choose again into *plans. True: its best plan is so much better, for so many looks, that it is to
 * be taken. `now_ns` is the monotonic clock. */
bool review_look(struct review *review, uint64_t now_ns, const struct opiml_feed_stats *stats,
                 struct place_problem *problem, const struct place_plan *plan,
                 struct place_plans *plans);
void review_close(struct review *review);

#endif
