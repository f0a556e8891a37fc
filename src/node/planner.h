/* Where a pipeline's rows are best made: asks this machine and nodes what they cost. */
#ifndef NODE_PLANNER_H
#define NODE_PLANNER_H

#include <opiml/feed.h>

#include "pipeline/cache_advice.h"
#include "pipeline/where.h"

struct tls;

struct planner_request {
    const char *text, *path; /* the pipeline file; its absolute path */
    const struct opiml_pipeline *pipeline;
    uint32_t threads; /* of this machine; 0: one per usable core */
    double cores;     /* at most so many of them, by a ceiling; 0: all */
    uint32_t rank, world;
    double demand;       /* rows in a second that the consumer takes; 0: all it can get */
    bool anew;           /* measure all, whatever is known from earlier */
    bool over_tcp;       /* frames never come through memory that both see */
    uint64_t pool_bytes; /* that each may take; 0: the pipeline's */
    const char *job;     /* what nodes are to count it to; NULL: its consumer */
    struct tls *tls;     /* borrowed, for nodes; NULL: without */
    const struct hold
        *hold; /* borrowed until planner_close: who holds which records, by the numbers
                  that planner_add gives nodes; NULL: whoever reads holds all */
};

/* What is known, and chosen. */
struct planner {
    struct profile_classes classes;
    struct profile profile[PLACE_TIERS_MAX]; /* of each tier */
    struct place_problem problem;
    struct place_plans plans;
    struct cache_advice cache;        /* that the plans take, on a node; not `worth`: none */
    struct profile kept;              /* of its tier, with it */
    bool cuts[PIPELINE_OPS_MAX + 1];  /* ... and that tier's without it */
    char *at[PLACE_TIERS_MAX];        /* nodes, by tier */
    uint32_t number[PLACE_TIERS_MAX]; /* ... as `hold` has them */
    const struct hold *hold;          /* borrowed; NULL: nothing is spread */
    struct opiml_error blind[PLACE_TIERS_MAX]; /* why one cannot read the data; code 0: it can */
    const struct opiml_pipeline *pipeline;     /* borrowed */
    struct cache_room room[PLACE_TIERS_MAX];   /* of each tier, that a cache could have */
    char why_not_here[WHERE_WHY_BYTES];        /* the file's reason; "": all may run here */
};

#define PLANNER_LINK_AGE_S 3600 /* past it a link is measured anew */

/* Begin with this machine, which is measured, unless that is known from earlier (profile_store.h).
 */
int planner_open(const struct planner_request *request, struct planner **ret_planner,
                 struct opiml_error *err);
/* Measure a node, and the link to it: a tier more, also where the node cannot read the data: it may
 * take rows from others. Its number is that of hold.h. A failure names the node, and adds none. */
int planner_add(struct planner *planner, const struct planner_request *request, uint32_t number,
                const char *at, struct opiml_error *err);
/* When all are there: find out which nodes may take rows from which, and how fast, and measure what
 * they cost one that cannot read the data. */
void planner_join(struct planner *planner, const struct planner_request *request);
/* All of that for these nodes, whose numbers are their places. Those that rows cannot go by take no
 * part, and are told of. */
typedef void planner_without(void *context, uint32_t number, const char *at,
                             const struct opiml_error *why);
void planner_ask(struct planner *planner, const struct planner_request *request,
                 const char *const *at, uint32_t count, planner_without *without, void *context);
/* Why no rows can go by a tier's node, after planner_join; NULL: they can. */
const struct opiml_error *planner_idle(const struct planner *planner, uint32_t tier);
/* Rows go by it no more, or from the one to the other. */
void planner_lose(struct planner *planner, uint32_t tier);
void planner_lose_link(struct planner *planner, uint32_t from, uint32_t to);
/* Choose; planner->plans are the plans. `keeps`: rows may be kept in a node's memory where that
 * pays from the second epoch on, and the plans are those of then. OPIML_ENOTSUP: there is none, and
 * what bounds them. */
int planner_choose(struct planner *planner, bool keeps, struct opiml_error *err);
/* Where a cache in memory would pay on a tier, beside the plan that was chosen. None where data are
 * spread: no tier has all rows then. */
void planner_advise(const struct planner *planner, uint32_t tier, struct cache_advice *ret_advice);
void planner_close(struct planner *planner); /* NULL is fine */

#endif
