/* A gRPC client: unary calls, one at a time, over one connection. For one thread at a time. */
#ifndef RPC_CLIENT_H
#define RPC_CLIENT_H

#include "base/base.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
struct rpc_client;
struct tls;

/* Connect to "HOST:PORT" or "[ADDRESS]:PORT", trying each address that the name has, with `tls`
 * (borrowed; NULL: without). `timeout_ms` is for this and for each call. Messages name the server.
 * OPIML_EIO: nobody answers there, or it does not speak HTTP/2 or TLS; OPIML_EACCES: one of the two
 * refuses the other's certificate; OPIML_ETIMEDOUT. */
int rpc_client_open(const char *at, struct tls *tls, uint32_t timeout_ms,
                    struct rpc_client **ret_client, struct opiml_error *err);
/* Call "/package.Service/Method". *ret_reply has the type `reply`, and is the caller's to free with
 * protobuf_c_message_free_unpacked(reply, NULL). What the server fails with comes as the code that
 * stands for its status, with its message. OPIML_EIO or OPIML_ETIMEDOUT: the server may have done
 * it or not; the next call connects anew, as it does where the server has closed the connection in
 * between, since it was idle for long. */
int rpc_client_call(struct rpc_client *client, const char *path,
                    const struct ProtobufCMessage *request,
                    const struct ProtobufCMessageDescriptor *reply, void *ret_reply,
                    struct opiml_error *err);
void rpc_client_close(struct rpc_client *client);

#endif
