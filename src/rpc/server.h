/* A gRPC server: HTTP/2 by nghttp2, messages by protobuf-c, on a libevent loop. Everything here is
 * for the loop's thread.
 *
 * It speaks gRPC over HTTP/2 (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md) with prior knowledge;
 * messages are not compressed. A method is called for every message that comes, and answers with
 * any number of messages: unary calls are the case of one and one. */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include "base/base.h"

#define RPC_MESSAGE_MAX MIB(4) /* as other implementations have it */
/* Of a server. One more, and one gives way that has no call, or whose address has more than a
 * quarter of all and none of whose calls is worked on: before all others one that has not spoken
 * yet, then of the address that has most, then without a call, then the one that was heard of
 * longest ago. */
#define RPC_CONNECTIONS_MAX 256
#define RPC_STREAMS_MAX 64     /* of a connection */
#define RPC_WORKING_MAX 8      /* calls of a connection that are worked on, or wait for it */
#define RPC_MEMORY_MAX MIB(64) /* that calls hold together in messages (rpc/call.h) */
#define RPC_GREETING_S 10      /* that a client has for TLS and HTTP/2's first words */
#define RPC_IDLE_S 300         /* that one may say nothing of a call, unless it watches something */

struct ProtobufCServiceDescriptor;
struct event_base;
struct rpc_server;
struct rpc_call;
struct tls;

/* Answer one message. `request` has the method's input type, lives until this returns, and what was
 * left out of it is empty. Replies go through rpc_reply. A negative code ends the call with its
 * gRPC code and the error's message. */
typedef int rpc_handler(struct rpc_call *call, void *context, const void *request,
                        struct opiml_error *err);

/* What would hold up the loop, before the handler and on another thread, several at once: what it
 * reads by `context` stays as it is. `request` lives until the handler has returned. *ret_made is
 * for the handler, which takes it by rpc_made; what nobody takes goes to the method's `drop`. `who`
 * calls: the first name of its certificate or, without TLS, its address without the port. */
#define RPC_WHO_BYTES 256
typedef int rpc_worker(void *context, const char *who, const void *request, void **ret_made,
                       struct opiml_error *err);

struct rpc_method {
    const char *name; /* as in the .proto */
    rpc_handler *run;
    bool stays; /* a stream of replies that goes on until the client ends it */
    /* NULL, or with `stays`: called as `run` was, with the last message, for rpc_server_again. */
    rpc_handler *again;
    /* NULL, or both. A call has one message then. With too many waiting (work.h) it is refused
     * with OPIML_EBUSY, as with RPC_WORKING_MAX of its connection. */
    rpc_worker *work;
    void (*drop)(void *made); /* on the loop's thread */
    /* NULL, or with `work`: whether it waits for another server, which may be waiting for this one:
     * such work has threads of its own. */
    bool (*waits)(const void *request);
};

struct rpc_service {
    const struct ProtobufCServiceDescriptor *descriptor;
    const struct rpc_method *methods; /* ends with a NULL name; what is missing is UNIMPLEMENTED */
    void *context;
};

/* Add a reply, packed at once. `message` has the method's output type. OPIML_ELIMIT when it is
 * larger than RPC_MESSAGE_MAX, or calls hold RPC_MEMORY_MAX. */
int rpc_reply(struct rpc_call *call, const void *message, struct opiml_error *err);
/* Memory that lives until the handler has returned; for what a reply points to. NULL: out of it. */
void *rpc_take(struct rpc_call *call, size_t bytes);
char *rpc_text(struct rpc_call *call, const char *format, ...) OPIML_PRINTF(2, 3);
/* What the method's `work` has made, for the handler to keep; NULL: it was taken already. */
void *rpc_made(struct rpc_call *call);
/* Who calls: "192.0.2.7:4711". */
const char *rpc_peer(const struct rpc_call *call);
/* ... as workers are told. */
const char *rpc_who(const struct rpc_call *call);
bool rpc_peer_is_here(const struct rpc_call *call); /* on this machine, by its loopback */

/* Serve these services (NULL at the end; borrowed) on a loop that outlives the server; `tls`, too,
 * which may be NULL: without. Clients that are refused are logged, with the reason. */
int rpc_server_create(struct event_base *base, const struct rpc_service *const *services,
                      struct tls *tls, struct rpc_server **ret_server, struct opiml_error *err);
/* Other times than RPC_GREETING_S and RPC_IDLE_S, for connections from now on. */
void rpc_server_set_patience(struct rpc_server *server, uint32_t greeting_ms, uint32_t idle_ms);
/* Listen on "HOST:PORT" or "[ADDRESS]:PORT" (port 0: any free one); several times for several
 * places. *ret_port, when not NULL, is the port. OPIML_EACCES: others can reach that address,
 * there is no TLS, and `exposed` is false; OPIML_EBUSY: another program listens there. */
int rpc_server_listen(struct rpc_server *server, const char *at, bool exposed, uint16_t *ret_port,
                      struct opiml_error *err);
/* Something has changed: call `again` of all calls whose method has it. On the loop, outside of
 * handlers. */
void rpc_server_again(struct rpc_server *server);
/* Take no more connections or calls; those under way are answered. */
void rpc_server_drain(struct rpc_server *server);
uint32_t rpc_server_calls(const struct rpc_server *server); /* under way */
struct rpc_counters {
    uint32_t connections, calls; /* now */
    uint64_t by_status[17];      /* answered so far, by gRPC status */
    uint64_t left;               /* whose client went before */
};
void rpc_server_count(const struct rpc_server *server, struct rpc_counters *ret_counters);
/* Waits for what calls are being worked on. */
void rpc_server_destroy(struct rpc_server *server);

#endif
