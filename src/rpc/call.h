/* One gRPC call, apart from the connection that carries it: messages in, messages and a status out.
 * The protocol is that of github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md: a message has five bytes
 * before it, whether it is compressed and its length, big-endian. */
#ifndef RPC_CALL_H
#define RPC_CALL_H

#include "rpc/server.h"

/* What many calls may hold together, in messages that come and replies that go. Calls above it end
 * with OPIML_ELIMIT; but each may hold CALL_SMALL, so that some that hold much do not stop those
 * that renew a lease. For one thread. */
#define CALL_SMALL KIB(4)
struct call_budget {
    uint64_t held, most;
};

/* By its address, and by its certificate (NULL: it has none). The budget, which outlives it, may be
 * NULL: no bound. NULL: out of memory. */
struct rpc_call *call_create(const char *peer, const char *who, struct call_budget *budget);
void call_destroy(struct rpc_call *call); /* not between call_wants_work and call_worked */

/* What comes, in this order: headers, route once they are all there, data, end. */
void call_take_header(struct rpc_call *call, const char *name, const char *value, size_t bytes);
void call_route(struct rpc_call *call, const struct rpc_service *const *services);
void call_data(struct rpc_call *call, const uint8_t *data, size_t bytes);
void call_end(struct rpc_call *call);

/* Work beside the loop, for the methods that have some. True, once: call_work is to be called on
 * any thread, and call_worked, on the loop's, when it has returned. In between the call takes what
 * comes as ever, but not another message. */
bool call_wants_work(struct rpc_call *call);
bool call_waits(const struct rpc_call *call); /* before call_work: the method's `waits` */
void call_work(struct rpc_call *call);
void call_worked(struct rpc_call *call);
/* In between, for a call that nobody waits for any more: work that has not begun does not begin,
 * and the handler is not called. */
void call_abandon(struct rpc_call *call);
/* In place of call_work and call_worked, when the work cannot be done. */
void call_refuse(struct rpc_call *call, const struct opiml_error *err);

void call_again(struct rpc_call *call); /* `again` of its method, if it has one and a message */

/* What goes. News: there is more to send than at the last look. Over: behind what call_read gives
 * now come the trailers. */
bool call_has_news(struct rpc_call *call);
bool call_stays(const struct rpc_call *call); /* once it is routed: it may be silent for long */
bool call_begun(const struct rpc_call *call); /* headers were taken */
bool call_is_over(const struct rpc_call *call);
int call_status(const struct rpc_call *call); /* gRPC's, of one that is over */
size_t call_read(struct rpc_call *call, uint8_t *to, size_t room);
struct call_header {
    const char *name, *value; /* borrowed from the call */
};
/* What stands before and behind the replies; each returns how many. */
size_t call_headers(struct rpc_call *call, struct call_header ret_headers[2]);
size_t call_trailers(struct rpc_call *call, struct call_header ret_trailers[2]);

#endif
