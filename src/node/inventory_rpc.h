/* OPI's inventory service. */
#ifndef NODE_INVENTORY_RPC_H
#define NODE_INVENTORY_RPC_H

#include "rpc/server.h"

extern const struct rpc_service inventory_rpc;

#endif
