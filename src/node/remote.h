/* The consumer's side of a node: asks it to run the first operators of a pipeline. */
#ifndef NODE_REMOTE_H
#define NODE_REMOTE_H

#include <opiml/feed.h>

#include "dataset/index.h"
#include "dataset/mix.h"
#include "pipeline/route.h"

struct node_remote;
struct tls;

/* What frames come over. */
enum node_remote_link {
    NODE_REMOTE_AUTO, /* shared memory where that works, UCX where both have RDMA, else TCP */
    NODE_REMOTE_TCP,
    NODE_REMOTE_SHM,
    NODE_REMOTE_UCX
};

/* A node on the way of rows, and the operators that have run when they leave it. */
#define NODE_HOPS_MAX 4
struct node_hop {
    const char *at; /* "HOST:PORT" */
    uint32_t operators;
};

struct node_remote_request {
    const char *at;          /* of the node: "HOST:PORT" */
    const char *text, *path; /* the pipeline file, which the node is sent; its absolute path */
    uint32_t operators;
    const uint64_t *implementations; /* of them, as they have to be; NULL: as they are here */
    const struct node_hop *before;   /* nodes that rows go by before they come there ... */
    uint32_t befores;                /* ... in that order, below NODE_HOPS_MAX; 0: it reads them */
    uint64_t pool_bytes;  /* that it may take, which has two frames in it; 0: SESSION_POOL_BYTES */
    uint32_t cache_at;    /* it is to keep rows before this operator ... */
    uint64_t cache_bytes; /* ... in at most so many bytes, as far as it can; 0: not */
    bool cache_on_disk;   /* ... and not in memory */
    uint32_t stripes;
    enum node_remote_link link;
    const char *job; /* what the node is to count it to; NULL: its consumer */
    uint32_t rank, world;
    uint64_t first_batch, batches; /* counted over epochs */
    struct share share;
    uint32_t deadline_ms; /* that the node may say nothing, LINK_DEADLINE_LEAST_MS at least; 0:
                             LINK_DEADLINE_MS */
    struct tls *tls;      /* borrowed, until the remote is closed; NULL: without */
};

/* The hashes of a pipeline's indexes, as a node is told them. */
struct node_hashes {
    char text[MIX_MAX][INDEX_HASH_BYTES], *at[MIX_MAX];
};
void node_hashes(const struct opiml_pipeline *pipeline, struct node_hashes *ret_hashes);

/* Create the pipeline there and connect to what it makes. *ret_route has a link, which is the
 * caller's. Close the remote after it. OPIML_ELIMIT: its frames are larger than a node's whose pool
 * this is. OPIML_ENODEV: memory cannot be shared with the node, or one
 * of the two has no UCX, and nothing else was to do. */
int node_remote_open(const struct node_remote_request *request,
                     const struct opiml_pipeline *pipeline, struct node_remote **ret_remote,
                     struct route *ret_route, struct opiml_error *err);
/* Tell the node that it is over, or nothing where it is `lost`, which could take as long as a call
 * is waited for. NULL is fine. */
void node_remote_close(struct node_remote *remote, bool lost);

#endif
