/* The consumer's side of a node. */
#include "node/remote.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/text.h"
#include "dataset/index.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "net/ucx.h"
#include "net/wire.h"
#include "node/host.h"
#include "node/lease.h"
#include "node/pipelines.h"
#include "op/registry.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "pipeline/pipeline.h"
#include "rpc/client.h"
#include "tls/tls.h"

#define SERVICE "/opiml.v1alpha1.PipelineService/"
#define TIMEOUT_MS 30000 /* the node may have to index the data */
#define CONNECT_MS 5000
#define FRAMES_IN_FLIGHT 3

struct node_remote {
    struct rpc_client *client;
    Opiml__V1alpha1__Pipeline *made;
    struct lease *lease;
};

/* The nodes that rows go by before. Texts are the request's. */
static void say_way(const struct node_remote_request *request, Opiml__V1alpha1__Upstream *hops,
                    Opiml__V1alpha1__Upstream **all, Opiml__V1alpha1__Pipeline *to) {
    for (uint32_t h = 0; h < request->befores; h++) {
        all[h] = &hops[h];
        hops[h] = (Opiml__V1alpha1__Upstream)OPIML__V1ALPHA1__UPSTREAM__INIT;
        hops[h].node = (char *)(uintptr_t)request->before[h].at;
        hops[h].operators = request->before[h].operators;
    }
    to->n_upstreams = request->befores;
    to->upstreams = all;
}

void node_hashes(const struct opiml_pipeline *pipeline, struct node_hashes *ret) {
    for (uint32_t d = 0; d < pipeline->datasets; d++) {
        index_hash_text(dataset_index(pipeline->dataset[d]), ret->text[d]);
        ret->at[d] = ret->text[d];
    }
}

static int create(struct node_remote *self, const struct node_remote_request *request,
                  const struct opiml_pipeline *pipeline, struct opiml_error *err) {
    Opiml__V1alpha1__CreatePipelineRequest message = OPIML__V1ALPHA1__CREATE_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__Pipeline wanted = OPIML__V1ALPHA1__PIPELINE__INIT;
    Opiml__V1alpha1__SizeClass classes[SHARE_CLASSES_MAX], *share[SHARE_CLASSES_MAX];
    Opiml__V1alpha1__Upstream hops[NODE_HOPS_MAX], *before[NODE_HOPS_MAX];
    uint64_t implementations[PIPELINE_OPS_MAX];
    char host[HOST_ID_BYTES] = "";
    struct node_hashes hashes;

    node_hashes(pipeline, &hashes);
    for (uint32_t c = 0; c < request->share.classes; c++) {
        const struct share_class *from = &request->share.class[c];

        share[c] = &classes[c];
        classes[c] = (Opiml__V1alpha1__SizeClass)OPIML__V1ALPHA1__SIZE_CLASS__INIT;
        classes[c].most_bytes = from->bytes_max;
        classes[c].first = from->first;
        classes[c].end = from->end;
        classes[c].holders = from->holders;
        classes[c].together = from->together;
    }
    for (uint32_t k = 0; k < request->operators; k++)
        implementations[k] = request->implementations ? request->implementations[k]
                                                      : op_implementation(pipeline->op[k]->op);
    wanted.text = (char *)(uintptr_t)request->text;
    wanted.file = (char *)(uintptr_t)request->path;
    wanted.hash = pipeline->hash;
    wanted.fingerprint = pipeline->fingerprint;
    wanted.operators = request->operators;
    wanted.n_implementations = request->operators;
    wanted.implementations = implementations;
    wanted.rank = request->rank;
    wanted.world = request->world;
    wanted.first_batch = request->first_batch;
    wanted.batches = request->batches;
    wanted.n_share = request->share.classes;
    wanted.share = share;
    wanted.stripes = request->stripes;
    wanted.pool_bytes = request->pool_bytes;
    wanted.cache_at = request->cache_at;
    wanted.cache_bytes = request->cache_bytes;
    wanted.cache_on_disk = request->cache_on_disk;
    say_way(request, hops, before, &wanted);
    wanted.depth = FRAMES_IN_FLIGHT;
    if (request->link == NODE_REMOTE_AUTO || request->link == NODE_REMOTE_SHM)
        host_id(host);
    wanted.host = host;
    wanted.job_id = (char *)(uintptr_t)(request->job ? request->job : "");
    wanted.n_index_hashes = pipeline->datasets;
    wanted.index_hashes = hashes.at;
    message.pipeline = &wanted;
    return rpc_client_call(self->client, SERVICE "CreatePipeline", &message.base,
                           &opiml__v1alpha1__pipeline__descriptor, &self->made, err);
}

/* What a node says is not to be trusted. */
static int check_made(const struct node_remote *self, const struct node_remote_request *request,
                      struct opiml_error *err) {
    const Opiml__V1alpha1__Pipeline *made = self->made;
    uint64_t pool = request->pool_bytes ? request->pool_bytes : SESSION_POOL_BYTES;
    char frame[32], all[32];

    if (made->ticket.len != WIRE_TICKET_BYTES || made->data_port == 0 || made->data_port > 65535 ||
        made->frame_bytes == 0 || made->frame_bytes > UINT32_MAX)
        return opiml_fail(err, OPIML_ECORRUPT, "%s: the node's answer makes no sense", request->at);
    if (made->frame_bytes > pool / 2) /* this side has memory for them, too */
        return opiml_fail(err, OPIML_ELIMIT,
                          "%s: the node says that a batch takes %s, which is more than half of the "
                          "pool of %s that it was given",
                          request->at, text_format_bytes(frame, sizeof(frame), made->frame_bytes),
                          text_format_bytes(all, sizeof(all), pool));
    return 0;
}

static struct wire_hello make_hello(const struct node_remote *self, uint32_t stripe) {
    struct wire_hello hello = {
        .magic = WIRE_HELLO_MAGIC, .version = WIRE_VERSION, .stripe = (uint16_t)stripe};

    memcpy(hello.ticket, self->made->ticket.data, sizeof(hello.ticket));
    return hello;
}

static int connect_one(const struct node_remote *self, const struct node_remote_request *request,
                       const char *at, uint32_t stripe, struct stream **ret_stream,
                       struct opiml_error *err) {
    struct wire_hello hello = make_hello(self, stripe);
    const struct iovec part = {&hello, sizeof(hello)};
    AUTO_STREAM struct stream *stream = NULL;
    AUTO_FD int fd = -1;
    int64_t n;
    int rc;

    if ((rc = address_connect(at, CONNECT_MS, &fd, err)) < 0 ||
        (rc = tls_connect(request->tls, fd, at, TLS_DATA, &stream, err)) < 0)
        return rc;
    fd = -1; /* the stream's */
    if ((rc = stream_greet(stream, CONNECT_MS, err)) < 0)
        return rc;
    /* The first bytes of a connection always fit its buffer. */
    n = stream->ops->write(stream, &part, 1, err);
    if (n != sizeof(hello))
        return n < 0 ? (int)n : opiml_fail(err, OPIML_EIO, "%s does not take a hello", at);
    *ret_stream = TAKE(stream);
    return 0;
}

/* Of the data port, which is where the node is; free it. */
static char *data_place(const struct node_remote *self, const struct node_remote_request *request) {
    return base_printf("%.*s:%u", (int)(strrchr(request->at, ':') - request->at), request->at,
                       self->made->data_port);
}

static int connect_all(struct node_remote *self, const struct node_remote_request *request,
                       struct link **ret_link, struct opiml_error *err) {
    AUTO_FREE char *at = data_place(self, request);
    int rc = at ? 0 : base_fail_memory(err, 0, "an address");
    struct stream *streams[WIRE_STRIPES_MAX] = {0};

    for (uint32_t s = 0; rc == 0 && s < request->stripes; s++)
        rc = connect_one(self, request, at, s, &streams[s], err);
    if (rc == 0)
        rc = link_tcp_open(streams, request->stripes, FRAMES_IN_FLIGHT, true, ret_link, err);
    if (rc < 0)
        for (uint32_t s = 0; s < request->stripes; s++)
            stream_close(streams[s]);
    return rc;
}

static int connect_ucx(struct node_remote *self, const struct node_remote_request *request,
                       struct link **ret_link, struct opiml_error *err) {
    AUTO_FREE char *at = data_place(self, request);
    AUTO_STREAM struct stream *stream = NULL;
    int rc;

    if (!at)
        return base_fail_memory(err, 0, "an address");
    if (self->made->ucx == OPIML__V1ALPHA1__PIPELINE__UCX__UCX_UNSPECIFIED)
        return opiml_fail(err, OPIML_ENODEV,
                          "%s: the node offers no UCX: it has to be started with --ucx",
                          request->at);
    if ((rc = ucx_load(err)) < 0 ||
        (rc = connect_one(self, request, at, WIRE_UCX, &stream, err)) < 0 ||
        (rc = link_ucx_open(stream, FRAMES_IN_FLIGHT, true, ret_link, err)) < 0)
        return rc;
    stream = NULL; /* the link's */
    return 0;
}

static int connect_local(struct node_remote *self, const struct node_remote_request *request,
                         struct link **ret_link, struct opiml_error *err) {
    const struct wire_hello hello = make_hello(self, WIRE_SHARED);
    AUTO_FD int fd = -1;
    int rc = host_connect(self->made->local, request->at, &fd, err);

    if (rc < 0)
        return rc;
    if (send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))
        return base_fail_errno(err, errno, "%s", request->at);
    rc = link_shm_borrow(fd, base_align_up(self->made->frame_bytes, 64), CONNECT_MS, ret_link, err);
    if (rc < 0)
        return rc;
    fd = -1; /* the link's now */
    return 0;
}

static int connect_shared(struct node_remote *self, const struct node_remote_request *request,
                          struct route *ret_route, struct opiml_error *err) {
    int rc = connect_local(self, request, &ret_route->link, err);

    if (rc < 0)
        return rc;
    ret_route->depth = 0;
    while (ret_route->link->ops->place(ret_route->link, ret_route->depth))
        ret_route->depth++;
    return 0;
}

/* Each link that may be better than TCP, unless it is not for these two. */
static int connect_better(struct node_remote *self, const struct node_remote_request *request,
                          struct route *ret_route) {
    struct opiml_error why;
    int rc = connect_shared(self, request, ret_route, &why);

    if (rc < 0)
        log_write("node", LOG_DEBUG, "%s", why.message);
    if (rc < 0 && self->made->ucx == OPIML__V1ALPHA1__PIPELINE__UCX__UCX_RDMA && ucx_has_rdma()) {
        rc = connect_ucx(self, request, &ret_route->link, &why);
        if (rc < 0)
            log_write("node", LOG_DEBUG, "%s", why.message);
    }
    return rc;
}

/* The link that was asked for, or the best that there is. */
static int connect_link(struct node_remote *self, const struct node_remote_request *request,
                        struct route *ret_route, struct opiml_error *err) {
    ret_route->depth = FRAMES_IN_FLIGHT;
    if (request->link == NODE_REMOTE_SHM)
        return connect_shared(self, request, ret_route, err);
    if (request->link == NODE_REMOTE_UCX)
        return connect_ucx(self, request, &ret_route->link, err);
    if (request->link == NODE_REMOTE_AUTO && connect_better(self, request, ret_route) == 0)
        return 0;
    return connect_all(self, request, &ret_route->link, err);
}

/* How long the node says it is; what makes no sense there is a lease that is renewed too often. */
static int keep_lease(struct node_remote *self, const struct node_remote_request *request,
                      struct opiml_error *err) {
    const Google__Protobuf__Duration *lease = self->made->lease_duration;
    uint64_t seconds = PIPELINES_LEASE_LEAST_S;

    if (lease && lease->seconds > PIPELINES_LEASE_LEAST_S &&
        lease->seconds <= PIPELINES_LEASE_MOST_S)
        seconds = (uint64_t)lease->seconds;
    return lease_keep(request->at, request->tls, self->made->name, seconds * UINT64_C(1000000000),
                      &self->lease, err);
}

int node_remote_open(const struct node_remote_request *request,
                     const struct opiml_pipeline *pipeline, struct node_remote **ret_remote,
                     struct route *ret_route, struct opiml_error *err) {
    struct node_remote *self = base_alloc(sizeof(*self));
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a node");
    assert(request->stripes > 0 && request->stripes <= WIRE_STRIPES_MAX);
    assert(request->befores < NODE_HOPS_MAX);
    if ((rc = rpc_client_open(request->at, request->tls, TIMEOUT_MS, &self->client, err)) < 0 ||
        (rc = create(self, request, pipeline, err)) < 0 ||
        (rc = check_made(self, request, err)) < 0 || (rc = keep_lease(self, request, err)) < 0 ||
        (rc = connect_link(self, request, ret_route, err)) < 0) {
        node_remote_close(self, false);
        return rc;
    }
    if (ret_route->link->ops->beat)
        ret_route->link->deadline_ms =
            request->deadline_ms ? request->deadline_ms : LINK_DEADLINE_MS;
    ret_route->cut = request->operators;
    ret_route->frame_bytes = self->made->frame_bytes;
    ret_route->share = request->share;
    ret_route->origin = (struct frame_origin){self->made->job, self->made->generation};
    *ret_remote = self;
    return 0;
}

void node_remote_close(struct node_remote *self, bool lost) {
    Opiml__V1alpha1__DeletePipelineRequest request = OPIML__V1ALPHA1__DELETE_PIPELINE_REQUEST__INIT;
    Google__Protobuf__Empty *reply = NULL;

    if (!self)
        return;
    lease_drop(self->lease);
    if (!lost && self->made && self->made->name[0]) {
        request.name = self->made->name;
        request.allow_missing = true;
        if (rpc_client_call(self->client, SERVICE "DeletePipeline", &request.base,
                            &google__protobuf__empty__descriptor, &reply, NULL) == 0)
            google__protobuf__empty__free_unpacked(reply, NULL);
    }
    if (self->made)
        opiml__v1alpha1__pipeline__free_unpacked(self->made, NULL);
    rpc_client_close(self->client);
    base_free(self);
}
