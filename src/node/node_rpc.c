/* The node service. */
#include "node/node_rpc.h"

#include <unistd.h>

#include "google/protobuf/duration.pb-c.h"
#include "opiml/v1alpha1/node.pb-c.h"

#define SECOND_NS UINT64_C(1000000000)

/* What is pointed to is the call's. */
static int fill_jobs(struct rpc_call *call, const struct node *node, Opiml__V1alpha1__Node *to,
                     struct opiml_error *err) {
    struct jobs_view *views = rpc_take(call, JOBS_MAX * sizeof(*views));
    Opiml__V1alpha1__Job *jobs = rpc_take(call, JOBS_MAX * sizeof(*jobs));
    struct jobs_budget budget;

    to->jobs = rpc_take(call, JOBS_MAX * sizeof(to->jobs[0]));
    if (!views || !jobs || !to->jobs)
        return base_fail_memory(err, JOBS_MAX * sizeof(*jobs), "a reply");
    to->n_jobs = node_look_jobs(node, views, &budget);
    for (size_t j = 0; j < to->n_jobs; j++) {
        jobs[j] = (Opiml__V1alpha1__Job)OPIML__V1ALPHA1__JOB__INIT;
        jobs[j].name = views[j].name;
        jobs[j].weight = views[j].weight;
        jobs[j].pipelines = views[j].pipelines;
        jobs[j].memory_bytes = views[j].memory_bytes;
        jobs[j].cpu_ns = views[j].turns.cpu_ns;
        jobs[j].wait_ns = views[j].turns.wait_ns;
        jobs[j].sent_bytes = views[j].turns.bytes;
        to->jobs[j] = &jobs[j];
    }
    to->compute_threads = budget.threads;
    to->memory_budget_bytes = budget.memory_bytes;
    to->memory_taken_bytes = budget.taken_bytes;
    to->job_memory_bytes = budget.job_memory_bytes;
    return 0;
}

static int reply_node(struct rpc_call *call, const struct node *node, struct opiml_error *err) {
    Opiml__V1alpha1__Node reply = OPIML__V1ALPHA1__NODE__INIT;
    Google__Protobuf__Duration uptime = GOOGLE__PROTOBUF__DURATION__INIT;
    struct node_status status;
    int rc = fill_jobs(call, node, &reply, err);

    if (rc < 0)
        return rc;
    node_look(node, &status);
    uptime.seconds = (int64_t)(status.uptime_ns / SECOND_NS);
    uptime.nanos = (int32_t)(status.uptime_ns % SECOND_NS);
    reply.version = (char *)(uintptr_t)OPIML_VERSION;
    reply.uptime = &uptime;
    reply.state = (Opiml__V1alpha1__Node__State)status.state;
    reply.pid = (int32_t)getpid();
    reply.resident_bytes = status.resident_bytes;
    reply.pipelines = status.pipelines;
    reply.pipelines_created = status.pipelines_created;
    reply.pipelines_expired = status.pipelines_expired;
    reply.datasets = status.datasets;
    reply.data_port = status.data_port;
    return rpc_reply(call, &reply, err);
}

static int get(struct rpc_call *call, void *context, const void *request, struct opiml_error *err) {
    return reply_node(call, context, err);
}

static int end(struct rpc_call *call, struct node *node, const Google__Protobuf__Duration *grace,
               bool stop, struct opiml_error *err) {
    uint64_t ns = NODE_GRACE_S * SECOND_NS;

    if (!rpc_peer_is_here(call))
        return opiml_fail(err, OPIML_EACCES,
                          "only clients on this machine may take the node out of service, not %s",
                          rpc_peer(call));
    if (grace && (grace->seconds < 0 || grace->seconds > NODE_GRACE_MOST_S || grace->nanos < 0 ||
                  grace->nanos >= (int32_t)SECOND_NS))
        return opiml_fail(err, OPIML_EINVAL, "grace: %" PRId64 " s; 0 to %d", grace->seconds,
                          NODE_GRACE_MOST_S);
    if (grace)
        ns = (uint64_t)grace->seconds * SECOND_NS + (uint64_t)grace->nanos;
    node_drain(node, ns, stop);
    return reply_node(call, node, err);
}

static int drain(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Opiml__V1alpha1__DrainNodeRequest *asked = request;

    return end(call, context, asked->grace, false, err);
}

static int stop(struct rpc_call *call, void *context, const void *request,
                struct opiml_error *err) {
    const Opiml__V1alpha1__StopNodeRequest *asked = request;

    return end(call, context, asked->grace, true, err);
}

void node_rpc_init(struct node_rpc *service, struct node *node) {
    static const struct rpc_method methods[] = {
        {"GetNode", get}, {"DrainNode", drain}, {"StopNode", stop}, {0}};

    service->service =
        (struct rpc_service){&opiml__v1alpha1__node_service__descriptor, methods, node};
}
