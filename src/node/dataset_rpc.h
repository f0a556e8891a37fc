/* The data set service: opiml.v1alpha1.DatasetService. */
#ifndef NODE_DATASET_RPC_H
#define NODE_DATASET_RPC_H

#include "node/datasets.h"
#include "rpc/server.h"

#define DATASET_RPC_PIECE MIB(1) /* of an index, that one answer has at most */

struct dataset_rpc {
    struct rpc_service service;
    struct datasets *datasets; /* borrowed */
};

/* Fill *service, which a server then borrows, as it does the data sets. */
void dataset_rpc_init(struct dataset_rpc *service, struct datasets *datasets);

#endif
