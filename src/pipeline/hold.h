/* Who holds a pipeline's records, where its data are spread over nodes: sets of nodes, told apart
 * by what they hold together. Nodes are numbered as in the indexes (index_merge.h), a bit for each.
 */
#ifndef PIPELINE_HOLD_H
#define PIPELINE_HOLD_H

#include "pipeline/pipeline.h"
#include "pipeline/route.h"

#define HOLD_NODES_MAX ROUTES_MAX
#define HOLD_SETS_MAX 16 /* that shares tell apart */

struct hold_set {
    uint32_t nodes;   /* that hold its records, all of them each */
    uint64_t records; /* of one epoch without a shuffle's limits: of the data sets */
};

struct hold {
    bool spread; /* false: whoever takes part holds all, and there is no set */
    uint64_t records;
    uint32_t sets;
    struct hold_set *set; /* all that there are; for base_free */
};

/* Count the records of each set. Looks at every record's entry in the index. */
int hold_count(const struct opiml_pipeline *pipeline, struct hold *ret_hold,
               struct opiml_error *err);
void hold_release(struct hold *hold);

/* The sets that shares tell apart, the largest first: a record is of the first one whose nodes all
 * hold it. */
struct hold_sets {
    bool spread;
    uint32_t nodes, count; /* nodes: those that are there */
    struct hold_set set[HOLD_SETS_MAX];
    uint64_t nobody; /* records that none of the nodes holds */
};
/* Of the nodes that are there. Where there are more sets than HOLD_SETS_MAX, those of single nodes
 * stay and of the others those with the most records; what is of none of these is seen as a smaller
 * set's, so that fewer nodes share it than could. */
void hold_find(const struct hold *hold, uint32_t nodes, struct hold_sets *ret_sets);
/* Shares of all nodes, by number, that are as equal as the sets allow. ret_shares[HOLD_NODES_MAX]
 * is that of the consumer, which has what nobody holds. */
void hold_share(const struct hold_sets *sets, struct share ret_shares[HOLD_NODES_MAX + 1]);
/* Whether there is anything in a share. */
bool hold_is_empty(const struct share *share);

#endif
