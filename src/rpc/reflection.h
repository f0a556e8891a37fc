/* gRPC's server reflection, v1 and v1alpha:
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md */
#ifndef RPC_REFLECTION_H
#define RPC_REFLECTION_H

#include "rpc/server.h"

struct reflection {
    struct rpc_service service, older; /* of v1 and v1alpha */
    const struct rpc_service *const *services;
    void *files; /* a google.protobuf.FileDescriptorSet */
};

/* Fill *reflection, which the server then borrows. `services` are those that it lists, and `set` is
 * a packed FileDescriptorSet of the files that declare them. */
int reflection_init(struct reflection *reflection, const struct rpc_service *const *services,
                    const void *set, size_t bytes, struct opiml_error *err);
void reflection_release(struct reflection *reflection);

#endif
