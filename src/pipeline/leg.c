/* Legs of a feed's way. */
#include "pipeline/leg.h"

#include "pipeline/pump.h"

#define LINK_DEPTH 3 /* frames in flight: one arriving, one waiting, one being worked on */

/* A request for the whole pipeline, to be narrowed. */
static struct plan_request whole(const struct leg_request *request) {
    const struct opiml_feed_options *options = request->options;

    return (struct plan_request){.last = request->pipeline->row_ops,
                                 .reads = true,
                                 .delivers = true,
                                 .threads = options->threads,
                                 .rank = options->rank,
                                 .world = options->world,
                                 .pool_bytes = options->pool_bytes ? options->pool_bytes
                                                                   : request->pipeline->pool_bytes};
}

/* ---- what runs behind a loopback link ---- */

static void *pump_main(void *argument) {
    struct front *front = argument;

    pump_run(front->stage, front->link);
    return NULL;
}

static int open_front(struct leg *self, const struct leg_request *request,
                      struct opiml_error *err) {
    const struct stage_options options = {.first = request->first, .batches = request->batches};
    struct front *front = &self->front;
    struct plan_request plan = whole(request);
    struct inlet *inlet;
    int rc;

    plan.last = (uint32_t)request->options->cut;
    plan.delivers = false;
    plan.pool_bytes /= 2;
    if ((rc = plan_create(request->pipeline, &plan, &front->plan, err)) < 0 ||
        (rc = link_loopback_open(LINK_DEPTH, &front->link, err)) < 0)
        return rc;
    self->routes = (struct routes){.count = 1,
                                   .route[0] = {.link = front->link,
                                                .cut = plan.last,
                                                .depth = LINK_DEPTH,
                                                .frame_bytes = front->plan->slot_bytes}};
    if ((rc = inlet_reader_create(front->plan, &inlet, err)) < 0)
        return rc;
    return stage_create(front->plan, inlet, &options, &front->stage, err);
}

static int start_pump(struct front *front, struct opiml_error *err) {
    int rc = pthread_create(&front->pump, NULL, pump_main, front);

    if (rc != 0)
        return base_fail_errno(err, rc, "starting the link's sending thread");
    front->pumping = true;
    return 0;
}

/* ---- the consumer's stage ---- */

/* It takes rows from where the first of the routes ends. */
static void narrow(struct plan_request *plan, const struct leg *self) {
    const struct routes *routes = &self->routes;

    if (routes->count == 0)
        return;
    if (routes->route[0].cut > plan->last) /* rows come finished: group operators have run, too */
        plan->last = routes->route[0].cut;
    plan->reads = false;
    plan->first = plan->last;
    for (uint32_t r = 0; r < routes->count; r++) {
        plan->reads |= !routes->route[r].link;
        plan->linked |= routes->route[r].link != NULL;
        plan->first = (uint32_t)base_min_u64(plan->first, routes->route[r].cut);
    }
    if (self->front.link)
        plan->pool_bytes /= 2;
}

static int open_stage(struct leg *self, const struct leg_request *request,
                      struct opiml_error *err) {
    const struct stage_options options = {.first = request->first,
                                          .batches = request->batches,
                                          .digest = request->options->digest,
                                          .routes = self->routes.count ? &self->routes : NULL,
                                          .waiter = request->waiter};
    struct plan_request plan = whole(request);
    struct inlet *inlet;
    int rc;

    narrow(&plan, self);
    if ((rc = plan_create(request->pipeline, &plan, &self->plan, err)) < 0)
        return rc;
    rc = self->routes.count ? inlet_routes_create(self->plan, &self->routes, &inlet, err)
                            : inlet_reader_create(self->plan, &inlet, err);
    return rc < 0 ? rc : stage_create(self->plan, inlet, &options, &self->stage, err);
}

static void close_links(struct routes *routes) {
    for (uint32_t r = 0; r < routes->count; r++) {
        if (routes->route[r].link)
            routes->route[r].link->ops->close(routes->route[r].link);
        routes->route[r].link = NULL;
    }
}

int leg_open(const struct leg_request *request, const struct routes *routes, struct leg **ret_leg,
             struct opiml_error *err) {
    struct leg *self = base_alloc(sizeof(*self));
    int rc;

    if (!self) {
        struct routes unused = routes ? *routes : (struct routes){0};

        close_links(&unused);
        return base_fail_memory(err, sizeof(*self), "a feed");
    }
    if (routes)
        self->routes = *routes;
    assert(!routes || (request->options->cut < 0 && routes_cover(routes)));
    if ((request->options->cut >= 0 && (rc = open_front(self, request, err)) < 0) ||
        (rc = open_stage(self, request, err)) < 0 ||
        (self->front.stage && (rc = start_pump(&self->front, err)) < 0)) {
        leg_close(self);
        return rc;
    }
    *ret_leg = self;
    return 0;
}

void leg_stop(struct leg *self) {
    /* The links first: their threads must not wait for a stage that is gone. */
    for (uint32_t r = 0; r < self->routes.count; r++)
        if (self->routes.route[r].link)
            self->routes.route[r].link->ops->shut(self->routes.route[r].link);
    if (self->front.stage)
        stage_stop(self->front.stage);
    if (self->front.pumping)
        pthread_join(self->front.pump, NULL);
    self->front.pumping = false;
    if (self->stage)
        stage_stop(self->stage);
    close_links(&self->routes);
}

void leg_close(struct leg *self) {
    if (!self)
        return;
    leg_stop(self);
    stage_destroy(self->stage);
    stage_destroy(self->front.stage);
    base_free(self->front.plan);
    base_free(self->plan);
    base_free(self);
}
