/* A leg of a feed's way: from one batch on, one arrangement of who makes them. A feed goes on to
 * another leg when a route is lost, or a better one is found. */
#ifndef PIPELINE_LEG_H
#define PIPELINE_LEG_H

#include "pipeline/stage.h"

struct leg_request {
    const struct opiml_pipeline *pipeline;
    const struct opiml_feed_options *options; /* threads, ranks, pool, digest and cut */
    uint64_t first, batches;                  /* as in struct stage_options */
    struct stage_waiter *waiter;
};

/* What runs behind a loopback link, when options.cut says so. */
struct front {
    struct plan *plan;
    struct stage *stage;
    struct link *link; /* the leg's only route has it, too */
    pthread_t pump;
    bool pumping;
};

struct leg {
    struct plan *plan;
    struct stage *stage;
    struct routes routes; /* none: the stage reads all */
    struct front front;
    struct leg *older; /* for its owner: one that waits for its slots to come back */
};

/* Begin to make batches. Takes the links of `routes` in any case; NULL: all is made here. */
int leg_open(const struct leg_request *request, const struct routes *routes, struct leg **ret_leg,
             struct opiml_error *err);
/* End its threads and its links. Slots that somebody holds stay until leg_close. */
void leg_stop(struct leg *leg);
void leg_close(struct leg *leg); /* NULL is fine */

#endif
