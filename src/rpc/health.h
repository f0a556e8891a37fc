/* gRPC's health checking: https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
#ifndef RPC_HEALTH_H
#define RPC_HEALTH_H

#include "rpc/server.h"

struct health {
    struct rpc_service service;
    const struct rpc_service *const *services; /* whose names Check knows */
    bool serving;
};

/* Whether it serves from now on; tells those who watch. On the server's loop, outside of handlers.
 */
void health_set(struct health *health, struct rpc_server *server, bool serving);
/* Fill *health, which the server then borrows; it serves. */
void health_init(struct health *health, const struct rpc_service *const *services);

#endif
