/* UCX's active messages, through libucp: it finds the fastest way between two processes, which may
 * be RDMA. The library is loaded at the first use; this module says nothing of what is sent.
 *
 * UCX trusts who reaches it: it reads addresses and messages as they come, encrypts nothing, and
 * listens at a port of its own. What it is given to connect to has to come from somebody who may.
 */
#ifndef NET_UCX_H
#define NET_UCX_H

#include "base/base.h"

/* Whether it can be used at all. OPIML_ENODEV says which package is missing, or what of it. */
int ucx_load(struct opiml_error *err);
/* Whether this machine has an RDMA port that is up: what UCX is for. */
bool ucx_has_rdma(void);

/* One end of messages. Calls are for one thread at a time, and none of them waits. */
struct ucx;

/* Where a message goes, which is UCX's until it is done. */
struct ucx_receive {
    void *at;
    struct ucx_memory *memory; /* that `at` lies in; NULL: it was not mapped */
    bool done;
    int rc; /* once it is done: negative when the message is lost */
};
/* A message has come, with `bytes` behind its header: where they go, which are at least as many;
 * NULL: nowhere, and it is dropped. The header is not aligned, and is there for the call. */
typedef struct ucx_receive *ucx_take(void *context, const void *header, size_t header_bytes,
                                     uint64_t bytes);

/* Failures are UCX's own words. */
int ucx_open(ucx_take *take, void *context, struct ucx **ret_ucx, struct opiml_error *err);
/* What the other end connects to: bytes that only UCX reads. Free them with base_free. */
int ucx_address(struct ucx *ucx, void **ret_address, size_t *ret_bytes, struct opiml_error *err);
/* Begin to connect, once: sends may follow at once, and say when it does not work. */
int ucx_connect(struct ucx *ucx, const void *address, struct opiml_error *err);

struct ucx_send {
    struct ucx *ucx;
    bool done;
    int rc; /* once it is done */
};
/* Send what lies `at`, which is UCX's as long as the send is not done, as is *ret_send. A large
 * message is done when the other end has it, a small one when it has left `at`. */
int ucx_send(struct ucx *ucx, const void *header, size_t header_bytes, const void *at,
             uint64_t bytes, struct ucx_send *ret_send, struct opiml_error *err);

/* Move things on; true: something moved, so look, and call again. */
bool ucx_progress(struct ucx *ucx);
/* 1: nothing is to do before poll says POLLIN of ucx_fd; 0: there is, so call ucx_progress. */
int ucx_arm(struct ucx *ucx, struct opiml_error *err);
int ucx_fd(const struct ucx *ucx);
/* Why the connection is lost, in *err, negative; 0: it is not. */
int ucx_lost(const struct ucx *ucx, struct opiml_error *err);

/* Memory that messages will go to, which devices are told of once instead of at each message. It
 * has to stay until ucx_close; at most UCX_MEMORIES_MAX of them. NULL: it goes without. */
#define UCX_MEMORIES_MAX 64
struct ucx_memory *ucx_map(struct ucx *ucx, void *at, uint64_t bytes);

/* End the connection, now: all sends are done when this returns. */
void ucx_disconnect(struct ucx *ucx);
/* Nobody writes to memory of receives any more, done or not. NULL is fine. */
void ucx_close(struct ucx *ucx);

#endif
