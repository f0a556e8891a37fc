/* A part of a pipeline at work for one consumer elsewhere. */
#ifndef NODE_SESSION_H
#define NODE_SESSION_H

#include "base/stream.h"
#include "net/wire.h"
#include "node/upstream.h"
#include "pipeline/route.h"

struct closer;
struct datasets;
struct job;
struct opiml_feed_stats;
struct opiml_pipeline;
struct plan;
struct session;

enum session_state { SESSION_WAITING = 1, SESSION_RUNNING, SESSION_ENDED };

/* What a consumer asks for; texts are borrowed for the call. */
struct session_request {
    const char *text, *file; /* the pipeline file, and what it is called */
    uint64_t hash, fingerprint;
    uint32_t operators;
    const uint64_t *implementations; /* as many as operators */
    uint32_t rank, world;
    uint64_t first_batch, batches;
    uint32_t threads; /* at most node's */
    uint64_t pool_bytes;
    uint32_t stripes, depth;
    struct share share; /* of the rows, those that are made */
    /* Keep rows before operator cache_at, where it can be; bytes 0: not. */
    uint32_t cache_at;
    uint64_t cache_bytes;
    bool cache_on_disk; /* and not in memory */
    bool disk;          /* there may be a cache on this node's disk */
    bool ucx;           /* it may come through UCX */
    bool shared;        /* the consumer is on this machine: make frames where it can read them */
    bool networked;     /* it wants nothing to come through shared memory, here or before */
    /* Nodes that rows go by before they come here, and who may call them; none: they are read here.
     */
    const struct node_hop *before;
    uint32_t befores;
    struct upstreams *upstreams; /* outlives the session */
    const char *job_id; /* what nodes before this one are to count it to; NULL: this node */
    struct job *job;    /* that it is of; the session keeps a use of its own. NULL: nobody shares */
    /* Data sets that are open already, and which of them the pipeline's are; may both be none. */
    struct datasets *datasets;
    char *const *index_hashes;
    size_t index_hash_count;
};

#define SESSION_POOL_BYTES MIB(1024) /* at most, and where a consumer names none */
#define SESSION_THREADS 4            /* likewise */

/* Open a request's pipeline, which has to mean the same here: the same rows, from the same data. Of
 * operators only their number is looked at. OPIML_ESTALE: it does not. */
int session_open_pipeline(const struct session_request *request,
                          struct opiml_pipeline **ret_pipeline, struct opiml_error *err);
/* Whether its first `cut` operators may be on a node, and what a stage of them takes. The plan is
 * the caller's, for base_free. */
int session_check_cut(const struct opiml_pipeline *pipeline, const struct session_request *request,
                      uint32_t cut, struct opiml_error *err);
int session_plan(const struct opiml_pipeline *pipeline, const struct session_request *request,
                 uint32_t cut, struct plan **ret_plan, struct opiml_error *err);
/* The same of what such a stage takes its rows from: connect to the node before this one, for the
 * request's share and batches. Close the route's link, then the upstream. */
int session_open_upstream(const struct session_request *request,
                          const struct opiml_pipeline *pipeline, struct upstream **ret_upstream,
                          struct route *ret_route, struct opiml_error *err);
/* Whether rows may come by the nodes before this one: cuts in order, and the last of them allowed.
 * Calls nobody. */
int session_check_way(const struct session_request *request, struct opiml_error *err);
/* Operators that have run before rows come here. */
uint32_t session_first(const struct session_request *request);
/* Open the pipeline and make everything ready, at the nodes before this one, too; nothing runs
 * before all stripes are there. Blocks. OPIML_ESTALE: the pipeline, the data or an operator are
 * other than the consumer's, and the message says which. Failures of upstream_open.
 * OPIML_ELIMIT: its job has no memory left for it. */
int session_create(const struct session_request *request, struct session **ret_session,
                   struct opiml_error *err);
/* What opens the data port to its consumer: WIRE_TICKET_BYTES random ones. */
const uint8_t *session_ticket(const struct session *session);
uint64_t session_frame_bytes(const struct session *session);
bool session_shared(const struct session *session); /* as was asked for */
enum session_state session_state(struct session *session);
/* What its frames say that they are of. Before the first connection. */
void session_set_origin(struct session *session, struct frame_origin origin);
/* Stop the work, and tell the consumer why, where it still takes frames. Does not wait. */
void session_fail(struct session *session, const struct opiml_error *why);
/* The stations of *stats, which is zero, with `send` at the end; nothing of one at rest. */
void session_stats(struct session *session, struct opiml_feed_stats *stats);
/* A connection of the consumer, which is the session's from now on: stripe number `stripe`. The
 * last one starts the work, and so does the only one when it is for WIRE_SHARED, which is plain, or
 * for WIRE_UCX.
 * OPIML_EINVAL: there is none of that number, or it is there already. */
int session_connect(struct session *session, uint32_t stripe, struct stream *stream,
                    struct opiml_error *err);
/* Stops the work and waits for its threads, which takes as long as a read that hangs. NULL is fine.
 */
void session_destroy(struct session *session);
/* The same for who may not wait: the links are shut at once, and the rest is the closer's. Without
 * a closer it is waited for. */
void session_leave(struct session *session, struct closer *closer);

#endif
