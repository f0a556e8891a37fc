/* The node daemon: what runs on a DPU, a storage node or a host, and works for others. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "node/jobs.h"

#define NODE_LISTEN_MAX 4
#define NODE_ROOTS_MAX 16
/* 50051, 50151 and 8082 belong to OPI's own bridges on a DPU. */
#define NODE_LISTEN "127.0.0.1:50251"
#define NODE_DATA "127.0.0.1:50252"
#define NODE_METRICS "127.0.0.1:50253"

#define NODE_ANSWER_S 5

struct node;
struct tls_files;

struct node_options {
    /* HOST:PORT each, ends with NULL; the first of them NULL: NODE_LISTEN. */
    const char *listen[NODE_LISTEN_MAX + 1];
    const char *data;                      /* where consumers connect; NULL: NODE_DATA */
    const char *roots[NODE_ROOTS_MAX + 1]; /* folders whose data it serves, and below; none: none */
    const char *aliases; /* URI=PATH, with commas between: what lies here under other names; NULL */
    const char *upstreams; /* nodes that it may take rows from, with commas between; NULL: none */
    const char *metrics;   /* where Prometheus reads; NULL: nowhere */
    const char *state; /* the folder of what is to outlive the process (keep.h); NULL: nothing */
    struct jobs_limits limits; /* what jobs may have; zero: as preset */
    uint64_t cache_disk_bytes; /* of all caches on disk that pipelines may have here; 0: none */
    bool insecure;             /* addresses that others can reach may do without TLS */
    bool metrics_insecure;     /* that of the metrics, which never have it */
    bool ucx; /* frames may be taken over UCX, which TLS does not protect: see link_ucx_open */
    const struct tls_files *tls; /* NULL: without TLS; borrowed until the node's end */
};

/* Listen; nothing is served before node_run. Data outside of the roots are not to be had in this
 * process from then on. With TLS, every address speaks it, and SIGHUP has its files read again;
 * without, SIGHUP does nothing.
 * OPIML_EACCES: an address that is not loopback, without TLS or `insecure`; of metrics, without
 * one of the two that say so. OPIML_EBUSY: another
 * program listens there. OPIML_ENODEV: there is no UCX. Failures of tls_create and
 * keep_open. */
int node_create(const struct node_options *options, struct node **ret_node,
                struct opiml_error *err);
uint16_t node_port(const struct node *node, uint32_t listener); /* that it got for port 0 */
uint16_t node_metrics_port(const struct node *node);            /* 0: it has none */
/* Serve until node_stop. */
int node_run(struct node *node, struct opiml_error *err);
/* Take no more calls, answer those under way, for up to NODE_ANSWER_S, and let node_run return. For
 * signal handlers and other threads. */
void node_stop(struct node *node);
/* Take no more pipelines; after grace_ns those that are left are stopped. With `stop`, node_run
 * returns when none is left. Again: the sooner end counts. On the loop's thread. */
void node_drain(struct node *node, uint64_t grace_ns, bool stop);

enum node_state { NODE_SERVING = 1, NODE_DRAINING, NODE_DRAINED };
struct node_status {
    enum node_state state;
    uint64_t uptime_ns, resident_bytes;
    uint32_t pipelines, datasets;
    uint64_t pipelines_created, pipelines_expired;
    uint16_t data_port;
};
/* What jobs have of it, in ret_views; returns how many. */
uint32_t node_look_jobs(const struct node *node, struct jobs_view ret_views[JOBS_MAX],
                        struct jobs_budget *ret_budget);
/* On the loop's thread. */
void node_look(const struct node *node, struct node_status *ret_status);
void node_destroy(struct node *node);

#endif
