/* Placement: which tier makes which rows, and how far. A tier is the consumer's own machine or a
 * node; rows come from a node that reads them, or by two: the second takes them from the first. Of
 * a chain of operators there are few cuts: a linear programme finds the shares of all ways and
 * classes of records that give the highest rate, with the time of each tier's processors, the bytes
 * of each link and of each tier's storage as its limits. Arithmetic only. */
#ifndef PIPELINE_PLACE_H
#define PIPELINE_PLACE_H

#include "pipeline/hold.h"
#include "pipeline/profile.h"

#define PLACE_TIERS_MAX 9  /* the consumer's, and nodes */
#define PLACE_LINKS_MAX 8  /* between nodes */
#define PLACE_CHAINS_MAX 8 /* plans by two nodes that are told: the best ones */
#define PLACE_PLANS_MAX (PIPELINE_OPS_MAX + 3 + PLACE_CHAINS_MAX)

struct place_tier {
    char name[64]; /* of a node: where it is */
    const struct profile *profile;
    double cores;
    double link_bytes_per_s;                 /* of a node, to the consumer; infinite: `shared` */
    double link_age_s;                       /* since it was measured; 0: just now */
    bool shared;                             /* frames come through memory that both see */
    double send_ns, receive_ns;              /* of a byte of a frame; 0: as WIRE_SEND_NS and such */
    bool cut[PIPELINE_OPS_MAX + 1];          /* of a node: those that it can run, of its own data */
    char why_not[PIPELINE_OPS_MAX + 1][128]; /* ... and why it cannot run the others */
    /* ... of rows that come from another node: that they can end at this cut, and begin at one from
     * `first` on, for which there is a profile; and operators that are the consumer's. */
    bool end[PIPELINE_OPS_MAX + 1], same[PIPELINE_OPS_MAX];
    uint32_t first;
};

/* Rows may go from one node to another. */
struct place_link {
    uint32_t from, to; /* tiers */
    double bytes_per_s;
};

/* Records that the same nodes hold, where data are spread over them. */
struct place_set {
    uint32_t holders; /* as in share_class; 0: nobody but the consumer */
    uint32_t tiers;   /* a bit for each tier that holds them */
    double share;     /* of the records; their sum is 1 */
};
#define PLACE_SETS_MAX (HOLD_SETS_MAX + 1)

struct place_problem {
    const struct profile_classes *classes;
    uint32_t ops;   /* row operators */
    uint32_t tiers; /* the first is the consumer's */
    bool local;     /* the consumer can read the data itself */
    bool remote;    /* ... over the network: what it reads goes over the nodes' links, too */
    bool whole;     /* rows go one way, where one holds them all */
    double demand;  /* rows that the consumer takes in a second; 0: all it can get */
    struct place_tier tier[PLACE_TIERS_MAX];
    uint32_t links;
    struct place_link link[PLACE_LINKS_MAX];
    /* In the order in which a record is looked for (share_class), and no more than
     * SHARE_CLASSES_MAX with all sizes; 0: whoever reads holds all. */
    uint32_t sets;
    struct place_set set[PLACE_SETS_MAX];
};

/* What limits a plan: of a tier, the first three; PLACE_BETWEEN: of a link between nodes. */
enum place_limit { PLACE_CPU, PLACE_READ, PLACE_LINK, PLACE_DEMAND, PLACE_BETWEEN };

/* One way for some of the rows. */
struct place_part {
    uint32_t tier, cut; /* cut: of a node; the consumer's tier makes all */
    uint32_t from;      /* the node that the tier takes them from; 0: it reads them itself */
    uint32_t from_cut;  /* ... and operators that have run there */
    double share;       /* of all rows */
    struct share rows;  /* those it makes */
};

struct place_plan {
    char name[192]; /* "mixed", "all here", "cut 2", "a:1 0-2, b:1 2-4, here 4-6" */
    bool mixed;     /* of several ways */
    double rate;    /* rows in a second, that are likely: less than what limits it allows, where
                       other things have nearly as much to do */
    enum place_limit limit;
    uint32_t limit_tier; /* whose; of PLACE_BETWEEN the link's number */
    uint32_t parts;
    struct place_part part[ROUTES_MAX];
    /* Of the rate, what each tier's processors, storage and link do: 1 is all they can. */
    double cpu[PLACE_TIERS_MAX], read[PLACE_TIERS_MAX], link[PLACE_TIERS_MAX];
    double link_bytes_per_s[PLACE_TIERS_MAX];
    /* ... and each link between nodes. */
    double between[PLACE_LINKS_MAX], between_bytes_per_s[PLACE_LINKS_MAX];
};

struct place_plans {
    uint32_t count; /* best first; plan[0] is to be taken */
    struct place_plan plan[PLACE_PLANS_MAX];
};

/* All plans with one cut for all rows, the one with none, the best by two nodes, and the best
 * mixture, which is only taken where its gain is PLACE_GAIN. OPIML_ENOTSUP: there is no way at all.
 */
#define PLACE_GAIN 1.05
int place_choose(const struct place_problem *problem, struct place_plans *ret_plans,
                 struct opiml_error *err);
/* The rate of a given way: the plan's, under another problem. */
void place_rate(const struct place_problem *problem, struct place_plan *plan);

#endif
