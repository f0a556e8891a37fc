/* Feeds whose rows are made in several places, and who says where. */
#ifndef PIPELINE_ROUTER_H
#define PIPELINE_ROUTER_H

#include <opiml/feed.h>

#include "pipeline/route.h"

/* Says where rows are made; all its calls come from the feed's consumer thread. */
struct feed_router {
    /* Arrange for batches [first, first + batches), counted over epochs (UINT64_MAX: without end):
     * routes that cover all records, whose links become the feed's. Comes once at the start, and
     * again behind `lost`; the links of the arrangement before are closed by then. */
    int (*arrange)(struct feed_router *router, uint64_t first, uint64_t batches,
                   struct routes *ret_routes, struct opiml_error *err);
    /* A route of the last arrangement has failed, before batch `next`. */
    void (*lost)(struct feed_router *router, uint32_t route, uint64_t next,
                 const struct opiml_error *why);
    /* Before each batch but the first of an arrangement: true to arrange anew. NULL: never. What
     * is made already and was not delivered is made again. */
    bool (*move)(struct feed_router *router, struct opiml_feed *feed);
};

/* opiml_feed_open with a router, which outlives the feed. `options->cut` has to be -1. */
int feed_open_routed(struct opiml_pipeline *pipeline, const struct opiml_feed_options *options,
                     struct feed_router *router, struct opiml_feed **ret_feed,
                     struct opiml_error *err);

#endif
