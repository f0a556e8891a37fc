/* A node's counters, as Prometheus reads them:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4). */
#ifndef NODE_METRICS_H
#define NODE_METRICS_H

#include <opiml/feed.h>

#include "base/text.h"
#include "node/node.h"
#include "rpc/server.h"

struct metrics_pipeline {
    char id[64];
    struct opiml_feed_stats stats;
};

struct metrics {
    struct node_status node;
    struct rpc_counters rpc;
    uint64_t cpu_ns, started_ns; /* of the process; started_ns: since 1970 */
    uint32_t pipelines;
    struct metrics_pipeline *pipeline; /* borrowed */
    struct jobs_budget budget;
    uint32_t jobs;
    struct jobs_view *job; /* borrowed */
};

/* Append them all. Each pipeline's series go when it is forgotten, and a job's when JOBS_MAX others
 * have come: there are never more. */
void metrics_write(const struct metrics *metrics, struct text *to);

#endif
