/* Where a pipeline's rows are best made. */
#include "node/planner.h"

#include <math.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "batch/arena.h"
#include "node/host.h"
#include "node/probe.h"
#include "node/remote.h"
#include "op/registry.h"
#include "opiml/v1alpha1/pipeline.pb-c.h"
#include "pipeline/calibration.h"
#include "pipeline/measured.h"
#include "pipeline/pipeline.h"
#include "pipeline/plan.h"
#include "pipeline/profile_store.h"
#include "pipeline/together.h"
#include "pipeline/wire_cost.h"
#include "rpc/client.h"

#define SERVICE "/opiml.v1alpha1.PipelineService/"
#define TIMEOUT_MS 30000 /* the node may have to index the data */
#define SAMPLE_BYTES 1e6 /* of a row, that is not too large to measure a node with */

typedef Opiml__V1alpha1__ProfilePipelineResponse reply_message;

static bool is_remote(const struct opiml_pipeline *pipeline) {
    bool remote = false;

    for (uint32_t d = 0; d < pipeline->datasets; d++)
        remote |= source_is_remote(dataset_source(pipeline->dataset[d]));
    return remote;
}

/* This machine's profile; of data that only nodes see it waits for one of theirs. */
static int profile_here(struct planner *self, const struct planner_request *request,
                        struct opiml_error *err) {
    const struct profile_request profile = {
        .pipeline = request->pipeline, .classes = &self->classes, .anew = request->anew};

    if (!pipeline_is_elsewhere(request->pipeline))
        return profile_recall(&profile, &self->profile[0], err);
    profile_blank(request->pipeline, &self->classes, &self->profile[0]);
    snprintf(self->why_not_here, sizeof(self->why_not_here), "the data cannot be read here");
    return 0;
}

/* Operators cost here what they cost there, unless this machine is calibrated; rows are the same.
 */
static void borrow_profile(struct planner *self, const struct profile *from) {
    struct profile *to = &self->profile[0];

    if (to->origin != PROFILE_BORROWED || to->class[0].samples > 0)
        return;
    memcpy(to->class, from->class, sizeof(to->class));
    calibration_apply(self->pipeline, to);
}

/* Records of each size are told apart in each set of holders, as far as shares can. */
static void find_classes(struct planner *self, const struct planner_request *request) {
    profile_classes(request->pipeline, &self->classes);
    self->hold = request->hold && request->hold->spread ? request->hold : NULL;
    if (self->hold && self->classes.count * base_min_u64(self->hold->sets + 1, PLACE_SETS_MAX) >
                          SHARE_CLASSES_MAX)
        self->classes =
            (struct profile_classes){.count = 1, .bytes_max = {UINT64_MAX}, .share = {1}};
}

static uint64_t pool_of(const struct planner_request *request) {
    return request->pool_bytes ? request->pool_bytes : request->pipeline->pool_bytes;
}

int planner_open(const struct planner_request *request, struct planner **ret_planner,
                 struct opiml_error *err) {
    const struct opiml_pipeline *pipeline = request->pipeline;
    struct planner *self = base_alloc(sizeof(*self));
    struct place_tier *here;
    struct wire_cost wire;
    bool local;
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a plan");
    find_classes(self, request);
    self->pipeline = pipeline;
    rc = profile_here(self, request, err);
    if (rc < 0) {
        planner_close(self);
        return rc;
    }
    local = !self->why_not_here[0] &&
            where_allows_cut(pipeline, "", 0, self->why_not_here, sizeof(self->why_not_here));
    self->problem = (struct place_problem){.classes = &self->classes,
                                           .ops = pipeline->row_ops,
                                           .tiers = 1,
                                           .local = local,
                                           .remote = local && is_remote(pipeline),
                                           .whole = !together_shares(pipeline, request->world),
                                           .demand = request->demand};
    here = &self->problem.tier[0];
    snprintf(here->name, sizeof(here->name), "here");
    here->profile = &self->profile[0];
    wire_cost_recall(request->anew, &wire);
    here->receive_ns = wire.receive_ns;
    self->room[0].memory_bytes = base_min_u64(pool_of(request), arena_available_bytes()) / 2;
    here->cores = self->profile[0].cores;
    if (request->threads)
        here->cores = fmin(request->threads, here->cores);
    if (request->cores > 0 && request->cores < here->cores)
        here->cores = request->cores;
    *ret_planner = self;
    return 0;
}

/* ---- nodes ---- */

/* `from` NULL: of the node's own data; else of rows that it takes from there. */
static int ask_profile(struct planner *self, const struct planner_request *request,
                       struct rpc_client *client, Opiml__V1alpha1__Upstream *from,
                       reply_message **ret_reply, struct opiml_error *err) {
    Opiml__V1alpha1__ProfilePipelineRequest message =
        OPIML__V1ALPHA1__PROFILE_PIPELINE_REQUEST__INIT;
    Opiml__V1alpha1__Pipeline wanted = OPIML__V1ALPHA1__PIPELINE__INIT;
    uint64_t implementations[PIPELINE_OPS_MAX];
    char host[HOST_ID_BYTES] = "";
    struct node_hashes hashes;

    node_hashes(request->pipeline, &hashes);
    for (uint32_t k = 0; from && k < from->operators; k++)
        implementations[k] = op_implementation(request->pipeline->op[k]->op);
    wanted.n_upstreams = from != NULL;
    wanted.upstreams = &from;
    wanted.n_implementations = from ? from->operators : 0;
    wanted.implementations = implementations;
    if (!request->over_tcp)
        host_id(host);
    wanted.host = host;
    wanted.text = (char *)(uintptr_t)request->text;
    wanted.file = (char *)(uintptr_t)request->path;
    wanted.hash = request->pipeline->hash;
    wanted.fingerprint = request->pipeline->fingerprint;
    wanted.n_index_hashes = request->pipeline->datasets;
    wanted.index_hashes = hashes.at;
    wanted.rank = request->rank;
    wanted.world = request->world;
    wanted.pool_bytes = pool_of(request);
    wanted.job_id = (char *)(uintptr_t)(request->job ? request->job : "");
    message.pipeline = &wanted;
    message.n_most_bytes = self->classes.count;
    message.most_bytes = self->classes.bytes_max;
    message.anew = request->anew;
    return rpc_client_call(client, SERVICE "ProfilePipeline", &message.base,
                           &opiml__v1alpha1__profile_pipeline_response__descriptor, ret_reply, err);
}

static bool is_positive(double number) {
    return number >= 0 && number < 1e18; /* false for a NaN */
}

/* What a node says is not to be trusted. */
static bool makes_sense(const reply_message *reply, const struct planner *self) {
    uint32_t ops = self->problem.ops;
    bool good = reply->n_implementations == ops && reply->n_refusals == ops + 1 &&
                reply->n_classes == self->classes.count && is_positive(reply->cores) &&
                is_positive(reply->read_bytes_per_second) && is_positive(reply->age_seconds) &&
                is_positive(reply->send_ns_per_byte) &&
                is_positive(reply->cache_disk_bytes_per_second);

    for (uint32_t c = 0; good && c < reply->n_classes; c++) {
        const Opiml__V1alpha1__ProfileClass *class = reply->classes[c];

        good = class->n_operator_ns == ops && class->n_row_bytes == ops + 1 &&
               is_positive(class->read_ns) && is_positive(class->parse_ns) &&
               is_positive(class->read_bytes) && is_positive(class->record_bytes);
        for (uint32_t k = 0; good && k < ops; k++)
            good = is_positive(class->operator_ns[k]);
        for (uint32_t k = 0; good && k <= ops; k++)
            good = is_positive(class->row_bytes[k]);
    }
    return good;
}

static void read_profile(const reply_message *reply, struct profile *to) {
    *to = (struct profile){.classes = (uint32_t)reply->n_classes,
                           .ops = (uint32_t)reply->n_implementations,
                           .read_bytes_per_s = reply->read_bytes_per_second,
                           .cores = reply->cores,
                           .origin = (enum profile_origin)reply->origin,
                           .age_s = reply->age_seconds};
    for (uint32_t c = 0; c < to->classes; c++) {
        const Opiml__V1alpha1__ProfileClass *from = reply->classes[c];
        struct profile_class *class = &to->class[c];

        class->read_ns = from->read_ns;
        class->parse_ns = from->parse_ns;
        class->read_bytes = from->read_bytes;
        class->record_bytes = from->record_bytes;
        class->samples = from->samples;
        memcpy(class->op_ns, from->operator_ns, to->ops * sizeof(class->op_ns[0]));
        memcpy(class->bytes, from->row_bytes, (to->ops + 1) * sizeof(class->bytes[0]));
    }
}

/* A cut needs every operator before it to be the same code on both sides. */
static void find_cuts(const reply_message *reply, const struct opiml_pipeline *pipeline,
                      const char *at, struct place_tier *to) {
    const char *differs = NULL;

    for (uint32_t k = 0; k <= pipeline->row_ops; k++) {
        if (k > 0 && !differs &&
            op_implementation(pipeline->op[k - 1]->op) != reply->implementations[k - 1])
            differs = pipeline->op[k - 1]->op->name;
        to->cut[k] = !differs && !reply->refusals[k][0];
        if (differs)
            snprintf(to->why_not[k], sizeof(to->why_not[k]),
                     "%.31s is another implementation there: libraries differ", differs);
        else
            text_copy(to->why_not[k], sizeof(to->why_not[k]), reply->refusals[k]);
        to->cut[k] =
            to->cut[k] && where_allows_cut(pipeline, at, k, to->why_not[k], sizeof(to->why_not[k]));
    }
}

/* ---- links that are known ---- */

static void name_link(const struct planner_request *request, const char *at,
                      char name[MEASURED_NAME_BYTES]) {
    char host[HOST_ID_BYTES] = "";

    host_id(host);
    snprintf(name, MEASURED_NAME_BYTES, "link %016" PRIx64 " %s%s", hash_64(at, strlen(at), 0),
             host, request->tls ? " tls" : "");
}

static bool find_link(const char *name, struct place_tier *tier) {
    double age;
    AUTO_JS struct js *value = measured_find(name, PLANNER_LINK_AGE_S, &age);
    double bytes_per_s = js_as_num(js_get(value, "bytes_per_s"), 0);

    if (!(bytes_per_s > 0) || bytes_per_s > 1e18)
        return false;
    tier->link_bytes_per_s = bytes_per_s;
    tier->link_age_s = age;
    return true;
}

/* Whether frames would come through memory: it is tried, since a node on this machine may be in
 * another network namespace. */
static bool shares_memory(const reply_message *reply, const char *at) {
    AUTO_FD int fd = -1;

    return reply->local[0] && host_connect(reply->local, at, &fd, NULL) == 0;
}

/* How frames come from a node, and how fast. */
static int find_way(const struct planner_request *request, struct rpc_client *client,
                    const char *at, struct place_tier *tier, struct opiml_error *err) {
    char name[MEASURED_NAME_BYTES];
    struct js *value;
    int rc;

    if (tier->shared) {
        tier->link_bytes_per_s = INFINITY; /* nothing is copied */
        return 0;
    }
    name_link(request, at, name);
    if (!request->anew && find_link(name, tier))
        return 0;
    if ((rc = probe_link(client, &tier->link_bytes_per_s, err)) < 0)
        return rc;
    value = js_object();
    js_set(value, "bytes_per_s", js_num(tier->link_bytes_per_s));
    measured_put(name, value);
    return 0;
}

/* ---- what a node says ---- */

/* What it can do to rows that come from another node, behind so many operators. */
static void find_ends(const reply_message *reply, const struct opiml_pipeline *pipeline,
                      uint32_t first, const char *at, struct place_tier *to) {
    char why[WHERE_WHY_BYTES];

    to->first = first;
    for (uint32_t k = 0; k <= pipeline->row_ops; k++)
        to->end[k] = !reply->refusals[k][0];
    for (uint32_t k = 0; k < pipeline->row_ops; k++)
        to->same[k] = op_implementation(pipeline->op[k]->op) == reply->implementations[k] &&
                      where_allows(pipeline, k, at, why, sizeof(why));
}

/* Ask for a profile, and take it. */
static int take_profile(struct planner *self, const struct planner_request *request,
                        struct rpc_client *client, uint32_t t, Opiml__V1alpha1__Upstream *from,
                        struct opiml_error *err) {
    struct place_tier *tier = &self->problem.tier[t];
    reply_message *reply;
    int rc = ask_profile(self, request, client, from, &reply, err);

    if (rc < 0)
        return rc;
    if (!makes_sense(reply, self)) {
        rc = opiml_fail(err, OPIML_ECORRUPT, "%s: the node's answer makes no sense", self->at[t]);
    } else {
        read_profile(reply, &self->profile[t]);
        find_ends(reply, request->pipeline, from ? from->operators : 0, self->at[t], tier);
        if (!from)
            find_cuts(reply, request->pipeline, self->at[t], tier);
        if (!from)
            borrow_profile(self, &self->profile[t]);
        tier->send_ns = reply->send_ns_per_byte;
        tier->shared = shares_memory(reply, self->at[t]);
        self->room[t] = (struct cache_room){
            .memory_bytes = base_min_u64(reply->cache_bytes, pool_of(request) / 2),
            .disk_bytes = reply->cache_disk_bytes,
            .disk_bytes_per_s = reply->cache_disk_bytes_per_second};
        tier->cores = self->profile[t].cores;
    }
    opiml__v1alpha1__profile_pipeline_response__free_unpacked(reply, NULL);
    return rc;
}

/* It runs, and has not got the data, or may not show them. */
static bool is_blind(int code) {
    return code == OPIML_ENOENT || code == OPIML_EACCES;
}

static void forget_last(struct planner *self) {
    uint32_t t = self->problem.tiers;

    base_free(TAKE(self->at[t]));
    self->problem.tier[t] = (struct place_tier){0};
    self->blind[t].code = 0;
}

static int measure_node(struct planner *self, const struct planner_request *request,
                        struct rpc_client *client, struct opiml_error *err) {
    uint32_t t = self->problem.tiers;
    struct place_tier *tier = &self->problem.tier[t];
    struct opiml_error why;
    int rc = take_profile(self, request, client, t, NULL, &why);

    if (rc < 0 && !is_blind(rc))
        return opiml_fail(err, rc, "%s", why.message);
    if (rc < 0)
        self->blind[t] = why;
    for (uint32_t k = 0; rc < 0 && k <= self->problem.ops; k++)
        text_copy(tier->why_not[k], sizeof(tier->why_not[k]), "it has no data of its own");
    return find_way(request, client, self->at[t], tier, err);
}

int planner_add(struct planner *self, const struct planner_request *request, uint32_t number,
                const char *at, struct opiml_error *err) {
    uint32_t t = self->problem.tiers;
    struct rpc_client *client;
    int rc;

    if (t == PLACE_TIERS_MAX)
        return opiml_fail(err, OPIML_EINVAL, "%s: at most %d nodes", at, PLACE_TIERS_MAX - 1);
    if ((rc = rpc_client_open(at, request->tls, TIMEOUT_MS, &client, err)) < 0)
        return rc;
    self->at[t] = base_strdup(at);
    self->number[t] = number;
    self->profile[t] = (struct profile){.classes = self->classes.count, .ops = self->problem.ops};
    self->problem.tier[t] = (struct place_tier){.profile = &self->profile[t]};
    text_copy(self->problem.tier[t].name, sizeof(self->problem.tier[t].name), at);
    rc = self->at[t] ? measure_node(self, request, client, err)
                     : base_fail_memory(err, strlen(at), "a plan");
    rpc_client_close(client);
    if (rc < 0)
        forget_last(self);
    else
        self->problem.tiers++;
    return rc;
}

/* ---- from one node to another ---- */

/* One that may take rows from `from` says how fast they come. */
static int ask_link(struct planner *self, struct rpc_client *client, uint32_t from,
                    double *ret_bytes_per_s, struct opiml_error *err) {
    Opiml__V1alpha1__ProbeUpstreamRequest request = OPIML__V1ALPHA1__PROBE_UPSTREAM_REQUEST__INIT;
    Opiml__V1alpha1__ProbeUpstreamResponse *reply;
    int rc;

    request.node = self->at[from];
    rc = rpc_client_call(client, SERVICE "ProbeUpstream", &request.base,
                         &opiml__v1alpha1__probe_upstream_response__descriptor, &reply, err);
    if (rc < 0)
        return rc;
    *ret_bytes_per_s = reply->bytes_per_second;
    opiml__v1alpha1__probe_upstream_response__free_unpacked(reply, NULL);
    return is_positive(*ret_bytes_per_s) && *ret_bytes_per_s > 0
               ? 0
               : opiml_fail(err, OPIML_ECORRUPT, "the node's answer makes no sense");
}

static double mean_bytes(const struct planner *self, uint32_t tier, uint32_t k) {
    double sum = 0;

    for (uint32_t c = 0; c < self->classes.count; c++)
        sum += self->classes.share[c] * self->profile[tier].class[c].bytes[k];
    return sum;
}

/* Where rows are taken to measure another node with: as soon as they are not too large. */
static uint32_t sample_cut(const struct planner *self, uint32_t tier) {
    uint32_t best = 0;

    for (uint32_t k = 0; k <= self->problem.ops; k++) {
        if (!self->problem.tier[tier].cut[k])
            continue;
        if (mean_bytes(self, tier, k) <= SAMPLE_BYTES)
            return k;
        if (!self->problem.tier[tier].cut[best] ||
            mean_bytes(self, tier, k) < mean_bytes(self, tier, best))
            best = k;
    }
    return best;
}

/* Measure one that cannot read the data by rows of a link. */
static int measure_behind(struct planner *self, const struct planner_request *request,
                          struct rpc_client *client, const struct place_link *link,
                          struct opiml_error *err) {
    Opiml__V1alpha1__Upstream from = OPIML__V1ALPHA1__UPSTREAM__INIT;

    from.node = self->at[link->from];
    from.operators = sample_cut(self, link->from);
    return take_profile(self, request, client, link->to, &from, err);
}

/* Links to one node, from all that read. */
static void join_node(struct planner *self, const struct planner_request *request, uint32_t to) {
    struct place_problem *problem = &self->problem;
    bool measured = self->blind[to].code == 0;
    struct rpc_client *client = NULL;
    struct opiml_error why = {0};

    if (rpc_client_open(self->at[to], request->tls, TIMEOUT_MS, &client, &why) < 0)
        return;
    for (uint32_t from = 1; from < problem->tiers && problem->links < PLACE_LINKS_MAX; from++) {
        struct place_link *link = &problem->link[problem->links];

        if (from == to || self->blind[from].code)
            continue;
        *link = (struct place_link){.from = from, .to = to};
        if (ask_link(self, client, from, &link->bytes_per_s, &why) < 0 ||
            (!measured && measure_behind(self, request, client, link, &why) < 0)) {
            log_write("node", LOG_DEBUG, "no rows from %s to %s: %s", self->at[from], self->at[to],
                      why.message);
            continue;
        }
        measured = true;
        problem->links++;
    }
    rpc_client_close(client);
}

void planner_join(struct planner *self, const struct planner_request *request) {
    self->problem.links = 0;
    if (self->hold) /* who holds nothing has not got the index of who does */
        return;
    for (uint32_t t = 1; t < self->problem.tiers; t++)
        join_node(self, request, t);
}

const struct opiml_error *planner_idle(const struct planner *planner, uint32_t tier) {
    if (planner->blind[tier].code == 0)
        return NULL;
    for (uint32_t l = 0; l < planner->problem.links; l++)
        if (planner->problem.link[l].to == tier)
            return NULL;
    return &planner->blind[tier];
}

void planner_ask(struct planner *planner, const struct planner_request *request,
                 const char *const *at, uint32_t count, planner_without *without, void *context) {
    struct opiml_error why;

    for (uint32_t n = 0; n < count; n++)
        if (planner_add(planner, request, n, at[n], &why) < 0)
            without(context, n, at[n], &why);
    planner_join(planner, request);
    for (uint32_t t = 1; t < planner->problem.tiers; t++)
        if (planner_idle(planner, t))
            without(context, planner->number[t], planner->at[t], planner_idle(planner, t));
}

void planner_lose_link(struct planner *planner, uint32_t from, uint32_t to) {
    struct place_problem *problem = &planner->problem;
    uint32_t kept = 0;

    for (uint32_t l = 0; l < problem->links; l++)
        if (problem->link[l].from != from || problem->link[l].to != to)
            problem->link[kept++] = problem->link[l];
    problem->links = kept;
}

/* As if no rows were kept. */
static void drop_cache(struct planner *self) {
    struct place_tier *tier = &self->problem.tier[self->cache.tier];

    if (!self->cache.worth)
        return;
    tier->profile = &self->profile[self->cache.tier];
    memcpy(tier->cut, self->cuts, sizeof(tier->cut));
    self->cache = (struct cache_advice){0};
}

void planner_lose(struct planner *planner, uint32_t tier) {
    drop_cache(planner);
    memset(planner->problem.tier[tier].cut, 0, sizeof(planner->problem.tier[tier].cut));
    for (uint32_t t = 1; t < planner->problem.tiers; t++) {
        planner_lose_link(planner, tier, t);
        planner_lose_link(planner, t, tier);
    }
}

static bool reads(const struct place_tier *tier, uint32_t ops) {
    for (uint32_t k = 0; k <= ops; k++)
        if (tier->cut[k])
            return true;
    return false;
}

static uint32_t tiers_of(const struct planner *self, uint32_t nodes) {
    uint32_t tiers = 0;

    for (uint32_t t = 1; t < self->problem.tiers; t++)
        tiers |= (nodes >> self->number[t] & 1) << t;
    return tiers;
}

static void add_set(struct planner *self, uint32_t nodes, uint64_t records) {
    if (records > 0)
        self->problem.set[self->problem.sets++] =
            (struct place_set){.holders = nodes,
                               .tiers = tiers_of(self, nodes),
                               .share = (double)records / (double)self->hold->records};
}

/* Who of those that still read holds what. */
static void find_sets(struct planner *self) {
    struct hold_sets sets;
    uint32_t nodes = 0;

    self->problem.sets = 0;
    if (!self->hold)
        return;
    for (uint32_t t = 1; t < self->problem.tiers; t++)
        nodes |= reads(&self->problem.tier[t], self->problem.ops) ? 1u << self->number[t] : 0;
    hold_find(self->hold, nodes, &sets);
    for (uint32_t s = 0; s < sets.count; s++)
        add_set(self, sets.set[s].nodes, sets.set[s].records);
    add_set(self, 0, sets.nobody);
}

/* The node whose cache gains most has what is kept from there, for all rows that go by it: those
 * have to go as far as they are kept. */
static int take_cache(struct planner *self, struct opiml_error *err) {
    struct cache_advice best = {0}, advice;
    struct place_tier *tier;

    for (uint32_t t = 0; t < self->problem.tiers; t++) {
        planner_advise(self, t, &advice);
        if (advice.worth && advice.rate > best.rate)
            best = advice;
    }
    if (!best.worth || best.tier == 0 || self->problem.links > 0)
        return 0;
    tier = &self->problem.tier[best.tier];
    memcpy(self->cuts, tier->cut, sizeof(self->cuts));
    memset(tier->cut, 0, best.at * sizeof(tier->cut[0]));
    cache_profile(tier->profile, best.at,
                  best.where == CACHE_ON_DISK ? self->room[best.tier].disk_bytes_per_s : 0,
                  &self->kept);
    tier->profile = &self->kept;
    self->cache = best;
    return place_choose(&self->problem, &self->plans, err);
}

int planner_choose(struct planner *planner, bool keeps, struct opiml_error *err) {
    struct opiml_error why;
    int rc;

    drop_cache(planner);
    find_sets(planner);
    rc = place_choose(&planner->problem, &planner->plans, &why);
    if (rc == 0 && keeps)
        rc = take_cache(planner, &why);

    if (rc == OPIML_ENOTSUP && planner->why_not_here[0])
        return opiml_fail(err, rc, "%s: no node takes part that can do what is needed",
                          planner->why_not_here);
    return rc < 0 ? opiml_fail(err, rc, "%s", why.message) : rc;
}

void planner_advise(const struct planner *planner, uint32_t tier, struct cache_advice *ret_advice) {
    *ret_advice = (struct cache_advice){0};
    if (!planner->pipeline->cache.on && planner->problem.sets == 0 &&
        (tier > 0 || planner->problem.local))
        cache_advise(planner->pipeline, &planner->problem, tier, &planner->room[tier],
                     planner->plans.plan[0].rate, ret_advice);
}

void planner_close(struct planner *planner) {
    for (uint32_t t = 0; planner && t < PLACE_TIERS_MAX; t++)
        base_free(planner->at[t]);
    base_free(planner);
}
