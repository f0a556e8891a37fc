/* The node service: opiml.v1alpha1.NodeService. */
#ifndef NODE_NODE_RPC_H
#define NODE_NODE_RPC_H

#include "node/node.h"
#include "rpc/server.h"

#define NODE_GRACE_S 60 /* where a client names none */
#define NODE_GRACE_MOST_S 86400

struct node_rpc {
    struct rpc_service service;
};

/* Fill *service, which a server then borrows. */
void node_rpc_init(struct node_rpc *service, struct node *node);

#endif
