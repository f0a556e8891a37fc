/* The pipeline service. */
#include "node/pipeline_rpc.h"

#include <opiml/feed.h>

#include "base/clock.h"
#include "base/log.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "net/ucx.h"
#include "node/closer.h"
#include "node/host.h"
#include "node/id.h"
#include "node/jobs.h"
#include "node/keep.h"
#include "node/profiles.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"

#define PROFILE_NS_MAX 5000000000ull
#define PROBE_BYTES_MAX 4000000
#define CLOSING_MS 2000 /* that a pipeline waits for memory of those before it */
#define PAGE_PRESET 50
#define PAGE_MOST 250
#define PAGE_BYTES MIB(2)              /* past it a page ends, well below RPC_MESSAGE_MAX ... */
#define CONTENT_MAX (MIB(1) + KIB(64)) /* ... since no pipeline is larger than this */
#define COLLECTION "pipelines/"
#define SECOND_NS UINT64_C(1000000000)

typedef Opiml__V1alpha1__Pipeline pipeline_message;

static Google__Protobuf__Duration *take_duration(struct rpc_call *call, uint64_t ns) {
    Google__Protobuf__Duration *to = rpc_take(call, sizeof(*to));

    if (!to)
        return NULL;
    *to = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
    to->seconds = (int64_t)(ns / SECOND_NS);
    to->nanos = (int32_t)(ns % SECOND_NS);
    return to;
}

/* By the wall's clock, which is for people: leases go by the monotonic one. */
static Google__Protobuf__Timestamp *take_expiry(struct rpc_call *call,
                                                const struct pipelines_entry *entry) {
    Google__Protobuf__Timestamp *to = rpc_take(call, sizeof(*to));
    uint64_t ns = clock_wall_ns() + entry->until_ns - clock_now_ns();

    if (!to)
        return NULL;
    *to = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    to->seconds = (int64_t)(ns / SECOND_NS);
    to->nanos = (int32_t)(ns % SECOND_NS);
    return to;
}

/* What is asked for, with what the server adds. Texts and bytes are the entry's and the call's. */
static int fill(struct rpc_call *call, const struct pipeline_rpc *self,
                const struct pipelines_entry *entry, pipeline_message *to,
                struct opiml_error *err) {
    to->name = rpc_text(call, COLLECTION "%s", entry->id);
    if (!to->name)
        return base_fail_memory(err, sizeof(*to), "a reply");
    to->state = (Opiml__V1alpha1__Pipeline__State)pipelines_state(entry);
    to->frame_bytes = entry->session ? session_frame_bytes(entry->session) : 0;
    to->data_port = self->data_port;
    to->ticket.data = NULL;
    to->ticket.len = 0;
    to->job = entry->origin.job;
    to->generation = entry->origin.generation;
    to->lease_duration = take_duration(call, entry->lease_ns);
    to->expire_time = take_expiry(call, entry);
    return to->lease_duration && to->expire_time ? 0 : base_fail_memory(err, 64, "a reply");
}

/* The entry's request once more, as a message that the caller frees. */
static pipeline_message *unpack(const struct pipelines_entry *entry) {
    return opiml__v1alpha1__pipeline__unpack(NULL, entry->content_bytes, entry->content);
}

/* Reply with an entry. Its ticket goes to who has created it, and to nobody else. */
static int reply_entry(struct rpc_call *call, const struct pipeline_rpc *self,
                       const struct pipelines_entry *entry, bool created, struct opiml_error *err) {
    pipeline_message *content = unpack(entry), reply;
    int rc;

    if (!content)
        return base_fail_memory(err, entry->content_bytes, "a reply");
    reply = *content;
    rc = fill(call, self, entry, &reply, err);
    if (rc == 0 && created) {
        reply.ticket = (ProtobufCBinaryData){
            .len = WIRE_TICKET_BYTES, .data = (uint8_t *)(uintptr_t)session_ticket(entry->session)};
        if (self->ucx)
            reply.ucx = ucx_has_rdma() ? OPIML__V1ALPHA1__PIPELINE__UCX__UCX_RDMA
                                       : OPIML__V1ALPHA1__PIPELINE__UCX__UCX_OFFERED;
        if (session_shared(entry->session))
            reply.local = (char *)(uintptr_t)self->local;
    }
    if (rc == 0)
        rc = rpc_reply(call, &reply, err);
    opiml__v1alpha1__pipeline__free_unpacked(content, NULL);
    return rc;
}

/* ---- create ---- */

/* Whether memory can be shared with a consumer on that machine. */
static bool is_here(const struct pipeline_rpc *self, const char *host) {
    char here[HOST_ID_BYTES];

    host_id(here);
    return self->local[0] && here[0] && strcmp(host, here) == 0;
}

static int read_share(const pipeline_message *from, struct share *to, struct opiml_error *err) {
    if (from->n_share > COUNT_OF(to->class))
        return opiml_fail(err, OPIML_EINVAL, "pipeline.share: %zu classes; at most %zu",
                          from->n_share, COUNT_OF(to->class));
    to->classes = (uint32_t)from->n_share;
    for (uint32_t c = 0; c < to->classes; c++)
        to->class[c] = (struct share_class){from->share[c]->most_bytes, from->share[c]->first,
                                            from->share[c]->end, from->share[c]->holders,
                                            from->share[c]->together};
    return 0;
}

/* Texts are the message's. */
static int read_way(const pipeline_message *from, struct node_hop to[NODE_HOPS_MAX],
                    struct session_request *wanted, struct opiml_error *err) {
    if (from->n_upstreams >= NODE_HOPS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "pipeline.upstreams: %zu nodes; at most %d",
                          from->n_upstreams, NODE_HOPS_MAX - 1);
    for (size_t h = 0; h < from->n_upstreams; h++)
        to[h] = (struct node_hop){from->upstreams[h]->node, from->upstreams[h]->operators};
    wanted->before = to;
    wanted->befores = (uint32_t)from->n_upstreams;
    return 0;
}

/* Texts and numbers are the message's. */
static struct session_request to_request(const struct pipeline_rpc *self,
                                         const pipeline_message *p) {
    return (struct session_request){.text = p->text,
                                    .file = p->file,
                                    .hash = p->hash,
                                    .fingerprint = p->fingerprint,
                                    .operators = p->operators,
                                    .implementations = p->implementations,
                                    .rank = p->rank,
                                    .world = p->world,
                                    .first_batch = p->first_batch,
                                    .batches = p->batches,
                                    .threads = p->threads,
                                    .pool_bytes = p->pool_bytes,
                                    .cache_at = p->cache_at,
                                    .cache_bytes = p->cache_bytes,
                                    .cache_on_disk = p->cache_on_disk,
                                    .stripes = p->stripes,
                                    .job_id = p->job_id,
                                    .depth = p->depth,
                                    .ucx = self->ucx,
                                    .disk = self->disk,
                                    .networked = !p->host[0],
                                    .upstreams = self->upstreams,
                                    .datasets = self->datasets,
                                    .index_hashes = p->index_hashes,
                                    .index_hash_count = p->n_index_hashes};
}

/* The request without what is the server's to set, packed: what a second one has to be equal to. */
static int pack(const pipeline_message *from, uint8_t **ret_packed, size_t *ret_bytes,
                struct opiml_error *err) {
    pipeline_message content = *from;

    content.name = (char *)protobuf_c_empty_string;
    content.ticket = (ProtobufCBinaryData){0};
    content.local = (char *)protobuf_c_empty_string;
    content.ucx = OPIML__V1ALPHA1__PIPELINE__UCX__UCX_UNSPECIFIED;
    content.data_port = 0;
    content.frame_bytes = 0;
    content.lease_duration = NULL; /* which may change */
    content.expire_time = NULL;
    content.job = 0;
    content.generation = 0;
    content.state = OPIML__V1ALPHA1__PIPELINE__STATE__STATE_UNSPECIFIED;
    *ret_bytes = opiml__v1alpha1__pipeline__get_packed_size(&content);
    if (*ret_bytes > CONTENT_MAX)
        return opiml_fail(err, OPIML_ELIMIT,
                          "a pipeline of %zu bytes, with its text; at most %" PRIu64, *ret_bytes,
                          (uint64_t)CONTENT_MAX);
    *ret_packed = base_alloc(*ret_bytes);
    if (!*ret_packed)
        return base_fail_memory(err, *ret_bytes, "a pipeline");
    opiml__v1alpha1__pipeline__pack(&content, *ret_packed);
    return 0;
}

static int check_required(const pipeline_message *p, struct opiml_error *err) {
    if (p && p->text[0] && p->file[0])
        return 0;
    return opiml_fail(err, OPIML_EINVAL, "missing required field: pipeline.%s",
                      !p            ? "text"
                      : !p->text[0] ? "text"
                                    : "file");
}

/* 0: none is named. */
static int read_lease(const pipeline_message *from, uint64_t *ret_ns, struct opiml_error *err) {
    const Google__Protobuf__Duration *lease = from->lease_duration;

    *ret_ns = 0;
    if (!lease || (lease->seconds == 0 && lease->nanos == 0))
        return 0;
    if (lease->seconds < 0 || lease->seconds > PIPELINES_LEASE_MOST_S || lease->nanos < 0 ||
        lease->nanos >= (int32_t)SECOND_NS)
        return opiml_fail(err, OPIML_EINVAL, "lease_duration: %" PRId64 " s; %d to %d",
                          lease->seconds, PIPELINES_LEASE_LEAST_S, PIPELINES_LEASE_MOST_S);
    *ret_ns = (uint64_t)lease->seconds * SECOND_NS + (uint64_t)lease->nanos;
    return 0;
}

static int set_lease(struct pipelines_entry *entry, const pipeline_message *from,
                     struct opiml_error *err) {
    uint64_t lease_ns;
    int rc = read_lease(from, &lease_ns, err);

    return rc < 0 ? rc : pipelines_lease(entry, lease_ns, err);
}

static int check_lease(const pipeline_message *from, struct opiml_error *err) {
    struct pipelines_entry nobody = {0};

    return set_lease(&nobody, from, err);
}

/* A pipeline that is ready, and kept, before it is entered. */
struct made {
    char id[ID_MAX + 1];
    struct session *session;
    uint8_t *content;
    size_t content_bytes;
    struct pipeline_rpc *of;
    bool kept; /* and not entered */
};

static void free_made(struct made *self) {
    session_leave(self->session, self->of->pipelines.closer);
    base_free(self->content);
    base_free(self);
}

/* On the loop. What was kept is on the disk in place of what has the id already, which is noted
 * again then. */
static void drop_made(void *made) {
    struct made *self = made;
    struct pipelines_entry *there = pipelines_find(&self->of->pipelines, self->id);
    struct keep_note gone = {.gone = true};

    memcpy(gone.id, self->id, sizeof(gone.id));
    if (self->kept && there && there->content_bytes == self->content_bytes &&
        memcmp(there->content, self->content, self->content_bytes) == 0)
        pipelines_note(there);
    else if (self->kept)
        keep_note(self->of->keep, &gone);
    free_made(self);
}

/* On the disk before anybody is told. What its client has not named cannot be asked for again. */
static int keep_made(struct pipeline_rpc *self, const char *who, struct made *made, bool named,
                     const pipeline_message *p, struct opiml_error *err) {
    uint64_t lease_ns;
    int rc = read_lease(p, &lease_ns, err);

    if (!self->keep || !named)
        return rc;
    if (lease_ns == 0)
        lease_ns = PIPELINES_LEASE_S * SECOND_NS;
    rc = keep_put_pipeline(self->keep,
                           &(struct keep_pipeline){.id = made->id,
                                                   .who = who,
                                                   .content = made->content,
                                                   .content_bytes = made->content_bytes,
                                                   .lease_ns = lease_ns,
                                                   .until_ns = clock_wall_ns() + lease_ns},
                           err);
    made->kept = rc == 0;
    return rc;
}

static int make(struct pipeline_rpc *self, const char *who,
                const Opiml__V1alpha1__CreatePipelineRequest *asked,
                const struct session_request *wanted, struct made *made, struct opiml_error *err) {
    const char *id = asked->pipeline_id;
    int rc = pack(asked->pipeline, &made->content, &made->content_bytes, err);

    if (rc < 0)
        return rc;
    if (id[0])
        memcpy(made->id, id, strlen(id) + 1);
    else if ((rc = id_make('p', made->id, err)) < 0)
        return rc;
    rc = session_create(wanted, &made->session, err);
    return rc < 0 ? rc : keep_made(self, who, made, id[0] != 0, asked->pipeline, err);
}

/* Make it as one of its client's job, with no more memory than that has left. */
static int make_in_job(struct pipeline_rpc *self, const char *who,
                       const Opiml__V1alpha1__CreatePipelineRequest *asked,
                       struct session_request *wanted, struct made *made, struct opiml_error *err) {
    uint64_t pool = wanted->pool_bytes ? wanted->pool_bytes : SESSION_POOL_BYTES, room;
    struct opiml_error why;
    int rc;

    if (!self->jobs)
        return make(self, who, asked, wanted, made, err);
    if ((rc = jobs_join(self->jobs, who, asked->pipeline->job_id, &wanted->job, err)) < 0)
        return rc;
    if (self->pipelines.closer) /* what is over may still hold memory */
        closer_wait(self->pipelines.closer, CLOSING_MS);
    room = jobs_room(wanted->job);
    wanted->pool_bytes = base_min_u64(base_min_u64(pool, SESSION_POOL_BYTES), room);
    wanted->threads = (uint32_t)base_min_u64(wanted->threads ? wanted->threads : SESSION_THREADS,
                                             jobs_threads(self->jobs));
    rc = make(self, who, asked, wanted, made, &why);
    if (rc == OPIML_ELIMIT && room < pool) /* the pool is not what its consumer wrote */
        rc = jobs_refuse(wanted->job, &why, err);
    else if (rc < 0)
        opiml_fail(err, rc, "%s", why.message);
    jobs_leave(wanted->job);
    return rc;
}

/* Open what is asked for, which may take as long as making an index of the data. */
static int open_session(void *context, const char *who, const void *request, void **ret_made,
                        struct opiml_error *err) {
    const Opiml__V1alpha1__CreatePipelineRequest *asked = request;
    const pipeline_message *p = asked->pipeline;
    struct node_hop before[NODE_HOPS_MAX];
    struct session_request wanted;
    struct made *made;
    int rc;

    if ((rc = check_required(p, err)) < 0)
        return rc;
    if (p->n_implementations != p->operators)
        return opiml_fail(err, OPIML_EINVAL,
                          "pipeline.implementations: %zu for %u operators; one for each",
                          p->n_implementations, p->operators);
    wanted = to_request(context, p);
    wanted.shared = is_here(context, p->host);
    if ((rc = id_check(asked->pipeline_id, err)) < 0 || (rc = check_lease(p, err)) < 0 ||
        (rc = read_share(p, &wanted.share, err)) < 0 ||
        (rc = read_way(p, before, &wanted, err)) < 0)
        return rc;
    made = base_alloc(sizeof(*made));
    if (!made)
        return base_fail_memory(err, sizeof(*made), "a pipeline");
    made->of = context;
    rc = make_in_job(context, who, asked, &wanted, made, err);
    if (rc < 0)
        free_made(made); /* it is kept last, if at all */
    else
        *ret_made = made;
    return rc;
}

static bool has_upstreams(const void *request) {
    const Opiml__V1alpha1__CreatePipelineRequest *asked = request;

    return asked->pipeline && asked->pipeline->n_upstreams > 0;
}

static int create(struct rpc_call *call, void *context, const void *request,
                  struct opiml_error *err) {
    const Opiml__V1alpha1__CreatePipelineRequest *asked = request;
    struct pipeline_rpc *self = context;
    struct made *made = rpc_made(call);
    struct pipelines_entry *entry;
    int rc = pipelines_add(&self->pipelines, rpc_who(call), made->id, made->content,
                           made->content_bytes, &made->session, &entry, err);

    if (rc == 0) {
        made->kept = false;
        rc = set_lease(entry, asked->pipeline, err);
    }
    drop_made(made);
    return rc < 0 ? rc : reply_entry(call, self, entry, true, err);
}

/* ---- measure ---- */

static int read_classes(const Opiml__V1alpha1__ProfilePipelineRequest *from,
                        struct profile_classes *to, struct opiml_error *err) {
    *to = (struct profile_classes){.count = (uint32_t)from->n_most_bytes};
    if (from->n_most_bytes == 0 || from->n_most_bytes > COUNT_OF(to->bytes_max))
        return opiml_fail(err, OPIML_EINVAL, "most_bytes: %zu sizes; 1 to %zu", from->n_most_bytes,
                          COUNT_OF(to->bytes_max));
    for (uint32_t c = 0; c < to->count; c++) {
        to->bytes_max[c] = from->most_bytes[c];
        if (c > 0 && to->bytes_max[c] <= to->bytes_max[c - 1])
            return opiml_fail(err, OPIML_EINVAL, "most_bytes: not in order");
    }
    return 0;
}

/* `local`: where memory is handed over, for a consumer on this machine; "": nowhere. */
static int reply_profile(struct rpc_call *call, const char *local, struct node_profile *from,
                         struct opiml_error *err) {
    Opiml__V1alpha1__ProfilePipelineResponse reply =
        OPIML__V1ALPHA1__PROFILE_PIPELINE_RESPONSE__INIT;
    Opiml__V1alpha1__ProfileClass classes[SHARE_SIZES_MAX], *all[SHARE_SIZES_MAX];
    char *refusals[PIPELINE_OPS_MAX + 1];

    reply.n_implementations = from->profile.ops;
    reply.implementations = from->implementations;
    reply.n_refusals = from->profile.ops + 1;
    reply.refusals = refusals;
    for (uint32_t k = 0; k <= from->profile.ops; k++)
        refusals[k] = from->refusal[k];
    reply.cores = from->profile.cores;
    reply.read_bytes_per_second = from->profile.read_bytes_per_s;
    reply.origin = (Opiml__V1alpha1__ProfilePipelineResponse__Origin)from->profile.origin;
    reply.age_seconds = from->profile.age_s;
    reply.send_ns_per_byte = from->send_ns;
    reply.cache_bytes = from->room.memory_bytes;
    reply.cache_disk_bytes = from->room.disk_bytes;
    reply.cache_disk_bytes_per_second = from->room.disk_bytes_per_s;
    reply.local = (char *)(uintptr_t)local;
    reply.n_classes = from->profile.classes;
    reply.classes = all;
    for (uint32_t c = 0; c < from->profile.classes; c++) {
        struct profile_class *class = &from->profile.class[c];

        all[c] = &classes[c];
        classes[c] = (Opiml__V1alpha1__ProfileClass)OPIML__V1ALPHA1__PROFILE_CLASS__INIT;
        classes[c].read_ns = class->read_ns;
        classes[c].parse_ns = class->parse_ns;
        classes[c].read_bytes = class->read_bytes;
        classes[c].record_bytes = class->record_bytes;
        classes[c].n_operator_ns = from->profile.ops;
        classes[c].operator_ns = class->op_ns;
        classes[c].n_row_bytes = from->profile.ops + 1;
        classes[c].row_bytes = class->bytes;
        classes[c].samples = class->samples;
    }
    return rpc_reply(call, &reply, err);
}

static int measure(void *context, const char *who, const void *request, void **ret_made,
                   struct opiml_error *err) {
    const Opiml__V1alpha1__ProfilePipelineRequest *asked = request;
    const struct pipeline_rpc *self = context;
    AUTO_FREE struct node_profile *made = base_alloc(sizeof(*made));
    struct node_hop before[NODE_HOPS_MAX];
    struct session_request wanted;
    struct profile_classes classes;
    int rc;

    if (!made)
        return base_fail_memory(err, sizeof(*made), "a profile");
    if ((rc = check_required(asked->pipeline, err)) < 0 ||
        (rc = read_classes(asked, &classes, err)) < 0)
        return rc;
    wanted = to_request(context, asked->pipeline);
    if ((rc = read_way(asked->pipeline, before, &wanted, err)) < 0)
        return rc;
    wanted.operators = session_first(&wanted);
    wanted.threads = self->jobs ? jobs_threads(self->jobs) : 0;
    if (wanted.befores && asked->pipeline->n_implementations != wanted.operators)
        return opiml_fail(err, OPIML_EINVAL,
                          "pipeline.implementations: %zu for %u operators; one for each",
                          asked->pipeline->n_implementations, wanted.operators);
    if ((rc = session_check_way(&wanted, err)) < 0)
        return rc;
    if (self->jobs &&
        (rc = jobs_join(self->jobs, who, asked->pipeline->job_id, &wanted.job, err)) < 0)
        return rc;
    rc = node_profile_make(&wanted, &classes, base_min_u64(asked->most_ns, PROFILE_NS_MAX),
                           asked->anew, made, err);
    jobs_leave(wanted.job);
    if (rc == 0)
        *ret_made = TAKE(made);
    return rc;
}

static bool is_measured_behind(const void *request) {
    const Opiml__V1alpha1__ProfilePipelineRequest *asked = request;

    return asked->pipeline && asked->pipeline->n_upstreams > 0;
}

static int profile(struct rpc_call *call, void *context, const void *request,
                   struct opiml_error *err) {
    const Opiml__V1alpha1__ProfilePipelineRequest *asked = request;
    AUTO_FREE struct node_profile *made = rpc_made(call);
    const struct pipeline_rpc *self = context;

    return reply_profile(call, is_here(self, asked->pipeline->host) ? self->local : "", made, err);
}

static int probe(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Opiml__V1alpha1__ProbeLinkRequest *asked = request;
    Opiml__V1alpha1__ProbeLinkResponse reply = OPIML__V1ALPHA1__PROBE_LINK_RESPONSE__INIT;

    if (asked->bytes > PROBE_BYTES_MAX)
        return opiml_fail(err, OPIML_EINVAL, "bytes: %u; at most %d", asked->bytes,
                          PROBE_BYTES_MAX);
    reply.padding.len = asked->bytes;
    reply.padding.data = rpc_take(call, asked->bytes);
    if (!reply.padding.data)
        return base_fail_memory(err, asked->bytes, "a reply");
    return rpc_reply(call, &reply, err);
}

/* Ask another node, which takes a while. */
static int measure_upstream(void *context, const char *who, const void *request, void **ret_made,
                            struct opiml_error *err) {
    const Opiml__V1alpha1__ProbeUpstreamRequest *asked = request;
    const struct pipeline_rpc *self = context;
    AUTO_FREE double *made = base_alloc(sizeof(*made));
    int rc;

    if (!made)
        return base_fail_memory(err, sizeof(*made), "a speed");
    rc = upstreams_probe(self->upstreams, asked->node, made, err);
    if (rc == 0)
        *ret_made = TAKE(made);
    return rc;
}

static bool always_waits(const void *request) {
    return true;
}

static int probe_upstream(struct rpc_call *call, void *context, const void *request,
                          struct opiml_error *err) {
    Opiml__V1alpha1__ProbeUpstreamResponse reply = OPIML__V1ALPHA1__PROBE_UPSTREAM_RESPONSE__INIT;
    AUTO_FREE double *made = rpc_made(call);

    reply.bytes_per_second = *made;
    return rpc_reply(call, &reply, err);
}

/* ---- leases and counters ---- */

static struct pipelines_entry *find(struct pipeline_rpc *self, const char *name) {
    size_t prefix = strlen(COLLECTION);

    return strncmp(name, COLLECTION, prefix) == 0 ? pipelines_find(&self->pipelines, name + prefix)
                                                  : NULL;
}

static int fail_missing(const char *name, struct opiml_error *err) {
    return opiml_fail(err, OPIML_ENOENT, "there is no \"%s\"", name);
}

/* Only the lease can change; what else a mask names is told apart from what there is not. */
static int read_mask(const Opiml__V1alpha1__UpdatePipelineRequest *asked, bool *ret_lease,
                     struct opiml_error *err) {
    size_t count = asked->update_mask ? asked->update_mask->n_paths : 0;

    *ret_lease = count == 0 && asked->pipeline->lease_duration;
    for (size_t i = 0; i < count; i++) {
        const char *path = asked->update_mask->paths[i];

        if (strcmp(path, "*") == 0 || strcmp(path, "lease_duration") == 0)
            *ret_lease = true;
        else if (protobuf_c_message_descriptor_get_field_by_name(
                     &opiml__v1alpha1__pipeline__descriptor, path))
            return opiml_fail(err, OPIML_EINVAL, "update_mask: \"%s\" of a pipeline stays", path);
        else
            return opiml_fail(err, OPIML_EINVAL, "update_mask: a pipeline has no \"%.80s\"", path);
    }
    return 0;
}

static int update(struct rpc_call *call, void *context, const void *request,
                  struct opiml_error *err) {
    const Opiml__V1alpha1__UpdatePipelineRequest *asked = request;
    struct pipelines_entry *entry;
    bool lease;
    int rc;

    if (!asked->pipeline || !asked->pipeline->name[0])
        return opiml_fail(err, OPIML_EINVAL, "missing required field: pipeline.name");
    entry = find(context, asked->pipeline->name);
    if (!entry)
        return fail_missing(asked->pipeline->name, err);
    if ((rc = pipelines_check(entry, rpc_who(call), err)) < 0 ||
        (rc = read_mask(asked, &lease, err)) < 0 ||
        (lease && (rc = set_lease(entry, asked->pipeline, err)) < 0))
        return rc;
    return reply_entry(call, context, entry, false, err);
}

static int renew(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Opiml__V1alpha1__RenewPipelineRequest *asked = request;
    Opiml__V1alpha1__RenewPipelineResponse reply = OPIML__V1ALPHA1__RENEW_PIPELINE_RESPONSE__INIT;
    struct pipelines_entry *entry = find(context, asked->name);

    if (!entry || entry->expired)
        return fail_missing(asked->name, err);
    if (pipelines_check(entry, rpc_who(call), err) < 0)
        return OPIML_EACCES;
    pipelines_renew(entry);
    reply.expire_time = take_expiry(call, entry);
    reply.lease_duration = take_duration(call, entry->lease_ns);
    if (!reply.expire_time || !reply.lease_duration)
        return base_fail_memory(err, sizeof(reply), "a reply");
    return rpc_reply(call, &reply, err);
}

static int stats(struct rpc_call *call, void *context, const void *request,
                 struct opiml_error *err) {
    const Opiml__V1alpha1__StatsPipelineRequest *asked = request;
    Opiml__V1alpha1__StatsPipelineResponse reply = OPIML__V1ALPHA1__STATS_PIPELINE_RESPONSE__INIT;
    Opiml__V1alpha1__PipelineStats counters = OPIML__V1ALPHA1__PIPELINE_STATS__INIT;
    Opiml__V1alpha1__StationStats station[OPIML_MAX_STATIONS], *all[OPIML_MAX_STATIONS];
    struct pipelines_entry *entry = find(context, asked->name);
    struct opiml_feed_stats *now = rpc_take(call, sizeof(*now));

    if (!entry)
        return fail_missing(asked->name, err);
    if (!now)
        return base_fail_memory(err, sizeof(*now), "counters");
    if (entry->session)
        session_stats(entry->session, now);
    counters.bytes_read = now->bytes_read;
    counters.pool_bytes = now->pool_bytes;
    counters.pool_peak_bytes = now->pool_peak_bytes;
    counters.n_stations = now->stations;
    counters.stations = all;
    for (uint32_t s = 0; s < now->stations; s++) {
        const struct opiml_station_stats *from = &now->station[s];

        all[s] = &station[s];
        station[s] = (Opiml__V1alpha1__StationStats)OPIML__V1ALPHA1__STATION_STATS__INIT;
        station[s].name = (char *)(uintptr_t)from->name;
        station[s].rows = from->rows;
        station[s].bytes = from->bytes;
        station[s].busy_ns = from->busy_ns;
        station[s].wait_ns = from->wait_ns;
        station[s].threads = from->threads;
    }
    reply.stats = &counters;
    return rpc_reply(call, &reply, err);
}

/* ---- get, list, delete ---- */

static int get(struct rpc_call *call, void *context, const void *request, struct opiml_error *err) {
    const Opiml__V1alpha1__GetPipelineRequest *asked = request;
    const struct pipelines_entry *entry = find(context, asked->name);

    return entry ? reply_entry(call, context, entry, false, err) : fail_missing(asked->name, err);
}

static void free_page(Opiml__V1alpha1__ListPipelinesResponse *reply) {
    for (size_t i = 0; i < reply->n_pipelines; i++) {
        reply->pipelines[i]->name = NULL; /* these are the call's */
        reply->pipelines[i]->lease_duration = NULL;
        reply->pipelines[i]->expire_time = NULL;
        opiml__v1alpha1__pipeline__free_unpacked(reply->pipelines[i], NULL);
    }
}

static int list(struct rpc_call *call, void *context, const void *request,
                struct opiml_error *err) {
    const Opiml__V1alpha1__ListPipelinesRequest *asked = request;
    Opiml__V1alpha1__ListPipelinesResponse reply = OPIML__V1ALPHA1__LIST_PIPELINES_RESPONSE__INIT;
    struct pipeline_rpc *self = context;
    struct pipelines_entry *entry;
    int32_t most = asked->page_size ? asked->page_size : PAGE_PRESET;
    size_t bytes = 0;
    int rc = 0;

    if (most < 0)
        return opiml_fail(err, OPIML_EINVAL, "page_size: %d is negative", most);
    if (asked->page_token[0] && !pipelines_find(&self->pipelines, asked->page_token))
        return opiml_fail(err, OPIML_ENOENT, "page_token: no page ended there");
    reply.pipelines = rpc_take(call, PIPELINES_MAX * sizeof(reply.pipelines[0]));
    if (!reply.pipelines)
        return base_fail_memory(err, PIPELINES_MAX * sizeof(reply.pipelines[0]), "a reply");
    entry = pipelines_next(&self->pipelines, asked->page_token);
    for (; rc == 0 && entry && (int32_t)reply.n_pipelines < most && reply.n_pipelines < PAGE_MOST &&
           bytes < PAGE_BYTES;
         entry = pipelines_next(&self->pipelines, entry->id)) {
        pipeline_message *content = unpack(entry);

        if (!content) {
            rc = base_fail_memory(err, entry->content_bytes, "a reply");
            break;
        }
        rc = fill(call, self, entry, content, err);
        reply.pipelines[reply.n_pipelines++] = content;
        bytes += opiml__v1alpha1__pipeline__get_packed_size(content);
    }
    if (rc == 0 && entry && reply.n_pipelines)
        reply.next_page_token = reply.pipelines[reply.n_pipelines - 1]->name + strlen(COLLECTION);
    if (rc == 0)
        rc = rpc_reply(call, &reply, err);
    free_page(&reply);
    return rc;
}

static int delete (struct rpc_call *call, void *context, const void *request,
                   struct opiml_error *err) {
    const Opiml__V1alpha1__DeletePipelineRequest *asked = request;
    Google__Protobuf__Empty reply = GOOGLE__PROTOBUF__EMPTY__INIT;
    struct pipeline_rpc *self = context;
    struct pipelines_entry *entry = find(self, asked->name);

    if (!entry && !asked->allow_missing)
        return fail_missing(asked->name, err);
    if (entry && pipelines_check(entry, rpc_who(call), err) < 0)
        return OPIML_EACCES;
    if (entry)
        pipelines_remove(&self->pipelines, entry);
    return rpc_reply(call, &reply, err);
}

void pipeline_rpc_init(struct pipeline_rpc *service, struct datasets *datasets,
                       uint16_t data_port) {
    static const struct rpc_method methods[] = {
        {"CreatePipeline", create, .work = open_session, .drop = drop_made, .waits = has_upstreams},
        {"GetPipeline", get},
        {"ListPipelines", list},
        {"ProfilePipeline", profile, .work = measure, .drop = base_free,
         .waits = is_measured_behind},
        {"ProbeLink", probe},
        {"ProbeUpstream", probe_upstream, .work = measure_upstream, .drop = base_free,
         .waits = always_waits},
        {"UpdatePipeline", update},
        {"RenewPipeline", renew},
        {"StatsPipeline", stats},
        {"DeletePipeline", delete},
        {0}};

    memset(service, 0, sizeof(*service));
    service->service =
        (struct rpc_service){&opiml__v1alpha1__pipeline_service__descriptor, methods, service};
    service->datasets = datasets;
    service->data_port = data_port;
    service->local = "";
}

/* ---- what was kept ---- */

static int restore(void *context, const struct keep_pipeline *kept, struct opiml_error *err) {
    struct pipeline_rpc *self = context;
    pipeline_message *content =
        opiml__v1alpha1__pipeline__unpack(NULL, kept->content_bytes, kept->content);
    uint64_t now = clock_wall_ns();

    if (!content || !kept->id[0] || id_check(kept->id, NULL) < 0) {
        log_write("node", LOG_WARN, "pipelines/%s was not kept as it was, and is forgotten",
                  kept->id);
        return 0;
    }
    opiml__v1alpha1__pipeline__free_unpacked(content, NULL);
    return pipelines_restore(&self->pipelines, kept->who, kept->id, kept->content,
                             kept->content_bytes, kept->lease_ns,
                             kept->until_ns > now ? kept->until_ns - now : 0, err);
}

int pipeline_rpc_keep(struct pipeline_rpc *service, struct keep *keep, struct opiml_error *err) {
    uint32_t first, now_s = (uint32_t)(clock_wall_ns() / SECOND_NS);
    int rc = keep_generations(keep, now_s, &first, err);

    if (rc < 0)
        return rc;
    service->keep = service->pipelines.keep = keep;
    service->pipelines.generation = first - 1;
    return keep_each_pipeline(keep, restore, service, err);
}

void pipeline_rpc_release(struct pipeline_rpc *service) {
    pipelines_release(&service->pipelines);
}
