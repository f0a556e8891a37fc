/* A part of a pipeline at work for one consumer elsewhere. */
#include "node/session.h"

#include <opiml/feed.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>

#include "base/log.h"
#include "dataset/elsewhere.h"
#include "net/link.h"
#include "node/closer.h"
#include "node/datasets.h"
#include "node/jobs.h"
#include "node/remote_index.h"
#include "op/registry.h"
#include "pipeline/feed_stats.h"
#include "pipeline/plan.h"
#include "pipeline/pump.h"

#define SESSION_RESERVE 8 /* of a pool, that records may need beside what is planned */
#define SESSION_PLACES 3  /* of shared memory: one is read, one is made, one is to be made next */

struct session {
    struct closer_item closing;
    struct opiml_pipeline *pipeline;
    struct plan *plan;
    struct stage *stage;
    struct routes routes;      /* the only one has the share of this session */
    struct upstream *upstream; /* what its link comes from; NULL: rows are read here */
    struct link *link;
    uint32_t stripes, connected, depth;
    uint64_t frame_bytes;
    struct job *job; /* NULL: none, or its memory was given back */
    uint64_t job_bytes;
    struct stream *stream[WIRE_STRIPES_MAX];
    uint8_t ticket[WIRE_TICKET_BYTES];
    pthread_t pump;
    bool pumping, shared, ucx;
    _Atomic bool ended;
};

/* ---- opening ---- */

static int check_same(const struct opiml_pipeline *pipeline, const struct session_request *request,
                      struct opiml_error *err) {
    if (pipeline->hash != request->hash)
        return opiml_fail(err, OPIML_ESTALE,
                          "%s means another pipeline here: versions of opiml differ",
                          request->file);
    if (pipeline->fingerprint != request->fingerprint)
        return opiml_fail(err, OPIML_ESTALE, "the data of %s are others here", request->file);
    if (request->operators > pipeline->row_ops)
        return opiml_fail(err, OPIML_EINVAL, "%u operators; %s has %u that can run elsewhere",
                          request->operators, request->file, pipeline->row_ops);
    return pipeline_check_ranks(pipeline, request->rank, request->world, err);
}

struct finder {
    struct dataset_finder finder;
    const struct session_request *request;
};

/* What cannot be opened here is so at a node that rows come from, as far as this one may ask: the
 * first one reads it. */
static int find_upstream(const struct session_request *request, const struct yaml *yaml,
                         const struct yaml_node *node, const struct opiml_error *why,
                         struct dataset **ret_dataset, struct opiml_error *err) {
    struct opiml_error last = {0};

    if (!elsewhere_may_be(why->code))
        return 0;
    for (uint32_t h = 0; h < request->befores; h++) {
        const char *at = request->before[h].at;

        if (upstreams_check(request->upstreams, at, &last) == 0 &&
            remote_index_ask(at, upstreams_tls(request->upstreams), request->file, yaml, node,
                             ret_dataset, &last) == 0)
            return 1;
    }
    return last.code ? opiml_fail(err, why->code, "%s; and there: %s", why->message, last.message)
                     : 0;
}

/* As the consumer has it indexed, where the node still has that. */
static int find_dataset(struct dataset_finder *finder, const struct yaml *yaml,
                        const struct yaml_node *node, uint32_t number,
                        const struct opiml_error *why, struct dataset **ret_dataset,
                        struct opiml_error *err) {
    const struct session_request *request = ((struct finder *)finder)->request;

    if (why)
        return find_upstream(request, yaml, node, why, ret_dataset, err);
    if (!request->datasets || number >= request->index_hash_count)
        return 0;
    *ret_dataset = datasets_find(request->datasets, request->index_hashes[number]);
    datasets_add(request->datasets, request->index_hashes[number],
                 &(struct datasets_stats){.pipelines = 1});
    return *ret_dataset != NULL;
}

int session_open_pipeline(const struct session_request *request,
                          struct opiml_pipeline **ret_pipeline, struct opiml_error *err) {
    struct finder finder = {{find_dataset}, request};
    struct opiml_pipeline *pipeline;
    int rc = pipeline_parse_finding(request->text, request->file, &finder.finder, &pipeline, err);

    if (rc < 0)
        return rc;
    if ((rc = check_same(pipeline, request, err)) < 0) {
        opiml_pipeline_close(pipeline);
        return rc;
    }
    *ret_pipeline = pipeline;
    return 0;
}

int session_check_cut(const struct opiml_pipeline *pipeline, const struct session_request *request,
                      uint32_t cut, struct opiml_error *err) {
    const struct cache_conf *cache = &pipeline->cache;

    if (!cache->on || cache->where != CACHE_ON_DISK || cache->at > cut)
        return 0;
    if (!request->disk)
        return opiml_fail(
            err, OPIML_ENOTSUP,
            "%s: this node keeps no cache on disk (opiml node start --cache-disk gives "
            "it room); keep it in memory, or behind --cut",
            pipeline->name);
    /* Where things lie is not a consumer's to say. */
    return cache->folder[0]
               ? opiml_fail(err, OPIML_ENOTSUP,
                            "%s: the cache names a folder, and a node has its own: leave "
                            "it away",
                            pipeline->name)
               : 0;
}

uint32_t session_first(const struct session_request *request) {
    return request->befores ? request->before[request->befores - 1].operators : 0;
}

/* Its operators have to be the same code here. */
static int check_operators(const struct session *self, const struct session_request *request,
                           struct opiml_error *err) {
    const struct opiml_pipeline *pipeline = self->pipeline;

    for (uint32_t k = session_first(request); k < request->operators; k++)
        if (op_implementation(pipeline->op[k]->op) != request->implementations[k])
            return opiml_fail(
                err, OPIML_ESTALE,
                "%s: %s is another implementation here, with other results: libraries "
                "differ",
                request->file, pipeline->op[k]->op->name);
    return session_check_cut(pipeline, request, request->operators, err);
}

static uint64_t pool_bytes(const struct session_request *request) {
    return base_min_u64(request->pool_bytes ? request->pool_bytes : SESSION_POOL_BYTES,
                        SESSION_POOL_BYTES);
}

int session_plan(const struct opiml_pipeline *pipeline, const struct session_request *request,
                 uint32_t cut, struct plan **ret_plan, struct opiml_error *err) {
    uint32_t threads = request->threads ? request->threads : SESSION_THREADS;
    uint64_t pool = pool_bytes(request);
    const struct plan_request plan = {.first = session_first(request),
                                      .last = cut,
                                      .reads = !request->befores,
                                      .linked = request->befores,
                                      .threads = (uint32_t)base_min_u64(threads, SESSION_THREADS),
                                      .rank = request->rank,
                                      .world = request->world,
                                      .pool_bytes = request->befores ? pool / 2 : pool,
                                      .slots = request->shared ? SESSION_PLACES : 0};

    return plan_create(pipeline, &plan, ret_plan, err);
}

/* Half of the pool is for frames that come, and half for what is made of them. */
static int check_frames(const struct session_request *request, const struct route *route,
                        struct opiml_error *err) {
    if (route->depth * route->frame_bytes <= pool_bytes(request) / 2)
        return 0;
    return opiml_fail(err, OPIML_ELIMIT,
                      "%s%u frames of %" PRIu64 " bytes are more than half of the %" PRIu64
                      " that a pipeline may take",
                      route->from, route->depth, route->frame_bytes, pool_bytes(request));
}

int session_open_upstream(const struct session_request *request,
                          const struct opiml_pipeline *pipeline, struct upstream **ret_upstream,
                          struct route *ret_route, struct opiml_error *err) {
    const struct node_hop *last = &request->before[request->befores - 1];
    const struct node_remote_request wanted = {.at = last->at,
                                               .text = request->text,
                                               .path = request->file,
                                               .operators = last->operators,
                                               .implementations = request->implementations,
                                               .before = request->before,
                                               .befores = request->befores - 1,
                                               .pool_bytes = pool_bytes(request) / 2,
                                               .stripes = request->stripes,
                                               .link = request->networked ? NODE_REMOTE_TCP
                                                                          : NODE_REMOTE_AUTO,
                                               .job = request->job_id,
                                               .rank = request->rank,
                                               .world = request->world,
                                               .first_batch = request->first_batch,
                                               .batches = request->batches,
                                               .share = request->share,
                                               .tls = upstreams_tls(request->upstreams)};
    struct upstream *upstream;
    struct route route = {0};
    int rc = upstream_open(request->upstreams, &wanted, pipeline, &upstream, &route, err);

    if (rc < 0)
        return rc;
    snprintf(route.from, sizeof(route.from), "upstream %s: ", last->at);
    if ((rc = check_frames(request, &route, err)) < 0) {
        route.link->ops->close(route.link);
        upstream_close(upstream);
        return rc;
    }
    *ret_upstream = upstream;
    *ret_route = route;
    return 0;
}

static int open_inlet(struct session *self, const struct session_request *request,
                      struct inlet **ret_inlet, struct opiml_error *err) {
    struct route *route = &self->routes.route[0];
    int rc;

    if (request->befores == 0)
        return inlet_reader_create(self->plan, ret_inlet, err);
    rc = session_open_upstream(request, self->pipeline, &self->upstream, route, err);
    return rc < 0 ? rc : inlet_link_create(self->plan, route, ret_inlet, err);
}

/* Its memory is its job's: what is sure to be needed, the reserve for records that need more than
 * others, what is kept of rows, and frames that come from the node before this one. */
static int take_memory(struct session *self, const struct session_request *request,
                       struct opiml_error *err) {
    struct plan *plan = self->plan;
    uint64_t bytes, tables = stage_table_bytes(plan);
    int rc;

    if (!request->job)
        return 0;
    plan->charge_bytes -= base_min_u64(plan->charge_bytes, tables);
    plan->charge_bytes = base_min_u64(plan->charge_bytes, pool_bytes(request) / SESSION_RESERVE);
    bytes = plan->total_bytes + plan->charge_bytes + tables +
            self->routes.route[0].depth * self->routes.route[0].frame_bytes;
    if ((rc = jobs_take(request->job, bytes, err)) < 0)
        return rc;
    self->job = jobs_ref(request->job);
    self->job_bytes = bytes;
    return 0;
}

static int open_stage(struct session *self, const struct session_request *request,
                      struct opiml_error *err) {
    const struct stage_options options = {.job = request->job ? jobs_turns(request->job) : NULL,
                                          .first = request->first_batch,
                                          .batches = request->batches,
                                          .routes = &self->routes,
                                          .shared = request->shared};
    struct inlet *inlet;
    int rc;

    self->routes = (struct routes){.count = 1, .route[0].share = request->share};
    if ((rc = session_plan(self->pipeline, request, request->operators, &self->plan, err)) < 0 ||
        (rc = open_inlet(self, request, &inlet, err)) < 0)
        return rc;
    if ((rc = take_memory(self, request, err)) < 0) {
        inlet->ops->destroy(inlet);
        return rc;
    }
    return stage_create(self->plan, inlet, &options, &self->stage, err);
}

static int check_numbers(const struct session_request *request, struct opiml_error *err) {
    if (request->stripes == 0 || request->stripes > WIRE_STRIPES_MAX)
        return opiml_fail(err, OPIML_EINVAL, "%u stripes; 1 to %d", request->stripes,
                          WIRE_STRIPES_MAX);
    if (request->depth == 0 || request->depth > WIRE_DEPTH_MAX)
        return opiml_fail(err, OPIML_EINVAL, "a depth of %u; 1 to %d", request->depth,
                          WIRE_DEPTH_MAX);
    return share_check(&request->share, err);
}

int session_check_way(const struct session_request *request, struct opiml_error *err) {
    if (request->befores >= NODE_HOPS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "%u nodes before this one; at most %d",
                          request->befores, NODE_HOPS_MAX - 1);
    for (uint32_t h = 0; h < request->befores; h++) {
        uint32_t next =
            h + 1 < request->befores ? request->before[h + 1].operators : request->operators;

        if (request->before[h].operators > next)
            return opiml_fail(err, OPIML_EINVAL,
                              "upstream %.280s: %u operators, and %u at the node behind it",
                              request->before[h].at, request->before[h].operators, next);
    }
    return request->befores == 0
               ? 0
               : upstreams_check(request->upstreams, request->before[request->befores - 1].at, err);
}

/* A share by who holds records takes an index that says so: without, this node would choose others
 * than its consumer does. */
static int check_share(const struct session *self, const struct session_request *request,
                       struct opiml_error *err) {
    bool by_holders = false, spread = false;

    for (uint32_t c = 0; c < request->share.classes; c++)
        by_holders |= request->share.class[c].holders != 0;
    for (uint32_t d = 0; d < self->pipeline->datasets; d++)
        spread |= dataset_is_spread(self->pipeline->dataset[d]);
    if (!by_holders || spread)
        return 0;
    return opiml_fail(err, OPIML_ESTALE,
                      "%s: the index that says which node holds what is not here any more",
                      request->file);
}

/* Rows that its consumer would have kept here for later epochs. */
static int keep_rows(const struct session *self, const struct session_request *request,
                     struct opiml_error *err) {
    if (request->cache_bytes == 0)
        return 0;
    if (request->befores > 0 || request->cache_at > request->operators)
        return opiml_fail(err, OPIML_EINVAL,
                          "pipeline.cache_at: %u, and operators %u to %u run here",
                          request->cache_at, session_first(request), request->operators);
    if (request->cache_on_disk && !request->disk)
        return opiml_fail(err, OPIML_ENOTSUP, "this node keeps no cache on disk");
    return pipeline_keep_rows(self->pipeline, request->cache_at,
                              request->cache_on_disk ? CACHE_ON_DISK : CACHE_IN_MEMORY,
                              request->cache_bytes, err);
}

static int create(const struct session_request *request, struct session **ret_session,
                  struct opiml_error *err) {
    struct session *self;
    int rc = 0;

    self = base_alloc(sizeof(*self));
    if (!self)
        return base_fail_memory(err, sizeof(*self), "a session");
    self->stripes = request->stripes;
    self->depth = request->depth;
    self->shared = request->shared;
    self->ucx = request->ucx;
    if (getrandom(self->ticket, sizeof(self->ticket), 0) != sizeof(self->ticket))
        rc = base_fail_errno(err, errno, "random numbers");
    if (rc < 0 || (rc = session_open_pipeline(request, &self->pipeline, err)) < 0 ||
        (rc = check_operators(self, request, err)) < 0 ||
        (rc = check_share(self, request, err)) < 0 || (rc = keep_rows(self, request, err)) < 0 ||
        (rc = open_stage(self, request, err)) < 0) {
        session_destroy(self);
        return rc;
    }
    self->frame_bytes = self->plan->slot_bytes;
    *ret_session = self;
    return 0;
}

int session_create(const struct session_request *request, struct session **ret_session,
                   struct opiml_error *err) {
    struct session_request frugal = *request;
    struct opiml_error why;
    int rc;

    if ((rc = check_numbers(request, err)) < 0 || (rc = session_check_way(request, err)) < 0)
        return rc;
    rc = create(request, ret_session, &why);
    if (rc == 0)
        return 0;
    if (request->cache_bytes == 0 ||
        (rc != OPIML_ELIMIT && rc != OPIML_ENOMEM && !request->cache_on_disk))
        return opiml_fail(err, rc, "%s", why.message);
    log_write("node", LOG_INFO, "%s: no rows are kept: %s", request->file, why.message);
    frugal.cache_bytes = 0;
    return create(&frugal, ret_session, err);
}

const uint8_t *session_ticket(const struct session *session) {
    return session->ticket;
}

uint64_t session_frame_bytes(const struct session *session) {
    return session->frame_bytes;
}

bool session_shared(const struct session *session) {
    return session->shared;
}

enum session_state session_state(struct session *session) {
    return session->ended ? SESSION_ENDED : session->pumping ? SESSION_RUNNING : SESSION_WAITING;
}

void session_set_origin(struct session *session, struct frame_origin origin) {
    session->stage->options.origin = origin;
}

void session_fail(struct session *session, const struct opiml_error *why) {
    if (session->stage)
        stage_fail(session->stage, why);
}

void session_stats(struct session *session, struct opiml_feed_stats *stats) {
    const struct counters *sent;

    if (!session->stage)
        return;
    sent = &session->stage->pumped;
    feed_stats_add_stage(stats, session->stage);
    if (stats->stations == OPIML_MAX_STATIONS)
        return;
    stats->station[stats->stations++] =
        (struct opiml_station_stats){.name = "send",
                                     .rows = counter_get(&sent->rows),
                                     .bytes = counter_get(&sent->bytes),
                                     .busy_ns = counter_get(&sent->busy_ns),
                                     .threads = 1};
}

/* ---- at work ---- */

static void *pump_main(void *argument) {
    struct session *self = argument;

    pump_run(self->stage, self->link);
    self->ended = true;
    return NULL;
}

static int start(struct session *self, struct opiml_error *err) {
    int rc = pthread_create(&self->pump, NULL, pump_main, self);
    if (rc != 0)
        return base_fail_errno(err, rc, "starting a sending thread");
    self->pumping = true;
    return 0;
}

static int start_tcp(struct session *self, struct opiml_error *err) {
    int rc = link_tcp_open(self->stream, self->stripes, self->depth, false, &self->link, err);

    if (rc < 0)
        return rc;
    for (uint32_t s = 0; s < self->stripes; s++)
        self->stream[s] = NULL; /* the link's now */
    return start(self, err);
}

/* The memory is the stage's own: what it makes is where it has to be. */
static int start_shared(struct session *self, const struct stream *stream,
                        struct opiml_error *err) {
    uint64_t place_bytes = base_align_up(self->plan->slot_bytes, 64);
    AUTO_FD int fd = -1;
    int rc;

    if (self->link || self->ended || self->connected > 0 || !self->shared)
        return opiml_fail(err, OPIML_EINVAL, "no shared memory is wanted");
    fd = fcntl(stream->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return base_fail_errno(err, errno, "a connection for shared memory");
    rc = link_shm_lend(fd, &self->stage->slots_memory, self->plan->slots, place_bytes, &self->link,
                       err);
    if (rc < 0)
        return rc;
    fd = -1; /* the link's now */
    return start(self, err);
}

/* The connection says what is where, and UCX carries the frames. */
static int start_ucx(struct session *self, struct stream *stream, struct opiml_error *err) {
    int rc;

    if (self->link || self->ended || self->connected > 0 || !self->ucx)
        rc = opiml_fail(err, OPIML_EINVAL, "no UCX is wanted");
    else
        rc = link_ucx_open(stream, self->depth, false, &self->link, err);
    if (rc < 0) {
        stream_close(stream);
        return rc;
    }
    return start(self, err);
}

int session_connect(struct session *session, uint32_t stripe, struct stream *stream,
                    struct opiml_error *err) {
    int rc;

    if (stripe == WIRE_SHARED) {
        rc = start_shared(session, stream, err);
        stream_close(stream); /* the link has its socket */
        return rc;
    }
    if (stripe == WIRE_UCX)
        return start_ucx(session, stream, err);
    if (stripe >= session->stripes || session->link || session->ended || session->stream[stripe]) {
        stream_close(stream);
        return opiml_fail(err, OPIML_EINVAL, "no stripe %u is wanted", stripe);
    }
    session->stream[stripe] = stream;
    return ++session->connected < session->stripes ? 0 : start_tcp(session, err);
}

static void shut_links(struct session *self) {
    struct link *from = self->routes.route[0].link;

    if (self->link)
        self->link->ops->shut(self->link);
    if (from)
        from->ops->shut(from);
}

static void stop(struct session *self) {
    struct link *from = self->routes.route[0].link;

    shut_links(self);
    if (self->stage)
        stage_stop(self->stage);
    if (self->pumping)
        pthread_join(self->pump, NULL);
    self->pumping = false;
    if (from)
        from->ops->close(TAKE(self->routes.route[0].link)); /* it writes to the stage's memory */
    stage_destroy(TAKE(self->stage));
    if (self->job) {
        jobs_give(self->job, self->job_bytes);
        jobs_leave(TAKE(self->job));
    }
    if (self->link)
        self->link->ops->close(TAKE(self->link));
    upstream_close(TAKE(self->upstream));
    base_free(TAKE(self->plan));
    opiml_pipeline_close(TAKE(self->pipeline));
}

void session_destroy(struct session *self) {
    if (!self)
        return;
    stop(self);
    for (uint32_t s = 0; s < WIRE_STRIPES_MAX; s++)
        stream_close(self->stream[s]);
    base_free(self);
}

static void close_session(struct closer_item *item) {
    session_destroy((struct session *)item);
}

void session_leave(struct session *session, struct closer *closer) {
    if (!session || !closer) {
        session_destroy(session);
        return;
    }
    shut_links(session);
    session->closing.close = close_session;
    closer_put(closer, &session->closing);
}
