/* Where a feed's rows are made. */
#include "node/router.h"

#include <ctype.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "node/remote.h"
#include "node/review.h"
#include "pipeline/hold.h"
#include "pipeline/pipeline.h"
#include "pipeline/together.h"
#include "rpc/client.h"

#define TEXT_MAX MIB(1)
#define PLACE_BYTES 280 /* a name of the DNS, and a port */
#define ANSWER_MS 2000  /* that a node of a lost chain has to show that it is there */

struct place {
    char at[PLACE_BYTES];
    uint32_t cut; /* in the chain that was asked for */
    bool lost;    /* it is not asked again */
};

struct hop {
    uint32_t place, cut, tier; /* tier: the planner's; 0: nothing is planned */
};

/* A way of the last arrangement: places that rows go by, the last of which they come here from. */
struct way {
    uint32_t hops; /* 0: they are made here */
    struct hop hop[NODE_HOPS_MAX];
    struct share share;
    struct node_remote *remote; /* at the last place */
};

struct node_router {
    struct feed_router feed;
    struct node_router_request request;
    char *path, *text; /* of the pipeline file, as it was at the start */
    char *job;
    const struct opiml_pipeline *pipeline;
    struct opiml_error why; /* of the last loss, where the request insists */
    uint32_t places, ways;
    struct place place[ROUTES_MAX];
    struct way way[ROUTES_MAX];
    struct hold hold;       /* which places hold which records */
    struct place_plan plan; /* at work; no parts: none */
    struct review review;
    uint64_t began, arranged;       /* the first batch of the run, and of the last arrangement */
    struct opiml_feed_stats *stats; /* for it */
    struct planner *planner; /* NULL: cuts are given, or nothing is planned yet; places are its
                                nodes' numbers */
};

static struct place *last_place(struct node_router *self, const struct way *way) {
    return &self->place[way->hop[way->hops - 1].place];
}

static void close_ways(struct node_router *self) {
    for (uint32_t w = 0; w < self->ways; w++)
        if (self->way[w].remote)
            node_remote_close(self->way[w].remote, last_place(self, &self->way[w])->lost);
    self->ways = 0;
}

static uint32_t count_places(const struct node_router *self) {
    uint32_t count = 0;

    for (uint32_t p = 0; p < self->places; p++)
        count += !self->place[p].lost;
    return count;
}

static void tell_loss(struct node_router *self, const char *when, const struct opiml_error *why) {
    self->why = *why;
    if (!self->request.insist)
        log_write("node", LOG_WARN, "%s%s; %s", why->message, when,
                  count_places(self) ? "the other nodes go on without it"
                                     : "all operators run here from now on");
}

static void lose(struct node_router *self, uint32_t place, const char *when,
                 const struct opiml_error *why) {
    self->place[place].lost = true;
    tell_loss(self, when, why);
}

/* A way by several places was lost, and it may be any of them, or what is between the last two:
 * those that do not answer are lost, else that link, and without a plan the last place. */
static void lose_way(struct node_router *self, const struct way *way, const char *when,
                     const struct opiml_error *why) {
    const struct hop *last = &way->hop[way->hops - 1];
    bool found = false;

    for (uint32_t h = 0; way->hops > 1 && h < way->hops; h++) {
        struct place *place = &self->place[way->hop[h].place];
        struct rpc_client *client = NULL;

        if (rpc_client_open(place->at, self->request.tls, ANSWER_MS, &client, NULL) < 0)
            place->lost = found = true;
        rpc_client_close(client);
    }
    if (!found && way->hops > 1 && last->tier)
        planner_lose_link(self->planner, last[-1].tier, last->tier);
    else if (!found)
        last_place(self, way)->lost = true;
    tell_loss(self, when, why);
}

/* ---- what is to be made where ---- */

static struct way *add_way(struct node_router *self, const struct share *share) {
    struct way *way = &self->way[self->ways++];
    uint32_t together = together_rows(self->pipeline, self->request.world);

    *way = (struct way){.share = *share};
    for (uint32_t c = 0; c < share->classes; c++)
        way->share.class[c].together = together;
    return way;
}

static void add_hop(struct way *way, uint32_t place, uint32_t cut) {
    way->hop[way->hops++] = (struct hop){.place = place, .cut = cut};
}

static void add_tier(const struct node_router *self, struct way *way, uint32_t tier, uint32_t cut) {
    way->hop[way->hops++] = (struct hop){self->planner->number[tier], cut, tier};
}

static uint32_t places_there(const struct node_router *self) {
    uint32_t there = 0;

    for (uint32_t p = 0; p < self->places; p++)
        there |= self->place[p].lost ? 0 : 1u << p;
    return there;
}

/* Records that only lost places hold, where they cannot be read here. */
static int fail_out_of_reach(const struct node_router *self, uint64_t records,
                             struct opiml_error *err) {
    char count[32], all[32];

    return opiml_fail(err, self->why.code,
                      "%s; %s of %s records are out of reach with it: go on with --state or "
                      "--resume when it is back",
                      self->why.message, text_format_count(count, sizeof(count), records),
                      text_format_count(all, sizeof(all), self->hold.records));
}

/* All rows by all places of the chain that are left. */
static void follow_chain(struct node_router *self) {
    const struct share all = {.classes = 1,
                              .class[0] = {.bytes_max = UINT64_MAX, .end = SHARE_WHOLE}};
    struct way *way = NULL;

    for (uint32_t p = 0; p < self->places; p++) {
        if (self->place[p].lost)
            continue;
        way = way ? way : add_way(self, &all);
        add_hop(way, p, self->place[p].cut);
    }
}

/* Whether the places that are left hold all, where nothing can be read here. */
static int find_sets(const struct node_router *self, struct hold_sets *ret_sets,
                     struct opiml_error *err) {
    hold_find(&self->hold, places_there(self), ret_sets);
    if (ret_sets->nobody > 0 && pipeline_is_elsewhere(self->pipeline))
        return fail_out_of_reach(self, ret_sets->nobody, err);
    return 0;
}

static int share_equally(struct node_router *self, uint32_t cut, struct opiml_error *err) {
    struct share share[HOLD_NODES_MAX + 1];
    struct hold_sets sets;
    int rc = find_sets(self, &sets, err);

    if (rc < 0 || sets.nodes == 0)
        return rc;
    hold_share(&sets, share);
    for (uint32_t p = 0; p < self->places; p++)
        if (!hold_is_empty(&share[p]))
            add_hop(add_way(self, &share[p]), p, cut);
    if (sets.nobody > 0)
        add_way(self, &share[HOLD_NODES_MAX]);
    return 0;
}

static struct planner_request planner_request(const struct node_router *self) {
    return (struct planner_request){.text = self->text,
                                    .path = self->path,
                                    .pipeline = self->pipeline,
                                    .threads = self->request.threads,
                                    .cores = self->request.cores,
                                    .demand = self->request.demand,
                                    .pool_bytes = self->request.pool_bytes,
                                    .rank = self->request.rank,
                                    .world = self->request.world,
                                    .over_tcp = self->request.link == NODE_REMOTE_TCP,
                                    .job = self->job,
                                    .tls = self->request.tls,
                                    .hold = &self->hold};
}

static void go_without(void *context, uint32_t place, const char *at,
                       const struct opiml_error *why) {
    lose(context, place, "", why);
}

/* Ask everybody what rows cost. */
static int measure(struct node_router *self, struct opiml_error *err) {
    const struct planner_request request = planner_request(self);
    const char *at[ROUTES_MAX];
    int rc = planner_open(&request, &self->planner, err);

    if (rc < 0)
        return rc;
    for (uint32_t p = 0; p < self->places; p++)
        at[p] = self->place[p].at;
    planner_ask(self->planner, &request, at, self->places, go_without, self);
    return 0;
}

static void log_plan(const struct place_plan *plan) {
    double nodes = 0;

    for (uint32_t p = 0; p < plan->parts; p++)
        nodes += plan->part[p].tier ? plan->part[p].share : 0;
    log_write("node", LOG_INFO, "plan: %s, %.0f rows/s, %.0f%% of the rows by nodes", plan->name,
              plan->rate, nodes * 100);
}

static void log_cache(const struct planner *planner, const struct opiml_pipeline *pipeline) {
    const struct cache_advice *cache = &planner->cache;
    char bytes[32];

    if (cache->worth)
        log_write("node", LOG_INFO, "plan: %s keeps up to %s of rows %sbefore %s",
                  planner->problem.tier[cache->tier].name,
                  text_format_bytes(bytes, sizeof(bytes), cache->bytes),
                  cache->where == CACHE_ON_DISK ? "on disk " : "",
                  cache->at < pipeline->ops ? pipeline->op[cache->at]->op->name : "they leave it");
}

static int share_as_planned(struct node_router *self, struct opiml_error *err) {
    const struct place_plan *plan;
    struct hold_sets sets;
    int rc = self->planner ? 0 : measure(self, err);

    if (rc < 0 || (rc = find_sets(self, &sets, err)) < 0)
        return rc;
    for (uint32_t t = 1; t < self->planner->problem.tiers; t++)
        if (self->place[self->planner->number[t]].lost)
            planner_lose(self->planner, t);
    rc =
        planner_choose(self->planner, self->pipeline->cache_auto && self->request.epochs != 1, err);
    if (rc == OPIML_ENOTSUP && self->why.code)
        return opiml_fail(err, self->why.code, "%s", self->why.message);
    if (rc < 0)
        return rc;
    plan = &self->planner->plans.plan[0];
    for (uint32_t i = 0; i < plan->parts; i++) {
        const struct place_part *part = &plan->part[i];
        struct way *way = add_way(self, &part->rows);

        if (part->from)
            add_tier(self, way, part->from, part->from_cut);
        if (part->tier)
            add_tier(self, way, part->tier, part->cut);
    }
    self->plan = *plan;
    review_begin(&self->review);
    log_plan(plan);
    log_cache(self->planner, self->pipeline);
    return 0;
}

/* ---- routes ---- */

static int open_way(struct node_router *self, struct way *way, uint64_t first, uint64_t batches,
                    struct route *ret_route) {
    const struct node_router_request *request = &self->request;
    const struct cache_advice *cache = NULL;
    uint64_t pool = request->pool_bytes ? request->pool_bytes : self->pipeline->pool_bytes;
    struct node_hop hop[NODE_HOPS_MAX];
    struct opiml_error why;
    int rc;

    *ret_route = (struct route){.share = way->share};
    if (way->hops == 0)
        return 0;
    if (self->planner && self->planner->cache.worth &&
        way->hop[0].tier == self->planner->cache.tier) /* it goes by no other then */
        cache = &self->planner->cache;
    for (uint32_t h = 0; h < way->hops; h++)
        hop[h] = (struct node_hop){self->place[way->hop[h].place].at, way->hop[h].cut};
    rc = node_remote_open(
        &(struct node_remote_request){.at = hop[way->hops - 1].at,
                                      .text = self->text,
                                      .path = self->path,
                                      .operators = hop[way->hops - 1].operators,
                                      .before = hop,
                                      .befores = way->hops - 1,
                                      .cache_at = cache ? cache->at : 0,
                                      .cache_bytes = cache ? cache->bytes : 0,
                                      .cache_on_disk = cache && cache->where == CACHE_ON_DISK,
                                      .pool_bytes = pool,
                                      .stripes = request->stripes,
                                      .tls = request->tls,
                                      .link = request->link,
                                      .job = self->job,
                                      .deadline_ms = request->deadline_ms,
                                      .rank = request->rank,
                                      .world = request->world,
                                      .first_batch = first,
                                      .batches = batches,
                                      .share = way->share},
        self->pipeline, &way->remote, ret_route, &why);
    if (rc < 0)
        lose_way(self, way, "", &why);
    return rc;
}

/* Whether the file lets all be made here, once no node is left. */
static int check_here(const struct node_router *self, struct opiml_error *err) {
    char why[WHERE_WHY_BYTES];

    if (where_allows_cut(self->pipeline, "", 0, why, sizeof(why)))
        return 0;
    return opiml_fail(err, self->why.code ? self->why.code : OPIML_ENOTSUP,
                      "%s: no node is left: %s", why, self->why.message);
}

/* Open all ways; the first that is refused loses its node. */
static int open_ways(struct node_router *self, uint64_t first, uint64_t batches,
                     struct routes *routes) {
    *routes = (struct routes){0};
    for (uint32_t w = 0; w < self->ways; w++) {
        int rc = open_way(self, &self->way[w], first, batches, &routes->route[w]);

        if (rc < 0) {
            for (uint32_t r = 0; r < w; r++)
                if (routes->route[r].link)
                    routes->route[r].link->ops->close(routes->route[r].link);
            return rc;
        }
        routes->count++;
    }
    return 0;
}

static int find_ways(struct node_router *self, struct opiml_error *err) {
    if (self->request.chain)
        follow_chain(self);
    else if (self->request.cut < 0)
        return share_as_planned(self, err);
    else
        return share_equally(self, (uint32_t)self->request.cut, err);
    if (pipeline_is_elsewhere(self->pipeline) && self->ways == 0)
        return opiml_fail(err, self->why.code, "%s", self->why.message);
    return 0;
}

static int arrange(struct feed_router *router, uint64_t first, uint64_t batches,
                   struct routes *ret_routes, struct opiml_error *err) {
    struct node_router *self = (struct node_router *)router;
    int rc = self->hold.records ? 0 : hold_count(self->pipeline, &self->hold, err);

    if (!self->planner)
        self->began = first;
    self->arranged = first;

    while (rc == 0) {
        close_ways(self);
        rc = find_ways(self, err);
        if (self->request.insist && self->why.code)
            return opiml_fail(err, self->why.code, "%s", self->why.message);
        if (rc < 0)
            return rc;
        if (self->ways == 0)
            break;
        if (open_ways(self, first, batches, ret_routes) == 0)
            return 0;
    }
    if (rc == 0)
        rc = check_here(self, err);
    if (rc == 0)
        *ret_routes = (struct routes){.count = 1};
    return rc;
}

static void lost(struct feed_router *router, uint32_t route, uint64_t next,
                 const struct opiml_error *why) {
    struct node_router *self = (struct node_router *)router;
    const struct way *way = &self->way[route];
    struct opiml_error named;
    char when[48];

    opiml_fail(&named, why->code, "%s: %s", last_place(self, way)->at, why->message);
    snprintf(when, sizeof(when), ", before batch %" PRIu64, next);
    lose_way(self, way, when, &named);
}

/* Whether rows are still being made for the first time that the plan takes for kept. */
static bool is_filling(const struct node_router *self) {
    return self->planner->cache.worth &&
           self->began + self->stats->batches <
               self->arranged + opiml_pipeline_batches(self->pipeline);
}

static bool move(struct feed_router *router, struct opiml_feed *feed) {
    struct node_router *self = (struct node_router *)router;
    uint64_t now = clock_now_ns();

    if (!self->plan.parts || now - self->review.looked_ns < REVIEW_NS)
        return false;
    opiml_feed_stats(feed, self->stats);
    if (is_filling(self))
        return false;
    return review_look(&self->review, now, self->stats, &self->planner->problem, &self->plan,
                       &self->planner->plans);
}

/* Take "=CUT" from the end of a place in a chain: not fewer operators than before it. */
static int read_cut(struct node_router *self, struct place *place, struct opiml_error *err) {
    uint32_t least = place == self->place ? 0 : place[-1].cut, most = self->pipeline->row_ops;
    char *cut = strrchr(place->at, '='), *end;
    unsigned long number;

    if (!cut || !isdigit((unsigned char)cut[1]))
        return opiml_fail(err, OPIML_EINVAL, "%s: no place with its cut, such as HOST:PORT=2",
                          place->at);
    number = strtoul(cut + 1, &end, 10);
    if (*end || number < least || number > most)
        return opiml_fail(err, OPIML_EINVAL, "%s: the cut has to be one from %u to %u", place->at,
                          least, most);
    place->cut = (uint32_t)number;
    *cut = 0;
    for (const struct place *other = self->place; other < place; other++)
        if (strcmp(other->at, place->at) == 0)
            return opiml_fail(err, OPIML_EINVAL, "%s: a chain goes by a node once", place->at);
    return 0;
}

static int read_places(struct node_router *self, const char *nodes, struct opiml_error *err) {
    bool chain = self->request.chain != NULL;
    size_t most = chain ? NODE_HOPS_MAX : COUNT_OF(self->place);
    int rc;

    for (const char *at = nodes; *at;) {
        size_t bytes = strcspn(at, ",");
        struct place *place = &self->place[self->places];

        if (self->places == most)
            return opiml_fail(err, OPIML_EINVAL, "%s: at most %zu nodes", nodes, most);
        if (bytes >= sizeof(place->at) || !memchr(at, ':', bytes))
            return opiml_fail(err, OPIML_EINVAL, "%.*s: no place on a network, such as HOST:PORT",
                              (int)bytes, at);
        memcpy(place->at, at, bytes);
        if (chain && (rc = read_cut(self, place, err)) < 0)
            return rc;
        self->places++;
        at += bytes + (at[bytes] == ',');
    }
    return 0;
}

/* A cut that is given has to be one that the file allows. */
static int check_cut(const struct node_router *self, struct opiml_error *err) {
    bool given = self->request.cut >= 0 && !self->request.chain;
    uint32_t cut = (uint32_t)self->request.cut;
    char why[WHERE_WHY_BYTES];

    for (uint32_t p = 0; given && p < self->places; p++)
        if (!where_allows_cut(self->pipeline, self->place[p].at, cut, why, sizeof(why)))
            return opiml_fail(err, OPIML_EINVAL, "--cut %u on %s: %s", cut, self->place[p].at, why);
    return 0;
}

int node_router_open(const struct node_router_request *request,
                     const struct opiml_pipeline *pipeline, struct node_router **ret_router,
                     struct opiml_error *err) {
    struct node_router *self = base_alloc(sizeof(*self));
    size_t bytes;
    int rc;

    if (!self)
        return base_fail_memory(err, sizeof(*self), "a feed's nodes");
    self->feed = (struct feed_router){arrange, lost, move};
    self->request = *request;
    self->pipeline = pipeline;
    self->path = base_printf("%s", request->path);
    self->job = base_strdup(request->job ? request->job : "");
    self->stats = base_alloc(sizeof(*self->stats));
    if (!self->path || !self->stats || !self->job)
        rc = base_fail_memory(err, strlen(request->path), "a feed's nodes");
    else if ((rc = review_open(&self->review, err)) == 0 &&
             (rc = read_places(self, request->chain ? request->chain : request->nodes, err)) == 0 &&
             (rc = check_cut(self, err)) == 0)
        rc = file_read(self->path, TEXT_MAX, &self->text, &bytes, err);
    if (rc < 0) {
        node_router_close(self);
        return rc;
    }
    *ret_router = self;
    return 0;
}

const struct planner *node_router_planner(const struct node_router *router) {
    return router->planner;
}

struct feed_router *node_router_feed(struct node_router *router) {
    return &router->feed;
}

void node_router_close(struct node_router *self) {
    if (!self)
        return;
    close_ways(self);
    planner_close(self->planner);
    hold_release(&self->hold);
    review_close(&self->review);
    base_free(self->stats);
    base_free(self->path);
    base_free(self->job);
    base_free(self->text);
    base_free(self);
}
