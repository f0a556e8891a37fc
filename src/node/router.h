/* Where a feed's rows are made: by nodes, as long as they do, and else here. */
#ifndef NODE_ROUTER_H
#define NODE_ROUTER_H

#include "node/planner.h"
#include "node/remote.h"
#include "pipeline/router.h"

struct node_router;
struct tls;

struct node_router_request {
    const char *nodes; /* "HOST:PORT", or several with commas between; NULL: those of `chain` */
    const char *chain; /* "HOST:PORT=CUT,...": the one way of all rows, in this order; NULL: none */
    const char *path;  /* of the pipeline file, which nodes are sent; absolute */
    int32_t cut;       /* operators that nodes run, each for an equal share; -1: as is best */
    uint32_t threads;  /* of this machine; 0: one per usable core */
    double cores;      /* that a plan may count on here, at most; 0: all */
    double demand;     /* rows in a second that the consumer takes; 0: all it can get */
    uint64_t pool_bytes; /* of the feed, and of each node; 0: the pipeline's */
    uint32_t stripes;
    enum node_remote_link link;
    const char *job; /* what nodes are to count it to; NULL: its consumer */
    uint32_t rank, world;
    uint64_t epochs;      /* of the run; 0: without an end. One has no use for rows that are kept */
    uint32_t deadline_ms; /* that a node may say nothing (remote.h) */
    bool insist;          /* a node that does not, or no longer, take part is a failure */
    struct tls *tls;      /* borrowed, until the router is closed; NULL: without */
};

/* But for `tls`, what the request points to is not kept. Nothing is asked of the nodes before the
 * feed is opened. What is not as it should be later is logged as a warning. Close it after the
 * feed. OPIML_EINVAL: too many nodes, one is no place, or cuts are out of order.
 */
int node_router_open(const struct node_router_request *request,
                     const struct opiml_pipeline *pipeline, struct node_router **ret_router,
                     struct opiml_error *err);
/* What was measured and chosen; NULL: nothing, since the cut is given. */
const struct planner *node_router_planner(const struct node_router *router);
struct feed_router *node_router_feed(struct node_router *router); /* borrowed */
void node_router_close(struct node_router *router);               /* NULL is fine */

#endif
